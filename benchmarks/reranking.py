"""Measures k-reciprocal re-ranking with sparse encodings and with dense matrices.

    python benchmarks/reranking.py [--photos 100000] [--compared 8000] [--dimensions 512]

Runs ours on a large gallery, with a tenth of the photos as queries, each against all others; then
ours and the dense algorithm (`dense_reranking.py`) on the same few photos. Each runs in its own
process, one after the other.
"""

import argparse
import os

import numpy as np
from dense_reranking import dense_reranking
from measured import clustered, measured, timed
from tabulate import tabulate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--photos", type=int, default=100_000, help="0: only the comparison")
    parser.add_argument("--compared", type=int, default=8_000, help="photos of the comparison")
    parser.add_argument("--dimensions", type=int, default=512)
    arguments = parser.parse_args()
    few, many, dimensions = arguments.compared, arguments.photos, arguments.dimensions
    dense = measured(by_dense, few, dimensions)
    sparse = measured(by_sparse, few, dimensions)
    rows = [("dense", few, dense["seconds"], dense["peak"], None)]
    rows.append(("ours", few, sparse["seconds"], sparse["peak"], sparse["need"]))
    if many:
        large = measured(by_sparse, many, dimensions)
        rows.append(("ours", many, large["seconds"], large["peak"], large["need"]))
    print(f"{os.cpu_count()} cores, {dimensions} dimensions; a tenth of the photos are queries\n")
    headers = ["", "photos", "seconds", "peak [GiB]", "estimated [GiB]"]
    print(tabulate(rows, headers, floatfmt=".2f", intfmt=",", tablefmt="github"))
    print(f"\ndense / ours at {few:,} photos: {dense['seconds'] / sparse['seconds']:.1f}")
    apart = np.abs(dense["distances"] - sparse["distances"]).max()
    print(f"largest difference of a distance there: {apart:.1e} (the dense one sums in float16)")


def photos(count: int, dimensions: int) -> tuple[np.ndarray, np.ndarray]:
    """Queries and gallery of products with five photos each."""
    everything = clustered(count, dimensions, 5, seed=4)
    return everything[: count // 10], everything[count // 10 :]


def by_dense(count: int, dimensions: int) -> dict:
    seconds, distances = timed(dense_reranking, *photos(count, dimensions))
    return {"seconds": seconds, "distances": distances[:50]}


def by_sparse(count: int, dimensions: int) -> dict:
    from fashion_jax.retrieval.k_reciprocal import KReciprocalConfig
    from fashion_jax.retrieval.rerank import Reranked, memory_need

    queries, gallery = photos(count, dimensions)

    def rerank() -> np.ndarray:
        reranked = Reranked(queries, gallery)
        first = None
        for start in range(0, len(queries), 256):
            rows = np.arange(start, min(start + 256, len(queries)))
            distances = reranked.distances(rows)
            first = distances[:50] if first is None else first
        return first

    seconds, first = timed(rerank)
    need = memory_need(count, dimensions, KReciprocalConfig()) / 2**30
    return {"seconds": seconds, "distances": first, "need": need}


if __name__ == "__main__":
    main()
