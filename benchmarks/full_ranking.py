"""Times exact metrics over full rankings of a whole catalogue.

    python benchmarks/full_ranking.py [--queries 10000] [--gallery 400000] [--dimensions 512]
        [--protocols instance in_category item centroid]

Ranks drawn embeddings of products with four photos each in eleven categories by each protocol, and
compares with the matrix products alone; each in its own process, one after the other.
"""

import argparse
import os

import numpy as np
from exact_search import numpy_products
from measured import clustered, measured, timed
from tabulate import tabulate

PER_PRODUCT = 4
PROTOCOLS = ("instance", "in_category", "item", "centroid")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--gallery", type=int, default=400_000)
    parser.add_argument("--dimensions", type=int, default=512)
    parser.add_argument("--protocols", nargs="+", default=PROTOCOLS)
    arguments = parser.parse_args()
    size = (arguments.queries, arguments.gallery, arguments.dimensions)
    bare = measured(numpy_products, *size, 1)
    rows = []
    for protocol in arguments.protocols:
        found = measured(evaluate, *size, protocol)
        mean = found["metrics"][f"{protocol}/mAP"]
        rows.append((protocol, found["seconds"], found["intervals"], mean, found["peak"]))
    rows.append(("products alone", bare["seconds"], None, None, bare["peak"]))
    print(f"{size[0]:,} queries × {size[1]:,} photos × {size[2]}; {os.cpu_count()} cores")
    print(f"gallery and queries: {sum(size[:2]) * size[2] * 4 / 2**30:.2f} GiB\n")
    headers = ["", "ranking [s]", "metrics, intervals [s]", "mAP", "peak [GiB]"]
    print(tabulate(rows, headers, floatfmt=("", ".1f", ".1f", ".4f", ".2f"), tablefmt="github"))


def evaluate(queries: int, gallery: int, dimensions: int, protocol: str) -> dict:
    from fashion_jax.metrics.labels import Labels
    from fashion_jax.metrics.ranking import rank_embeddings

    everything = clustered(gallery + queries, dimensions, PER_PRODUCT + 1, seed=3)
    product = np.arange(len(everything)) // (PER_PRODUCT + 1)
    asked = np.zeros(len(everything), dtype=bool)
    asked[np.arange(queries) * (PER_PRODUCT + 1)] = True

    def labels(rows: np.ndarray) -> Labels:
        identity = product[rows]
        return Labels(identity, identity % 11, photo_id=np.flatnonzero(rows))

    arguments = everything[asked], everything[~asked], labels(asked), labels(~asked)
    del everything
    seconds, ranking = timed(rank_embeddings, *arguments, protocol)
    after, _ = timed(lambda: ranking.metrics() | ranking.intervals())
    return {"seconds": seconds, "intervals": after, "metrics": ranking.metrics()}


if __name__ == "__main__":
    main()
