"""Compares ScaNN as it is tuned here with HNSW graphs (hnswlib, USearch) at equal recall.

    pip install -e ".[benchmarks]"
    python benchmarks/scann_against_graphs.py --embeddings embeddings.npz [--recalls 0.95 0.99]
        [--indexes "all pairs" ScaNN hnswlib USearch]

Takes what augmented_embeddings.py wrote. Every index is built on all cores and searched for ten
neighbours on one core, one query after the other. A setting is chosen on the first half of the
queries: the one that `index tune` chooses for ScaNN, the least effort that reaches the recall for
the graphs. Its recall and speed are measured on the other half. The graphs have 16 links a node (32
in the lowest layer) and are built with an effort of 200. Memory is what the finished index adds to
the process that holds the embeddings.
"""

import argparse
import os
import time
from collections.abc import Callable

import numpy as np
from measured import measured
from shop_work import memory
from tabulate import tabulate

from fashion_jax.retrieval.exact import ExactIndex

K = 10
LINKS, BUILD_EFFORT = 16, 200
EFFORTS = (10, 14, 20, 28, 40, 56, 80, 112, 160, 226, 320, 452, 640, 905, 1280, 2560)

Search = Callable[[np.ndarray], np.ndarray]
Tuned = tuple[str, Search] | None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--embeddings", required=True)
    parser.add_argument("--recalls", type=float, nargs="+", default=[0.95, 0.99])
    parser.add_argument("--indexes", nargs="+", choices=KINDS, default=list(KINDS))
    arguments = parser.parse_args()
    given = np.load(arguments.embeddings)
    rows, dimensions = given["shop"].shape
    print(f"{rows:,} embeddings × {dimensions}, {len(given['asked']):,} queries, k = {K}")
    table = []
    for name in arguments.indexes:
        table += measured(_compare, name, arguments.embeddings, arguments.recalls)["rows"]
        print(table[-1], flush=True)
    columns = ["index", "build [s]", "memory [GiB]", "wanted", "setting", f"recall@{K}"]
    columns.append("queries/s/core")
    print(
        tabulate(
            table, columns, tablefmt="github", floatfmt=("", ".0f", ".2f", "", "", ".4f", ",.0f")
        )
    )


def _compare(name: str, embeddings: str, recalls: list[float]) -> dict:
    given = np.load(embeddings)
    shop_nd, asked_qd = given["shop"], given["asked"]
    truth = ExactIndex(shop_nd).search(asked_qd, K).rows
    half = len(asked_qd) // 2
    before, start = memory(), time.perf_counter()
    tune = KINDS[name](shop_nd)
    built = [time.perf_counter() - start, memory() - before]
    rows = []
    for wanted in recalls:
        setting, search = tune(wanted, asked_qd[:half], truth[:half]) or ("not reached", None)
        result = _measure(search, asked_qd[half:], truth[half:]) if search else (None, None)
        rows.append([name, *built, wanted, setting, *result])
    return {"rows": rows}


def _measure(search: Search, asked_qd: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Return recall, and queries a second."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    search(asked_qd[0])
    start = time.perf_counter()
    found = [search(query) for query in asked_qd]
    speed = len(asked_qd) / (time.perf_counter() - start)
    os.sched_setaffinity(0, cores)
    pairs = zip(found, truth, strict=True)
    return float(np.mean([len({*a} & {*b}) / K for a, b in pairs])), speed


# Each builds an index, and returns a function that chooses a setting.


def exact(shop_nd: np.ndarray) -> Callable[..., Tuned]:
    index = ExactIndex(shop_nd)
    return lambda *_: ("all pairs", lambda query: index.search(query[None], K).rows[0])


def scann(shop_nd: np.ndarray) -> Callable[..., Tuned]:
    from fashion_jax.retrieval.scann_index import ScannIndex
    from fashion_jax.retrieval.scann_tuning import TuningQueries, measure

    index = ScannIndex.build(shop_nd)

    def tune(wanted: float, asked_qd: np.ndarray, truth: np.ndarray) -> Tuned:
        chosen = measure(index, shop_nd, TuningQueries(asked_qd), wanted, K).chosen
        if chosen is None:
            return None
        reorder, leaves = chosen.reorder, chosen.leaves_to_search
        searched = index.searched_with(reorder, leaves)
        said = f"{leaves} of {index.settings.leaves} leaves, {reorder} candidates"
        return said, lambda query: searched.search(query[None], K).rows[0]

    return tune


def hnswlib(shop_nd: np.ndarray) -> Callable[..., Tuned]:
    import hnswlib as package

    index = package.Index("ip", shop_nd.shape[1])
    index.init_index(len(shop_nd), ef_construction=BUILD_EFFORT, M=LINKS)
    index.add_items(shop_nd, num_threads=os.cpu_count())
    return _least_effort(index.set_ef, lambda query: index.knn_query(query, K, num_threads=1)[0][0])


def usearch(shop_nd: np.ndarray) -> Callable[..., Tuned]:
    from usearch.index import Index

    index = Index(
        ndim=shop_nd.shape[1],
        metric="ip",
        dtype="f32",
        connectivity=LINKS,
        expansion_add=BUILD_EFFORT,
    )
    index.add(np.arange(len(shop_nd)), shop_nd, threads=os.cpu_count())
    return _least_effort(
        lambda effort: setattr(index, "expansion_search", effort),
        lambda query: index.search(query, K, threads=1).keys,
    )


def _least_effort(set_effort: Callable[[int], object], search: Search) -> Callable[..., Tuned]:
    def tune(wanted: float, asked_qd: np.ndarray, truth: np.ndarray) -> Tuned:
        for effort in EFFORTS:
            set_effort(effort)
            if _measure(search, asked_qd, truth)[0] >= wanted:
                return f"ef {effort}", search
        return None

    return tune


KINDS = {"all pairs": exact, "ScaNN": scann, "hnswlib": hnswlib, "USearch": usearch}


if __name__ == "__main__":
    main()
