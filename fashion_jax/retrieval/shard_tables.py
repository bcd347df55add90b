"""Shards of embeddings as Parquet tables."""

import dataclasses
import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float32, Int32, Int64

from fashion_jax.datasets.dataset import Split, products_of
from fashion_jax.datasets.records import DOMAIN_NAMES
from fashion_jax.errors import FashionJaxError, named
from fashion_jax.retrieval.catalogue import Item


class ShardError(FashionJaxError):
    """A table that is not the shard that it should be."""


@dataclasses.dataclass(frozen=True)
class Shard:
    """A contiguous range of a split's photos, with their embeddings.

    Attributes:
        rows: rows of the split.
        embeddings: L2-normalised embeddings, one per photo.
        photo_id: names of the photos.
        identity: identities of the products in the dataset.
        product: their names.
        category: categories of the garments.
        domain: `street` or `shop`, per photo.
        camera: cameras; −1 if unknown.
    """

    rows: range
    embeddings: Float32[np.ndarray, "photos dimensions"]
    photo_id: list[str]
    identity: Int64[np.ndarray, " photos"]
    product: list[str]
    category: list[str]
    domain: list[str]
    camera: Int32[np.ndarray, " photos"]

    @property
    def items(self) -> list[Item]:
        """The photos as a catalogue's items."""
        columns = (self.photo_id, self.product, self.category, self.domain)
        return [Item(*values) for values in zip(*columns, strict=True)]


def encode_shard(
    split: Split, rows: range, embeddings: Float32[np.ndarray, "photos dimensions"]
) -> bytes:
    """Encode rows of a split and their embeddings."""
    part = slice(rows.start, rows.stop)
    values = pa.array(embeddings.reshape(-1))
    table = pa.table(
        {
            "row": np.arange(rows.start, rows.stop, dtype=np.int64),
            "photo_id": split.photo_id[part].tolist(),
            "identity": split.identity[part],
            "product": products_of(split, part),
            "category": split.category[part].tolist(),
            "domain": [DOMAIN_NAMES[domain] for domain in split.domain[part]],
            "camera": split.camera[part],
            "embedding": pa.FixedSizeListArray.from_arrays(values, embeddings.shape[1]),
        },
        _columns(embeddings.shape[1]),
    )
    encoded = io.BytesIO()
    pq.write_table(table, encoded, use_dictionary=["category", "domain"])
    return encoded.getvalue()


def decode_shard(content: bytes, rows: range, dimensions: int) -> Shard:
    """Decode what `encode_shard` encoded.

    Args:
        content: the encoded table.
        rows: rows of the split that it has to hold.
        dimensions: length of an embedding.

    Raises:
        ShardError: it holds something else.
    """
    try:
        table = pq.read_table(io.BytesIO(content))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ShardError(str(error)) from error
    _check(table, rows, dimensions)
    embeddings = table["embedding"].combine_chunks().flatten().to_numpy()
    return Shard(
        rows=rows,
        embeddings=embeddings.reshape(table.num_rows, dimensions),
        photo_id=table["photo_id"].to_pylist(),
        identity=table["identity"].to_numpy(),
        product=table["product"].to_pylist(),
        category=table["category"].to_pylist(),
        domain=table["domain"].to_pylist(),
        camera=table["camera"].to_numpy(),
    )


def _columns(dimensions: int) -> pa.Schema:
    return pa.schema(
        {
            "row": pa.int64(),
            "photo_id": pa.string(),
            "identity": pa.int64(),
            "product": pa.string(),
            "category": pa.string(),
            "domain": pa.string(),
            "camera": pa.int32(),
            "embedding": pa.list_(pa.float32(), dimensions),
        }
    )


def _check(table: pa.Table, rows: range, dimensions: int) -> None:
    """Refuse other columns, rows or domains, and missing values."""
    if table.schema != _columns(dimensions):
        found = ", ".join(f"{field.name} ({field.type})" for field in table.schema)
        raise ShardError(f"its columns are {found}")
    numbers = table["embedding"].combine_chunks().flatten()
    if numbers.null_count or any(column.null_count for column in table.columns):
        raise ShardError("values are missing")
    if table["row"].to_pylist() != list(rows):
        raise ShardError(f"its rows are not {rows.start} to {rows.stop - 1}")
    unknown = set(table["domain"].to_pylist()) - set(DOMAIN_NAMES)
    if unknown:
        raise ShardError(f"unknown domains: {named(sorted(unknown))}")
