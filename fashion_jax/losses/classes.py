"""Scores of training identities, their columns possibly divided over devices.

A row's own score is picked by comparing every column with its label: unlike an index, that needs
no copy of other devices' columns.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from fashion_jax.losses.distances import normalise
from fashion_jax.losses.masking import all_valid, at_least_float32, zero_padding


class Labelled(NamedTuple):
    """Scores of which padding is zeroed, and where each row's own column is.

    Attributes:
        scores: of columns that do not count 0.
        own: the row's label's column; nowhere for padding.
        counted: columns that are an identity's.
        valid: rows that are not padding.
        known: whether each row has a column of its own.
    """

    scores: Float[Array, "batch classes"]
    own: Bool[Array, "batch classes"]
    counted: Bool[Array, " classes"]
    valid: Bool[Array, " batch"]
    known: Bool[Array, " batch"]


def label(
    scores: Float[Array, "batch classes"],
    labels: Int[Array, " batch"],
    valid: Bool[Array, " batch"] | None,
    counted: Bool[Array, " classes"] | None,
) -> Labelled:
    """Joins scores and labels; all rows are valid and all columns count if not said otherwise."""
    valid = all_valid(labels) if valid is None else valid
    counted = jnp.ones(scores.shape[1], dtype=bool) if counted is None else counted
    own = labels[:, None] == jnp.arange(scores.shape[1], dtype=labels.dtype)[None, :]
    own = own & valid[:, None] & counted[None, :]
    scores = jnp.where(counted[None, :], zero_padding(scores, valid), 0.0)
    return Labelled(scores, own, counted, valid, jnp.any(own, axis=1))


def own_score(labelled: Labelled) -> Float[Array, " batch"]:
    """Each row's score of its own label; NaN for a valid row whose label has no column."""
    score = jnp.sum(jnp.where(labelled.own, labelled.scores, 0.0), axis=1)
    return jnp.where(labelled.known | ~labelled.valid, score, jnp.nan)


def linear_scores(
    embedding: Float[Array, "batch features"],
    kernel: Float[Array, "features classes"],
    bias: Float[Array, " classes"] | None = None,
    valid: Bool[Array, " batch"] | None = None,
) -> Float[Array, "batch classes"]:
    """Logits `embedding @ kernel + bias`, at least in float32; without embedding, of padding."""
    embedding = _without_padding(embedding, valid)
    logits = embedding @ kernel.astype(embedding.dtype)
    return logits if bias is None else logits + bias.astype(logits.dtype)[None, :]


def cosine_scores(
    embedding: Float[Array, "batch features"],
    kernel: Float[Array, "features columns"],
    sub_centers: int = 1,
    valid: Bool[Array, " batch"] | None = None,
) -> Float[Array, "batch classes"]:
    """Cosines between embeddings and columns; of an identity's sub-centers the nearest counts.

    Sub-centers: Deng et al. 2020, "Sub-center ArcFace", equation 2.

    Args:
        embedding: after the neck.
        kernel: `sub_centers` neighbouring columns for each identity.
        sub_centers: columns of an identity.
        valid: rows that are not padding; all of them if `None`.
    """
    embedding = normalise(_without_padding(embedding, valid))
    columns = normalise(kernel.astype(embedding.dtype).T).T
    found = jnp.matmul(embedding, columns, precision="highest")
    if sub_centers == 1:
        return found
    return jnp.max(found.reshape(len(found), -1, sub_centers), axis=2)


def _without_padding(
    embedding: Float[Array, "batch features"], valid: Bool[Array, " batch"] | None
) -> Float[Array, "batch features"]:
    return at_least_float32(embedding) if valid is None else zero_padding(embedding, valid)
