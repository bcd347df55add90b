"""Scores of training identities, their columns possibly divided over devices.

A row's own score is picked by comparing every column with its label: unlike an index, that needs
no copy of other devices' columns.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from fashion_jax.losses.distances import l2_normalise
from fashion_jax.losses.masking import all_rows, zero_padding


class LabelledScores(NamedTuple):
    """Scores with padding zeroed, and the place of each row's own column.

    Attributes:
        scores: scores, 0 in columns that do not count.
        own: the column of the row's identity; nowhere for padding.
        classes: columns that count.
        where: rows that count.
    """

    scores: Float[Array, "batch classes"]
    own: Bool[Array, "batch classes"]
    classes: Bool[Array, " classes"]
    where: Bool[Array, " batch"]

    def own_score(self) -> Float[Array, " batch"]:
        """Each row's score of its own identity; NaN if the row counts and has no column.

        Computed where a loss needs it and not before: the order in which the scores are used is
        the order in which their gradients are added, which decides the last bit.
        """
        score = jnp.sum(jnp.where(self.own, self.scores, 0.0), axis=1)
        return jnp.where(jnp.any(self.own, axis=1) | ~self.where, score, jnp.nan)


def label(
    scores: Float[Array, "batch classes"],
    identities: Int[Array, " batch"],
    where: Bool[Array, " batch"] | None,
    where_classes: Bool[Array, " classes"] | None,
) -> LabelledScores:
    """Join scores and identities; `None` stands for all rows, or all columns."""
    where = all_rows(identities) if where is None else where
    classes = jnp.ones(scores.shape[1], dtype=bool) if where_classes is None else where_classes
    own = identities[:, None] == jnp.arange(scores.shape[1], dtype=identities.dtype)[None, :]
    own = own & where[:, None] & classes[None, :]
    scores = jnp.where(classes[None, :], zero_padding(scores, where), 0.0)
    return LabelledScores(scores, own, classes, where)


def linear_scores(
    embedding: Float[Array, "batch features"],
    kernel: Float[Array, "features classes"],
    bias: Float[Array, " classes"] | None = None,
    *,
    where: Bool[Array, " batch"] | None = None,
) -> Float[Array, "batch classes"]:
    """Logits `embedding @ kernel + bias` in at least float32; the bias alone for padding.

    Example:
        >>> import jax.numpy as jnp
        >>> linear_scores(jnp.array([[1.0, 2.0]]), jnp.eye(2))
        Array([[1., 2.]], dtype=float32)

    Args:
        embedding: embedding after the neck.
        kernel: a column for each identity.
        bias: a number for each identity.
        where: rows that count; `None` for all.
    """
    embedding = zero_padding(embedding, where)
    logits = embedding @ kernel.astype(embedding.dtype)
    return logits if bias is None else logits + bias.astype(logits.dtype)[None, :]


def cosine_scores(
    embedding: Float[Array, "batch features"],
    kernel: Float[Array, "features columns"],
    *,
    sub_centers: int = 1,
    where: Bool[Array, " batch"] | None = None,
) -> Float[Array, "batch classes"]:
    """Cosines between embeddings and columns; the nearest sub-center of an identity counts.

    Reference: Deng et al. 2020, "Sub-center ArcFace", equation 2.

    Example:
        >>> import jax.numpy as jnp
        >>> cosine_scores(jnp.array([[0.0, 2.0]]), jnp.eye(2))
        Array([[0., 1.]], dtype=float32)

    Args:
        embedding: embedding after the neck.
        kernel: `sub_centers` neighbouring columns for each identity.
        sub_centers: columns of an identity.
        where: rows that count; `None` for all.
    """
    embedding = l2_normalise(zero_padding(embedding, where))
    columns = l2_normalise(kernel.astype(embedding.dtype).T).T
    found = jnp.matmul(embedding, columns, precision="highest")
    if sub_centers == 1:
        return found
    return jnp.max(found.reshape(len(found), -1, sub_centers), axis=2)
