"""Measures building, tuning, searching and changing a catalogue of 400,000 photos.

    python benchmarks/large_catalogue.py [--photos 400000] [--dimensions 512] [--recall 0.99]
        [--folder DIR]

Uses drawn embeddings of products with four photos each, a hundred products per style, with ScaNN's
index. Each step runs in its own process, on the catalogue that the previous step left. Queries are
additional photos of the products. Searches are compared with exact search of the same catalogue,
also after photos were added and removed. Peak memory is that of the whole process, which in some
steps includes the drawn embeddings.
"""

import argparse
import os
import pathlib
import tempfile
from collections.abc import Callable

import numpy as np
from measured import clustered, measured, timed
from tabulate import tabulate

from fashion_jax.inference.card import ModelCard

PER_PRODUCT = 4
PER_STYLE = 100  # products
CHANGED = 1000  # photos that are added, and removed, and queries
THUMBNAIL = b"\xff\xd8\xff" + np.random.default_rng(0).bytes(4000)  # about what one takes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--photos", type=int, default=400_000)
    parser.add_argument("--dimensions", type=int, default=512)
    parser.add_argument("--recall", type=float, default=0.99)
    parser.add_argument("--folder", help="folder to keep the catalogue in (default: it is removed)")
    arguments = parser.parse_args()
    size = arguments.photos, arguments.dimensions
    print(f"{size[0]:,} photos × {size[1]}, {os.cpu_count()} cores")
    print(f"embeddings: {size[0] * size[1] * 4 / 2**30:.2f} GiB")
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or temporary
        rows = [_row(name, step, folder, *size, arguments.recall) for name, step in STEPS.items()]
        curve = (pathlib.Path(folder) / "curve.txt").read_text()
    headers = ["", "seconds", "peak [GiB]", "on disk [GiB]", ""]
    print(tabulate(rows, headers, floatfmt=("", ".2f", ".2f", ".2f"), tablefmt="github"))
    print(f"\n{curve}")


def _row(name: str, step: Callable, folder: str, *size: float) -> tuple:
    found = measured(step, folder, *size)
    files = [path for path in pathlib.Path(folder, "index").rglob("*") if path.is_file()]
    disk = sum(path.stat().st_size for path in files) / 2**30
    print(f"{name}: {found['seconds']:.1f} s", flush=True)
    return name, found["seconds"], found["peak"], disk, found.get("said", "")


def build(folder: str, photos: int, dimensions: int, recall: float) -> dict:
    from fashion_jax.retrieval.catalogue import Catalogue

    shop_nd = drawn(photos, dimensions)[0]
    parts = shop_nd, _items(0, photos), (THUMBNAIL for _ in range(photos))
    seconds, _ = timed(Catalogue.write, f"{folder}/index", *parts, card(dimensions), "scann")
    return {"seconds": seconds}


def tune(folder: str, photos: int, dimensions: int, recall: float) -> dict:
    from fashion_jax.serving.tune_index import tune as tune_catalogue

    asked_qd = drawn(photos, dimensions)[1]
    seconds, tuned = timed(
        lambda: tune_catalogue(f"{folder}/index", recall, queries=asked_qd, progress=False)
    )
    pathlib.Path(folder, "curve.txt").write_text(tuned.to_table().split("\n\ncurve")[0])
    return {"seconds": seconds}


def search(folder: str, photos: int, dimensions: int, recall: float) -> dict:
    """Time all queries at once and one after the other; measure recall against exact search."""
    from fashion_jax.retrieval.catalogue import Catalogue
    from fashion_jax.retrieval.exact import ExactIndex

    asked_qd = drawn(photos, dimensions)[1]
    opening, catalogue = timed(Catalogue.open, f"{folder}/index")
    index = catalogue.index
    index.search(asked_qd[:1], 10)
    seconds, found = timed(index.search, asked_qd, 10)
    alone, _ = timed(lambda: [index.search(one[None], 10) for one in asked_qd[:200]])
    exact = ExactIndex(catalogue.embeddings).search(asked_qd, 10)
    same = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found.rows, exact.rows, strict=True)])
    said = (
        f"{CHANGED:,} queries of {len(catalogue):,} photos; one alone {alone / 200 * 1e3:.1f} ms; "
        f"recall@10 {same:.4f}; opening {opening:.1f} s"
    )
    return {"seconds": seconds, "said": said}


def add(folder: str, photos: int, dimensions: int, recall: float) -> dict:
    from fashion_jax.retrieval.catalogue.changes import add_photos

    new_nd = drawn(photos, dimensions)[2]
    parts = new_nd, _items(photos, CHANGED), [THUMBNAIL] * CHANGED
    seconds, _ = timed(add_photos, f"{folder}/index", *parts, card(dimensions))
    return {"seconds": seconds, "said": f"{CHANGED:,} photos"}


def remove(folder: str, photos: int, dimensions: int, recall: float) -> dict:
    from fashion_jax.retrieval.catalogue.changes import remove_photos

    every = photos // CHANGED
    gone = [f"{number}.jpg" for number in range(0, every * CHANGED, every)]
    seconds, _ = timed(remove_photos, f"{folder}/index", gone)
    return {"seconds": seconds, "said": f"{CHANGED:,} photos"}


def compact(folder: str, photos: int, dimensions: int, recall: float) -> dict:
    from fashion_jax.retrieval.catalogue.changes import compact as compact_catalogue

    return {"seconds": timed(compact_catalogue, f"{folder}/index")[0]}


STEPS = {
    "build": build,
    "tune": tune,
    "search": search,
    "add": add,
    "remove": remove,
    "search then": search,
    "compact": compact,
}


def drawn(photos: int, dimensions: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Photos of a shop, queries for its products, and photos of its products to be added.

    Products of a style have directions with a cosine of 1/2, and so have photos of a product.
    """
    products = photos // PER_PRODUCT
    product_nd = clustered(products, dimensions, PER_STYLE, seed=4, noise=1.0)
    rng = np.random.default_rng(5)

    def photos_of(product: np.ndarray) -> np.ndarray:
        noise = rng.standard_normal((len(product), dimensions), dtype=np.float32)
        noise /= np.linalg.norm(noise, axis=1, keepdims=True)
        noise += product_nd[product]
        noise /= np.linalg.norm(noise, axis=1, keepdims=True)
        return noise

    asked, new = (rng.choice(products, CHANGED, replace=False) for _ in range(2))
    shop = np.arange(photos) // PER_PRODUCT
    return photos_of(shop), photos_of(asked), photos_of(new)


def _items(first: int, count: int) -> list:
    from fashion_jax.retrieval.catalogue import Item

    return [
        Item(f"{number}.jpg", str(number // PER_PRODUCT), f"category {number % 11}", "shop")
        for number in range(first, first + count)
    ]


def card(dimensions: int) -> ModelCard:
    """Card of a model that could have made the embeddings."""
    return ModelCard(
        backbone="resnet50",
        last_stride=1,
        stem_relu=True,
        stem_pool="padded",
        pooling="average",
        gem_power=3.0,
        neck="bnneck",
        normalisation="l2",
        metric="cosine",
        embedding_width=dimensions,
        image_height=256,
        image_width=128,
        pixel_mean=(123.675, 116.28, 103.53),
        pixel_std=(58.395, 57.12, 57.375),
        weights_hash="drawn",
        dataset="drawn",
        step=0,
    )


if __name__ == "__main__":
    main()
