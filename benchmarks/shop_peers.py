"""The work of shop_catalogue.py as LanceDB and Milvus-lite do it."""

import pathlib
import time
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from shop_work import K, asked, fields, memory

_AT_ONCE = 10_000  # rows of a request


def _next(folder: str) -> tuple[pa.Table, list[str]]:
    """New and other rows of the next list, with embeddings; photos that are gone."""
    stored = np.load(f"{folder}/embeddings.npz")
    photos, part = len(stored["shop"]), len(stored["new"]) // 2
    table = pa.parquet.read_table(f"{folder}/next.parquet")
    changed = pa.concat_tables([table.slice(0, 2 * part), table.slice(photos - part)])
    vectors = [stored["new"][:part], stored["shop"][2 * part : 3 * part], stored["new"][part:]]
    gone = fields(photos).slice(0, part)["photo"].to_pylist()
    return _with_vectors(changed, np.concatenate(vectors)), gone


def _with_vectors(table: pa.Table, embeddings_nd: np.ndarray) -> pa.Table:
    values = pa.array(embeddings_nd.ravel())
    return table.append_column(
        "vector", pa.FixedSizeListArray.from_arrays(values, embeddings_nd.shape[1])
    )


def _prices(folder: str) -> dict[str, float]:
    """The new prices, by product."""
    table = pa.parquet.read_table(f"{folder}/prices.parquet").to_pydict()
    return dict(zip(table["product"], table["price"], strict=True))


def _number(photo: str) -> int:
    return int(pathlib.PurePath(photo).stem)


# ----------------------------------------------------------------------------------- LanceDB


def _lance(store: str) -> Any:
    import lancedb

    return lancedb.connect(store).open_table("photos")


def lance_build(store: str, folder: str) -> dict:
    import lancedb

    shop_nd = np.load(f"{folder}/embeddings.npz")["shop"]
    table = _with_vectors(fields(len(shop_nd)), shop_nd)
    start = time.perf_counter()
    photos = lancedb.connect(store).create_table("photos", table)
    photos.create_index("cosine", index_type="IVF_HNSW_SQ")
    photos.create_scalar_index("price")
    photos.create_scalar_index("photo")
    photos.wait_for_index([index.name for index in photos.list_indices()])
    return {"seconds": time.perf_counter() - start}


def lance_open(store: str, folder: str) -> dict:
    query, before = np.load(f"{folder}/embeddings.npz")["asked"][0], memory()
    start = time.perf_counter()
    _lance_ask(_lance(store), query, None)
    return {"seconds": time.perf_counter() - start, "memory": memory() - before}


def lance_search(store: str, folder: str) -> dict:
    before, photos = memory(), _lance(store)
    found = asked(lambda query, limit: _lance_ask(photos, query, limit), folder)
    return {**found, "memory": memory() - before}


def _lance_ask(photos: Any, query: np.ndarray, limit: float | None) -> list[int]:
    search = photos.search(query).distance_type("cosine").refine_factor(5).limit(K)
    if limit is not None:
        search = search.where(f"price < {limit}", prefilter=True)
    names = search.select(["photo", "_distance"]).to_arrow()["photo"].to_pylist()
    found = [_number(photo) for photo in names]
    return found + [-1] * (K - len(found))


def lance_prices(store: str, folder: str) -> dict:
    prices, photos = _prices(folder), _lance(store)
    start = time.perf_counter()
    names = photos.search().select(["photo", "product"]).limit(None).to_arrow()
    names = names.select(["photo", "product"])
    price = pa.array([prices[product] for product in names["product"].to_pylist()])
    changed = names.select(["photo"]).append_column("price", price)
    photos.merge_insert("photo").when_matched_update_all().execute(changed)
    photos.optimize()
    return {"seconds": time.perf_counter() - start}


def lance_sync(store: str, folder: str) -> dict:
    (changed, gone), photos = _next(folder), _lance(store)
    start = time.perf_counter()
    merge = photos.merge_insert("photo").when_matched_update_all().when_not_matched_insert_all()
    merge.execute(changed)
    photos.delete(f"photo IN ({', '.join(map(repr, gone))})")
    photos.optimize()
    return {"seconds": time.perf_counter() - start}


# ------------------------------------------------------------------------------- Milvus-lite


def _milvus(store: str) -> Any:
    from pymilvus import MilvusClient

    client = MilvusClient(f"{store}.db")
    client.load_collection("photos")
    return client


