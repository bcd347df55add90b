"""Measures a shop's catalogue of 400,000 photos beside Milvus-lite and LanceDB, on the same work.

    pip install -e ".[benchmarks,milvus]"
    python benchmarks/shop_catalogue.py [--photos 400000] [--dimensions 320] [--queries 200]
        [--stores fashion-jax lancedb milvus-lite]

Four photos a product, ten fields, drawn embeddings. Every step runs in its own process, on the
store that the previous step left:

- build: embeddings and fields are stored, the index is built; then ours is tuned to a recall of
  0.99 for photos of its own.
- open: from nothing to the answer of a first search; memory is what that adds to the process,
  mapped files included.
- search: queries one after the other, for ten photos, with no condition and with conditions on the
  price that 1 %, 10 % and 90 % of the photos meet; recall against all pairs.
- prices: another price for every product, that is for every photo.
- sync: the shop's next list, in which a quarter per cent each of the photos is new, is gone, has
  other bytes, or another stock. fashion-jax reads the whole list and looks at all files to find
  that out, with a model that takes no time; the others are told what changed.
- disk: size of the store after that.

Indexes: ScaNN as `index build` makes it, IVF_HNSW_SQ with refinement for LanceDB, IVF_FLAT for
Milvus-lite, which has no better one that opens again.
"""

import argparse
import os
import pathlib
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from large_catalogue import THUMBNAIL, card
from measured import measured, timed
from shop_peers import PEERS
from shop_work import SHARES, K, asked, draw, memory, take_photos
from tabulate import tabulate

RECALL = 0.99  # that `index tune` is asked for


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--photos", type=int, default=400_000)
    parser.add_argument("--dimensions", type=int, default=320)
    parser.add_argument("--queries", type=int, default=200)
    stores = {"fashion-jax": OURS} | PEERS
    parser.add_argument("--stores", nargs="+", choices=stores, default=list(stores))
    arguments = parser.parse_args()
    print(f"{arguments.photos:,} photos × {arguments.dimensions}, {os.cpu_count()} cores, k = {K}")
    columns: dict[str, list] = {}
    with tempfile.TemporaryDirectory() as folder:
        sizes = arguments.photos, arguments.dimensions, arguments.queries
        measured(draw, pathlib.Path(folder), *sizes)
        for name in arguments.stores:
            columns[name] = _column(name, stores[name], folder)
    names = [
        "build [s]",
        "tune [s]",
        "memory of build [GiB]",
        "open [s]",
        "memory [GiB]",
        *(f"search, {share}: ms (recall@{K})" for share in SHARES),
        "memory after searches [GiB]",
        "prices [s]",
        "sync [s]",
        "disk [GiB]",
    ]
    rows = zip(names, *columns.values(), strict=True)
    print(tabulate(rows, ["", *columns], tablefmt="github", disable_numparse=True))


def _column(name: str, steps: dict[str, Callable], folder: str) -> list[str]:
    store = f"{folder}/{name}"
    found = {}
    for step, function in steps.items():
        found[step] = measured(function, store, folder)
        said = {key: value for key, value in found[step].items() if key not in SHARES}
        print(f"{name}, {step}: {said}", flush=True)
    truth = np.load(f"{folder}/truth.npz")
    searches = []
    for share in SHARES:
        rows, milliseconds = found["search"][share]
        pairs = zip(rows, truth[share], strict=True)
        recall = np.mean([len({*a} & {*b}) / K for a, b in pairs])
        searches.append(f"{milliseconds:.1f} ({recall:.3f})")
    files = list(pathlib.Path(folder).glob(f"{name}*"))
    files += [path for top in files for path in top.rglob("*")]
    disk = sum(path.stat().st_size for path in files if path.is_file())
    tuned = found["build"].get("tune")
    return [
        f"{found['build']['seconds']:.1f}",
        f"{tuned:.1f}" if tuned else "",
        f"{found['build']['peak']:.1f}",
        f"{found['open']['seconds']:.1f}",
        f"{found['open']['memory']:.2f}",
        *searches,
        f"{found['search']['memory']:.2f}",
        f"{found['prices']['seconds']:.1f}",
        f"{found['sync']['seconds']:.1f}",
        f"{disk / 2**30:.2f}",
    ]


