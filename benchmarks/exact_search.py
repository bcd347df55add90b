"""Compares exact search with the bare matrix products, and with FAISS.

    python benchmarks/exact_search.py [--queries 10000] [--gallery 400000] [--dimensions 512]

Finds the k nearest of a gallery for all queries: by `ExactIndex`, by FAISS's flat index, and by the
products alone, block by block (1,024 queries × 8,192 photos), in NumPy and in JAX. Each runs in its
own process on the same cores, one after the other. The speed of a machine drifts, so all of them
take several turns and medians are compared. Each does the same work once before it is timed, so
that programs are compiled and threads started. Peak memory is that of the whole process, with the
gallery; the size of gallery and queries is printed as well. Needs the extra `benchmarks`.
"""

import argparse
import os

import numpy as np
from measured import clustered, measured, timed
from tabulate import tabulate

OURS, FAISS = "fashion-jax ExactIndex", "FAISS IndexFlatIP"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--gallery", type=int, default=400_000)
    parser.add_argument("--dimensions", type=int, default=512)
    parser.add_argument("--k", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3, help="rounds whose medians are compared")
    arguments = parser.parse_args()
    size = (arguments.queries, arguments.gallery, arguments.dimensions, arguments.k)
    peers = {
        OURS: ours,
        FAISS: faiss_flat,
        "products alone, JAX": jax_products,
        "products alone, NumPy": numpy_products,
    }
    runs: dict[str, list[dict]] = {name: [] for name in peers}
    for _ in range(arguments.rounds):
        for name, peer in peers.items():
            runs[name].append(measured(peer, *size))
    medians = {name: np.median([run["seconds"] for run in found]) for name, found in runs.items()}
    rows = [
        (
            name,
            medians[name],
            ", ".join(f"{run['seconds']:.1f}" for run in found),
            medians[OURS] / medians[name],
            max(run["peak"] for run in found),
        )
        for name, found in runs.items()
    ]
    print(f"{size[0]:,} queries × {size[1]:,} photos × {size[2]}, k = {size[3]}")
    print(f"{os.cpu_count()} cores, {arguments.rounds} rounds")
    print(f"gallery and queries: {(size[0] + size[1]) * size[2] * 4 / 2**30:.2f} GiB\n")
    headers = ["", "median [s]", "rounds [s]", "ours / its", "peak [GiB]"]
    print(tabulate(rows, headers, floatfmt=".2f", tablefmt="github"))
    same = np.mean(runs[OURS][0]["rows"] == runs[FAISS][0]["rows"])
    print(f"\nshare of our rows that equal FAISS's in the same place: {same:.6f}")


def data(queries: int, gallery: int, dimensions: int) -> tuple[np.ndarray, np.ndarray]:
    """Queries and a gallery of products with four photos each."""
    return (
        clustered(queries, dimensions, 1, seed=1),
        clustered(gallery, dimensions, 4, seed=2),
    )


def ours(queries: int, gallery: int, dimensions: int, k: int) -> dict:
    from fashion_jax.retrieval.exact import ExactIndex

    queries_qd, gallery_gd = data(queries, gallery, dimensions)
    index = ExactIndex(gallery_gd)
    index.search(queries_qd, k)
    seconds, found = timed(index.search, queries_qd, k)
    return {"seconds": seconds, "rows": found.rows}


def faiss_flat(queries: int, gallery: int, dimensions: int, k: int) -> dict:
    import faiss

    queries_qd, gallery_gd = data(queries, gallery, dimensions)
    faiss.omp_set_num_threads(os.cpu_count())
    index = faiss.IndexFlatIP(dimensions)
    index.add(gallery_gd)
    index.search(queries_qd, k)
    seconds, (_, rows) = timed(index.search, queries_qd, k)
    return {"seconds": seconds, "rows": rows}


def numpy_products(queries: int, gallery: int, dimensions: int, k: int) -> dict:
    queries_qd, gallery_gd = data(queries, gallery, dimensions)

    def products() -> None:
        for q in range(0, queries, 1024):
            for g in range(0, gallery, 8192):
                queries_qd[q : q + 1024] @ gallery_gd[g : g + 8192].T

    products()
    return {"seconds": timed(products)[0]}


def jax_products(queries: int, gallery: int, dimensions: int, k: int) -> dict:
    import jax
    import jax.numpy as jnp

    queries_qd, gallery_gd = data(queries, gallery, dimensions)
    product = jax.jit(lambda q, g: jnp.matmul(q, g.T, precision="highest"))
    on_device = jnp.asarray(gallery_gd)
    parts = [on_device[g : g + 8192] for g in range(0, gallery, 8192)]

    def products() -> None:
        for q in range(0, queries, 1024):
            part_qd = jnp.asarray(queries_qd[q : q + 1024])
            for part_gd in parts:
                product(part_qd, part_gd).block_until_ready()

    products()
    return {"seconds": timed(products)[0]}


if __name__ == "__main__":
    main()
