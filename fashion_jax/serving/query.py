"""A query: photos of a garment, and photos and products of a catalogue that are like it or not."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from fashion_jax.errors import FashionJaxError
from fashion_jax.retrieval.catalogue import Catalogue
from fashion_jax.retrieval.catalogue.examples import rows_named, with_products, with_twins

_SHORTEST = 1e-3


@dataclasses.dataclass(frozen=True)
class Weights:
    """Weights of a query's parts, as in Rocchio's relevance feedback.

    The query is the direction of α·mean(photos) + β·mean(liked) − γ·mean(disliked) over embeddings
    (Manning, Raghavan and Schütze, Introduction to Information Retrieval, 2008, eq. 9.3, with its
    recommended α and β; γ is higher than its 0.15, so that a single dislike has an effect).

    Attributes:
        photos: α, weight of the photos.
        like: β, weight of what is liked.
        dislike: γ, weight of what is disliked.
    """

    photos: int | float = 1.0
    like: int | float = 0.75
    dislike: int | float = 0.25

    def __post_init__(self) -> None:
        values = dataclasses.astuple(self)
        if not np.isfinite(values).all() or min(values) < 0:
            raise FashionJaxError(f"weights have to be finite and not negative; got {values}")


@dataclasses.dataclass(frozen=True)
class Query:
    """A query of a catalogue.

    Attributes:
        embedding: [1, dimensions] L2-normalised embedding.
        without: rows of the catalogue to leave out of the answers: the examples and their twins.
    """

    embedding: Float32[np.ndarray, "1 dimensions"]
    without: Int64[np.ndarray, " rows"]


def make_query(
    catalogue: Catalogue,
    photos: Any,
    like: Sequence[str] = (),
    dislike: Sequence[str] = (),
    weights: Weights | None = None,
    by: str = "product",
) -> Query:
    """Join photos and examples to a query.

    Args:
        catalogue: catalogue to search.
        photos: [photos, dimensions] L2-normalised embeddings of photos of one garment; may be
            empty.
        like: products and photos of the catalogue that the answers have to be like; see
            `fashion_jax.retrieval.catalogue.examples.rows_named`.
        dislike: products and photos of the catalogue that they should not be like.
        weights: weights of the parts.
        by: kind of answers. By `photo`, only the examples and their twins are left out;
            otherwise, all photos of their products are.

    Raises:
        CatalogueError: an example that the catalogue does not have.
        FashionJaxError: nothing to search with, or parts that cancel each other out.
    """
    weights = weights or Weights()
    if not len(photos) and not len(like):
        raise FashionJaxError("nothing to search with: give a photo, or a product to be like")
    examples = {name: rows_named(catalogue.items, name) for name in (*like, *dislike)}
    total = np.zeros(catalogue.card.embedding_width)
    if len(photos):
        total += weights.photos * np.mean(photos, axis=0)
    for names, weight in ((like, weights.like), (dislike, -weights.dislike)):
        if len(names):
            means = [catalogue.embeddings_of(examples[name]).mean(axis=0) for name in names]
            total += weight * np.mean(means, axis=0)
    length = np.linalg.norm(total)
    if length < _SHORTEST:
        raise FashionJaxError(
            "the parts of the query cancel each other out; choose other examples or weights"
        )
    embedding = (total / length).astype(np.float32)[None]
    return Query(embedding, _left_out(catalogue, list(examples.values()), by))


def _left_out(
    catalogue: Catalogue, examples: Sequence[np.ndarray], by: str
) -> Int64[np.ndarray, " rows"]:
    if not examples:
        return np.empty(0, np.int64)
    rows = with_twins(catalogue, np.unique(np.concatenate(examples)))
    return rows if by == "photo" else with_products(catalogue.items, rows)