def build(store: str, folder: str) -> dict:
    from fashion_jax.retrieval.catalogue import Catalogue
    from fashion_jax.retrieval.catalogue.item_table import ItemTable
    from fashion_jax.serving.new_photos import Defaults, read_list
    from fashion_jax.serving.photo_files import add_file_facts
    from fashion_jax.serving.tune_index import tune

    feed, photos = pathlib.Path(folder, "feed.csv"), pathlib.Path(folder, "photos")
    reading, items = timed(read_list, feed, photos, Defaults(), {"sizes": "texts"})
    hashing, (items, _) = timed(add_file_facts, items, ItemTable.of([]), False, False)
    numbers = [_number(photo) for photo in items.column("photo_id").to_pylist()]
    shop_nd = np.load(f"{folder}/embeddings.npz")["shop"][numbers]
    parts = shop_nd, items, (THUMBNAIL for _ in numbers), card(shop_nd.shape[1]), "scann"
    seconds, _ = timed(Catalogue.write, store, *parts)
    tuning, tuned = timed(lambda: tune(store, RECALL, K, draw=False, progress=False))
    print(tuned.to_table())
    return {"seconds": seconds, "tune": tuning, "read_list": reading, "hash_files": hashing}


def _number(photo: str) -> int:
    return int(pathlib.PurePath(photo).stem)


def open_store(store: str, folder: str) -> dict:
    query = np.load(f"{folder}/embeddings.npz")["asked"][:1]
    before = memory()

    def first() -> Any:
        from fashion_jax.retrieval.catalogue import Catalogue

        catalogue = Catalogue.open(store)
        catalogue.search(query, K, catalogue.card)
        return catalogue

    seconds, _ = timed(first)
    return {"seconds": seconds, "memory": memory() - before}


def search(store: str, folder: str) -> dict:
    from fashion_jax.retrieval.catalogue import Catalogue

    before = memory()
    catalogue = Catalogue.open(store)

    def ask(query: np.ndarray, limit: float | None) -> list[int]:
        where = [] if limit is None else [f"price<{limit}"]
        (hits,) = catalogue.search(query[None], K, catalogue.card, where)
        return [_number(hit.item.photo_id) for hit in hits]

    return {**asked(ask, folder), "memory": memory() - before}


def prices(store: str, folder: str) -> dict:
    from fashion_jax.serving.update_index import update_index

    seconds, result = timed(update_index, store, f"{folder}/prices.csv")
    return {"seconds": seconds, "said": result.to_table()}


class NoNetwork:
    """A model that knows the embeddings of new photos."""

    def __init__(self, new_nd: np.ndarray) -> None:
        self.new_nd, self.card = new_nd, card(new_nd.shape[1])

    def embed(self, photos: Iterator) -> np.ndarray:
        """Embeddings of photos, whatever they show."""
        return self.new_nd[: sum(1 for _ in photos)]


def sync(store: str, folder: str) -> dict:
    from fashion_jax.serving import sync_index as module

    embeddings = np.load(f"{folder}/embeddings.npz")
    photos, part = len(embeddings["shop"]), len(embeddings["new"]) // 2
    model = NoNetwork(embeddings["new"])
    take_photos(pathlib.Path(folder, "photos"), part, photos)
    for number in range(part, 2 * part):
        path = pathlib.Path(folder, "photos", f"{number % 400:03d}/{number:06d}.jpg")
        data = path.read_bytes()
        path.write_bytes(data.replace(b"%08d" % number, b"%08d" % (number + 10**7)))
    module.load_model = lambda workdir: model
    files = f"{folder}/next.csv", f"{folder}/photos", store
    seconds, result = timed(lambda: module.sync_index("no run", *files, progress=False))
    return {"seconds": seconds, "said": result.to_table()}


OURS = {"build": build, "open": open_store, "search": search, "prices": prices, "sync": sync}


if __name__ == "__main__":
    main()
