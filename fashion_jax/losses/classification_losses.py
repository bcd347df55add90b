"""Softmax losses over training identities (cross entropy, ArcFace, CosFace), and their scores.

The columns of scores may be divided over devices. A row's own score is picked by comparing every
column with its label: unlike an index, that needs no copy of other devices' columns.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from fashion_jax.losses.rows import all_rows, l2_normalise, log_sum_exp, reduce_rows, zero_padding

# Keeps the gradient of sqrt(1 − cos²) finite where a photo lies on its identity's column.
SMALLEST_SQUARED_SINE = 1e-6


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

    Examples:
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

    Examples:
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


def label_smoothed_cross_entropy_loss(
    logits: Float[Array, "batch classes"],
    identities: Int[Array, " batch"],
    *,
    smoothing: float = 0.1,
    where: Bool[Array, " batch"] | None = None,
    reduction: str = "mean",
    where_classes: Bool[Array, " classes"] | None = None,
) -> Float[Array, ""] | Float[Array, " batch"]:
    """Mean cross entropy against (1 − ε)·onehot(identity) + ε/K over the K classes.

    −(1 − ε)·log p(identity) − ε·mean over classes of log p, so that the target is never built. A
    row that counts and whose identity is outside of 0..K−1 makes the loss NaN. The columns may be
    divided over devices: only sums and maxima over them are exchanged.

    Reference: Szegedy et al. 2015, "Rethinking the Inception Architecture", arXiv:1512.00567,
    section 7.

    Examples:
        >>> import jax.numpy as jnp
        >>> loss = label_smoothed_cross_entropy_loss(jnp.zeros((2, 4)), jnp.array([0, 3]))
        >>> round(float(loss), 5)  # log 4, whatever the smoothing
        1.38629

    Args:
        logits: scores of all classes, not normalised; see `linear_scores`.
        identities: column of each row's identity.
        smoothing: ε.
        where: rows that count; `None` for all.
        reduction: "mean" over the rows that count, or "none" for each row's cross entropy.
        where_classes: columns that are a class; `None` for all.

    Returns:
        The loss in at least float32; 0 if no row counts.
    """
    labelled = label(logits, identities, where, where_classes)
    everywhere = jnp.broadcast_to(labelled.classes[None, :], labelled.scores.shape)
    normaliser = log_sum_exp(labelled.scores, everywhere)
    classes = jnp.maximum(jnp.sum(labelled.classes), 1).astype(normaliser.dtype)
    mean = jnp.sum(labelled.scores, axis=1) / classes
    terms = normaliser - (1.0 - smoothing) * labelled.own_score() - smoothing * mean
    return reduce_rows(terms, labelled.where, reduction)


def arcface_loss(
    cosines: Float[Array, "batch classes"],
    identities: Int[Array, " batch"],
    *,
    margin: float = 0.5,
    scale: float = 30.0,
    where: Bool[Array, " batch"] | None = None,
    reduction: str = "mean",
    where_classes: Bool[Array, " classes"] | None = None,
) -> Float[Array, ""] | Float[Array, " batch"]:
    """Mean cross entropy of s·cos θ, with s·cos(θ + m) for the own class.

    Where θ + m is beyond π, cos θ − m·sin m stands for it, so that the loss keeps growing with
    θ, as in the authors' code.

    Reference: Deng et al. 2019, "ArcFace", arXiv:1801.07698, equation 3.

    Examples:
        >>> import jax.numpy as jnp
        >>> cosines = jnp.array([[0.0, 0.0]])  # both columns at a right angle
        >>> loss = arcface_loss(cosines, jnp.array([0]), margin=0.5, scale=2.0)
        >>> round(float(loss), 4)  # log(1 + e^(2 sin 0.5))
        1.2833

    Args:
        cosines: cosines between embedding and columns, from `cosine_scores`.
        identities: column of each row's identity; a row that counts and has none makes the loss
            NaN.
        margin: m, in radians.
        scale: s.
        where: rows that count; `None` for all.
        reduction: "mean" over the rows that count, or "none" for each row's cross entropy.
        where_classes: columns that are a class; `None` for all.

    Returns:
        The loss in at least float32; 0 if no row counts.
    """

    def with_margin(cosine: Array) -> Array:
        sine = jnp.sqrt(jnp.maximum(1.0 - cosine * cosine, SMALLEST_SQUARED_SINE))
        turned = cosine * math.cos(margin) - sine * math.sin(margin)
        beyond = cosine <= math.cos(math.pi - margin)
        return jnp.where(beyond, cosine - margin * math.sin(margin), turned)

    labelled = label(cosines, identities, where, where_classes)
    return _margin_softmax(labelled, with_margin, scale, reduction)


def cosface_loss(
    cosines: Float[Array, "batch classes"],
    identities: Int[Array, " batch"],
    *,
    margin: float = 0.35,
    scale: float = 30.0,
    where: Bool[Array, " batch"] | None = None,
    reduction: str = "mean",
    where_classes: Bool[Array, " classes"] | None = None,
) -> Float[Array, ""] | Float[Array, " batch"]:
    """Mean cross entropy of s·cos θ, with s·(cos θ − m) for the own class.

    Reference: Wang et al. 2018, "CosFace", arXiv:1801.09414, equation 4.

    Examples:
        >>> import jax.numpy as jnp
        >>> loss = cosface_loss(jnp.array([[0.0, 0.0]]), jnp.array([0]), margin=0.5, scale=2.0)
        >>> round(float(loss), 4)  # log(1 + e)
        1.3133

    Args:
        cosines: cosines between embedding and columns, from `cosine_scores`.
        identities: column of each row's identity; a row that counts and has none makes the loss
            NaN.
        margin: m.
        scale: s.
        where: rows that count; `None` for all.
        reduction: "mean" over the rows that count, or "none" for each row's cross entropy.
        where_classes: columns that are a class; `None` for all.

    Returns:
        The loss in at least float32; 0 if no row counts.
    """
    labelled = label(cosines, identities, where, where_classes)
    return _margin_softmax(labelled, lambda cosine: cosine - margin, scale, reduction)


def _margin_softmax(
    labelled: LabelledScores, with_margin: Callable[[Array], Array], scale: float, reduction: str
) -> Float[Array, ""] | Float[Array, " batch"]:
    own = with_margin(labelled.own_score())
    scores = scale * jnp.where(labelled.own, own[:, None], labelled.scores)
    everywhere = jnp.broadcast_to(labelled.classes[None, :], scores.shape)
    terms = log_sum_exp(scores, everywhere) - scale * own
    return reduce_rows(terms, labelled.where, reduction)