def _rows(table: pa.Table) -> list[dict]:
    """Rows as Milvus takes them, which has no times."""
    rows = table.to_pylist()
    for row in rows:
        row["added"] = int(row["added"].timestamp())
    return rows


def milvus_build(store: str, folder: str) -> dict:
    from pymilvus import DataType, MilvusClient

    shop_nd = np.load(f"{folder}/embeddings.npz")["shop"]
    table = _with_vectors(fields(len(shop_nd)), shop_nd)
    start = time.perf_counter()
    client = MilvusClient(f"{store}.db")
    schema = MilvusClient.create_schema(auto_id=False)
    schema.add_field("photo", DataType.VARCHAR, max_length=64, is_primary=True)
    for name in ("product", "category", "name", "brand", "colour", "page"):
        schema.add_field(name, DataType.VARCHAR, max_length=128)
    for name in ("price", "stock", "rating"):
        schema.add_field(name, DataType.DOUBLE)
    schema.add_field("sale", DataType.BOOL)
    schema.add_field("added", DataType.INT64)
    size = {"element_type": DataType.VARCHAR, "max_length": 8}
    schema.add_field("sizes", DataType.ARRAY, max_capacity=8, **size)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=shop_nd.shape[1])
    client.create_collection("photos", schema=schema)
    for first in range(0, len(shop_nd), _AT_ONCE):
        client.insert("photos", _rows(table.slice(first, _AT_ONCE)))
    lists = round(len(shop_nd) ** 0.5)
    index = client.prepare_index_params()
    how = {"index_type": "IVF_FLAT", "metric_type": "IP", "params": {"nlist": lists}}
    index.add_index("vector", **how)
    client.create_index("photos", index)
    client.load_collection("photos")
    seconds = time.perf_counter() - start
    client.close()
    return {"seconds": seconds}


def milvus_open(store: str, folder: str) -> dict:
    query, before = np.load(f"{folder}/embeddings.npz")["asked"][0], memory()
    start = time.perf_counter()
    _milvus_ask(_milvus(store), query, None, 1)
    return {"seconds": time.perf_counter() - start, "memory": memory() - before}


def milvus_search(store: str, folder: str) -> dict:
    before, client = memory(), _milvus(store)
    photos = len(np.load(f"{folder}/embeddings.npz")["shop"])
    probes = round(photos**0.5 / 5)  # a fifth of the lists, as ScaNN's default
    found = asked(lambda query, limit: _milvus_ask(client, query, limit, probes), folder)
    return {**found, "memory": memory() - before}


def _milvus_ask(client: Any, query: np.ndarray, limit: float | None, probes: int) -> list[int]:
    condition = "" if limit is None else f"price < {limit}"
    (hits,) = client.search(
        "photos",
        [query.tolist()],
        filter=condition,
        limit=K,
        search_params={"params": {"nprobe": probes}},
        output_fields=["photo"],
    )
    found = [_number(hit["entity"]["photo"]) for hit in hits]
    return found + [-1] * (K - len(found))


def milvus_prices(store: str, folder: str) -> dict:
    prices, client = _prices(folder), _milvus(store)
    photos = len(np.load(f"{folder}/embeddings.npz")["shop"])
    names = fields(photos).select(["photo", "product"]).to_pylist()
    start = time.perf_counter()
    for first in range(0, len(names), _AT_ONCE):
        part = names[first : first + _AT_ONCE]
        rows = [{"photo": each["photo"], "price": prices[each["product"]]} for each in part]
        client.upsert("photos", rows, partial_update=True)
    seconds = time.perf_counter() - start
    client.close()
    return {"seconds": seconds}


def milvus_sync(store: str, folder: str) -> dict:
    (changed, gone), client = _next(folder), _milvus(store)
    start = time.perf_counter()
    client.upsert("photos", _rows(changed))
    client.delete("photos", ids=gone)
    seconds = time.perf_counter() - start
    client.close()
    return {"seconds": seconds}


PEERS = {
    "lancedb": {
        "build": lance_build,
        "open": lance_open,
        "search": lance_search,
        "prices": lance_prices,
        "sync": lance_sync,
    },
    "milvus-lite": {
        "build": milvus_build,
        "open": milvus_open,
        "search": milvus_search,
        "prices": milvus_prices,
        "sync": milvus_sync,
    },
}
