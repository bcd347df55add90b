"""Compares ScaNN as it is tuned here with HNSW graphs (hnswlib, USearch) at equal recall.

    pip install -e ".[benchmarks]"
    python benchmarks/scann_against_graphs.py --embeddings embeddings.npz [--recalls 0.95 0.99]

Takes what augmented_embeddings.py wrote. Every index is built on all cores and searched for ten
neighbours on one core, one query after the other. The cheapest setting that reaches a recall on
the first half of the queries is then measured on the other half: that recall and speed are
printed. hnswlib's and USearch's graphs have 16 links a node (32 in the lowest layer) and an effort
of 200 in building. Memory is what building adds to the process, without the embeddings.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from measured import measured
from shop_work import memory
from tabulate import tabulate

from fashion_jax.retrieval.exact import ExactIndex

K = 10
LINKS, BUILD_EFFORT = 16, 200
EFFORTS = (10, 14, 20, 28, 40, 56, 80, 112, 160, 226, 320, 452, 640, 905, 1280, 2560)

Search = Callable[[np.ndarray], np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--embeddings", required=True)
    parser.add_argument("--recalls", type=float, nargs="+", default=[0.95, 0.99])
    arguments = parser.parse_args()
    given = np.load(arguments.embeddings)
    rows, dimensions = given["shop"].shape
    print(f"{rows:,} embeddings × {dimensions}, {len(given['asked']):,} queries, k = {K}")
    table = []
    for name in KINDS:
        table += measured(_compare, name, arguments.embeddings, arguments.recalls)["rows"]
        print(table[-1], flush=True)
    columns = ["index", "build [s]", "memory [GiB]", "wanted", "setting", f"recall@{K}"]
    columns.append("queries/s/core")
    print(tabulate(table, columns, tablefmt="github", floatfmt=("", ".0f", ".2f", "", "", ".4f", ",.0f")))


def _compare(name: str, embeddings: str, recalls: list[float]) -> dict:
    given = np.load(embeddings)
    shop_nd, asked_qd = given["shop"], given["asked"]
    truth = ExactIndex(shop_nd).search(asked_qd, K).rows
    half = len(asked_qd) // 2
    before, start = memory(), time.perf_counter()
    settings = KINDS[name](shop_nd)
    first = next(settings)
    built, size = time.perf_counter() - start, memory() - before
    os.sched_setaffinity(0, {0})  # one core for the searches
    rows, wanted = [], sorted(recalls)
    for setting, search in _chain(first, settings):
        while wanted and _recall(search, asked_qd[:half], truth[:half])[0] >= wanted[0]:
            recall, speed = _recall(search, asked_qd[half:], truth[half:])
            rows.append([name, built, size, wanted.pop(0), setting, recall, speed])
        if not wanted:
            break
    return {"rows": rows + [[name, built, size, each, "not reached", None, None] for each in wanted]}


def _chain(first: Any, rest: Iterator) -> Iterator:
    yield first
    yield from rest


def _recall(search: Search, asked_qd: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Return recall, and queries a second."""
    start = time.perf_counter()
    found = [search(query) for query in asked_qd]
    speed = len(asked_qd) / (time.perf_counter() - start)
    pairs = zip(found, truth, strict=True)
    return float(np.mean([len({*a} & {*b}) / K for a, b in pairs])), speed


# Each yields settings and searches, cheapest first; the index is built before the first one.


def exact(shop_nd: np.ndarray) -> Iterator[tuple[str, Search]]:
    index = ExactIndex(shop_nd)
    yield "all pairs", lambda query: index.search(query[None], K).rows[0]


def scann(shop_nd: np.ndarray) -> Iterator[tuple[str, Search]]:
    from fashion_jax.retrieval.scann_index import ScannIndex

    index = ScannIndex.build(shop_nd)
    leaves = index.settings.leaves
    yield "untuned", lambda query: np.full(K, -1)
    for share in (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 1.0):
        for reorder in (40, 100, 200):
            searched = index.searched_with(reorder, max(1, round(share * leaves)))
            yield f"{share:.1%} of {leaves} leaves, {reorder} reordered", _one(searched)
