"""Measures searches under filters: all allowed photos compared, or ScaNN with over-fetching.

    python benchmarks/filtered_search.py [--photos 400000] [--dimensions 320] [--queries 200]

Uses drawn embeddings of products with four photos each and ScaNN's index with its default
settings. A filter leaves photos at random. Queries are asked one after the other. The crossing of
the two columns of times is what `EXACT_UP_TO` in fashion_jax/retrieval/filtered.py stands for.
"""

import argparse
import os
import time

import numpy as np
from large_catalogue import drawn
from tabulate import tabulate

from fashion_jax.retrieval.exact import ExactIndex
from fashion_jax.retrieval.filtered import FilteredIndex
from fashion_jax.retrieval.index import Index
from fashion_jax.retrieval.scann_index import ScannIndex

SHARES = (0.002, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.9)
K = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--photos", type=int, default=400_000)
    parser.add_argument("--dimensions", type=int, default=320)
    parser.add_argument("--queries", type=int, default=200)
    arguments = parser.parse_args()
    shop_nd, asked_qd, _ = drawn(arguments.photos, arguments.dimensions)
    asked_qd = asked_qd[: arguments.queries]
    print(f"{len(shop_nd):,} photos × {shop_nd.shape[1]}, {os.cpu_count()} cores, k = {K}")
    scann = ScannIndex.build(shop_nd)
    print(_row(scann, ExactIndex(shop_nd), asked_qd, "all photos")[2:])
    rows = [_measure(scann, shop_nd, asked_qd, share) for share in SHARES]
    columns = ["share", "photos", "prepared [s]", "exact [ms]", "over-fetched [ms]", "recall@10"]
    print(tabulate(rows, columns, tablefmt="github", intfmt=",", floatfmt=".3g"))


def _measure(scann: Index, shop_nd: np.ndarray, asked_qd: np.ndarray, share: float) -> list:
    allowed = np.random.default_rng(1).random(len(shop_nd)) < share
    exact, over = (
        FilteredIndex(scann, allowed, lambda rows: shop_nd[rows], exact_up_to)
        for exact_up_to in (len(shop_nd), 0)
    )
    start = time.perf_counter()
    exact.search(asked_qd[:1], K)  # gathers the embeddings
    prepared = time.perf_counter() - start
    (truth, exact_ms), (found, over_ms) = (_alone(index, asked_qd) for index in (exact, over))
    return [f"{share:.1%}", int(allowed.sum()), prepared, exact_ms, over_ms, _recall(found, truth)]


def _row(index: Index, exact: Index, asked_qd: np.ndarray, name: str) -> str:
    found, milliseconds = _alone(index, asked_qd)
    recall = _recall(found, exact.search(asked_qd, K).rows)
    return f"- {name}: {milliseconds:.2f} ms a query, recall@{K} {recall:.4f}"


def _alone(index: Index, asked_qd: np.ndarray) -> tuple[np.ndarray, float]:
    """Rows of each query, and milliseconds a query, asked one after the other."""
    index.search(asked_qd[:1], K)
    start = time.perf_counter()
    rows = [index.search(query[None], K).rows[0] for query in asked_qd]
    return np.stack(rows), (time.perf_counter() - start) / len(asked_qd) * 1e3


def _recall(found: np.ndarray, truth: np.ndarray) -> float:
    return float(np.mean([len({*a} & {*b}) / K for a, b in zip(found, truth, strict=True)]))


if __name__ == "__main__":
    main()
