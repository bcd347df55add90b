"""Photos and products of a catalogue that a search starts from."""

import numpy as np
import pyarrow.compute as pc
from jaxtyping import Int64

from fashion_jax.retrieval.catalogue.catalogue import Catalogue
from fashion_jax.retrieval.catalogue.item_table import ItemTable
from fashion_jax.retrieval.catalogue.items import (
    UNKNOWN_PRODUCT,
    CatalogueError,
    UnknownNameError,
)

Rows = Int64[np.ndarray, " rows"]

# Photos whose embeddings are so similar are copies of each other: rounding alone differs.
_TWIN = 1 - 1e-4
_TWINS_AT_MOST = 64
_KINDS = {"product": "product", "photo": "photo_id"}


def rows_named(items: ItemTable, name: str) -> Rows:
    """Return the rows of a product, or of a photo.

    Args:
        items: items of the catalogue.
        name: a product, or else the id of a photo; `product:NAME` or `photo:NAME` for a name that
            is both.

    Raises:
        UnknownNameError: no such name.
        CatalogueError: a name of a product and of another product's photo.
    """
    kind, colon, rest = name.partition(":")
    columns = [_KINDS[kind]] if colon and kind in _KINDS else list(_KINDS.values())
    wanted = rest if len(columns) == 1 else name
    found = [np.flatnonzero(pc.equal(items.column(each), wanted)) for each in columns]
    found = [rows for rows in found if len(rows)] if wanted else []
    if not found:
        raise UnknownNameError(f"the catalogue has no product and no photo {wanted!r}")
    if len(found) == 2 and not set(found[1]) <= set(found[0]):
        raise CatalogueError(
            f"{name!r} is a product and another product's photo: write product:{name} or "
            f"photo:{name}"
        )
    return found[0]


def with_twins(catalogue: Catalogue, rows: Rows) -> Int64[np.ndarray, " more"]:
    """Return rows of photos, and of those that look the same."""
    found = catalogue.index.search(catalogue.embeddings_of(rows), _TWINS_AT_MOST)
    return np.unique(np.concatenate([rows, found.rows[found.scores >= _TWIN]]).astype(np.int64))


def with_products(items: ItemTable, rows: Rows) -> Int64[np.ndarray, " more"]:
    """Return rows of photos, and of all photos of their products."""
    products = pc.unique(items.column("product").take(rows))
    known = products.filter(pc.not_equal(products, UNKNOWN_PRODUCT))
    same = np.flatnonzero(pc.is_in(items.column("product"), value_set=known))
    return np.unique(np.concatenate([rows, same]))
