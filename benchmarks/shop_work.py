"""The work that shop_catalogue.py gives to every store: a shop's photos, lists and queries."""

import io
import pathlib
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from large_catalogue import PER_PRODUCT, drawn
from PIL import Image

from fashion_jax.retrieval.exact import ExactIndex

K = 10
SHARES = {"all": None, "1 %": 1.0, "10 %": 10.0, "90 %": 90.0}  # prices are uniform in 0..100
COLOURS = ["red", "blue", "black", "white", "green", "beige", "pink"]
SIZES = ["XS", "S", "M", "L", "XL"]


def draw(folder: pathlib.Path, photos: int, dimensions: int, queries: int) -> dict:
    """Write embeddings, photos, lists and right answers."""
    shop_nd, asked_qd, more_nd = drawn(photos, dimensions)
    part = photos // 400
    new_nd = np.resize(more_nd, (2 * part, dimensions))  # of new photos, and of other bytes
    np.savez(folder / "embeddings.npz", shop=shop_nd, asked=asked_qd[:queries], new=new_nd)
    table = fields(photos)
    price = table["price"].to_numpy()
    truth = {}
    for share, limit in SHARES.items():
        rows = np.arange(photos) if limit is None else np.flatnonzero(price < limit)
        truth[share] = rows[ExactIndex(shop_nd[rows]).search(asked_qd[:queries], K).rows]
    np.savez(folder / "truth.npz", **truth)
    take_photos(folder / "photos", photos, 0)
    pa.csv.write_csv(as_list(table), folder / "feed.csv")
    prices = table.select(["product"]).slice(0, photos).to_pydict()["product"][::PER_PRODUCT]
    drawn_prices = np.random.default_rng(7).uniform(0, 100, len(prices)).round(2)
    listed = pa.table({"product": prices, "price": drawn_prices})
    pa.csv.write_csv(listed, folder / "prices.csv")
    pa.parquet.write_table(listed, folder / "prices.parquet")
    # The next list: the first `part` photos are gone, the next have other bytes, the next another
    # stock, and as many are new.
    changed = fields(photos + part).slice(part)
    stock = changed["stock"].to_numpy().copy()
    stock[part : 2 * part] += 1
    changed = changed.set_column(changed.column_names.index("stock"), "stock", pa.array(stock))
    every = np.repeat(np.append(drawn_prices, price[-1]), PER_PRODUCT)
    every = np.resize(every, photos + part)[part:]
    changed = changed.set_column(changed.column_names.index("price"), "price", pa.array(every))
    pa.csv.write_csv(as_list(changed), folder / "next.csv")
    pa.parquet.write_table(changed, folder / "next.parquet")
    return {}


def fields(photos: int) -> pa.Table:
    """Names, products and ten fields of the first photos."""
    rng = np.random.default_rng(6)
    products = -(-photos // PER_PRODUCT)
    columns: dict[str, Any] = {
        "price": [],
        "stock": [],
        "rating": [],
        "sale": [],
        "colour": [],
        "size": [],
        "day": [],
    }
    for start in range(0, products, 1000):  # equal for the same product, whatever comes after it
        rng = np.random.default_rng([6, start])
        columns["price"].append(rng.uniform(0, 100, 1000).round(2))
        columns["stock"].append(rng.integers(0, 50, 1000))
        columns["rating"].append(rng.uniform(1, 5, 1000).round(1))
        columns["sale"].append(rng.random(1000) < 0.2)
        columns["colour"].append(rng.integers(0, len(COLOURS), 1000))
        columns["size"].append(rng.integers(1, len(SIZES), 1000))
        columns["day"].append(rng.integers(0, 365, 1000))
    drawn_of = {name: np.concatenate(parts)[:products] for name, parts in columns.items()}
    row = {name: np.repeat(values, PER_PRODUCT)[:photos] for name, values in drawn_of.items()}
    product = np.arange(photos) // PER_PRODUCT
    day = np.datetime64("2026-01-01", "us") + row["day"].astype("timedelta64[D]")
    return pa.table(
        {
            "photo": [f"{n % 400:03d}/{n:06d}.jpg" for n in range(photos)],
            "product": [f"SKU-{n:06d}" for n in product],
            "category": [f"category {n % 11}" for n in product],
            "name": [f"garment {n:06d}" for n in product],
            "brand": [f"brand {n % 500}" for n in product],
            "colour": np.array(COLOURS)[row["colour"]].tolist(),
            "price": row["price"],
            "stock": row["stock"].astype(float),
            "rating": row["rating"],
            "sale": row["sale"],
            "added": pa.array(day, pa.timestamp("us", "UTC")),
            "sizes": [SIZES[:n] for n in row["size"]],
            "page": [f"https://shop.example/garments/{n:06d}" for n in product],
        }
    )


def as_list(table: pa.Table) -> pa.Table:
    """The table as CSV can hold it."""
    sizes = ["|".join(each) for each in table["sizes"].to_pylist()]
    added = [each.isoformat() for each in table["added"].to_pylist()]
    for name, values in {"sizes": sizes, "added": added}.items():
        table = table.set_column(table.column_names.index(name), name, pa.array(values))
    return table


def take_photos(folder: pathlib.Path, photos: int, first: int) -> None:
    """Write small JPEG files, no two of the same bytes."""
    file = io.BytesIO()
    Image.new("RGB", (32, 32), (200, 30, 60)).save(file, "JPEG")
    start, rest = file.getvalue()[:2], file.getvalue()[2:]
    for number in range(400):
        (folder / f"{number:03d}").mkdir(parents=True, exist_ok=True)
    for number in range(first, first + photos):
        comment = b"\xff\xfe\x00\x0a" + b"%08d" % number
        path = folder / f"{number % 400:03d}/{number:06d}.jpg"
        path.write_bytes(start + comment + rest)


def memory() -> float:
    """Memory of this process [GiB], mapped files included."""
    status = pathlib.Path("/proc/self/status").read_text().splitlines()
    (line,) = [line for line in status if line.startswith("VmRSS")]
    return int(line.split()[1]) / 2**20


def asked(
    ask: Callable[[np.ndarray, float | None], list[int]], folder: str
) -> dict[str, tuple[np.ndarray, float]]:
    """Rows and milliseconds of all queries, by condition."""
    queries = np.load(f"{folder}/embeddings.npz")["asked"]
    found = {}
    for share, limit in SHARES.items():
        ask(queries[0], limit)
        start = time.perf_counter()
        rows = [ask(query, limit) for query in queries]
        seconds = time.perf_counter() - start
        found[share] = np.array(rows), seconds / len(queries) * 1e3
    return found
