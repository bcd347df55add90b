"""Softmax losses on cosines with a margin: ArcFace and CosFace."""

import math
from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from fashion_jax.losses.classes import label, own_score
from fashion_jax.losses.masking import log_sum_exp, masked_mean

# Keeps the gradient of sqrt(1 − cos²) finite where a photo lies on its identity's column.
SMALLEST_SQUARED_SINE = 1e-6


def arcface(
    cosines: Float[Array, "batch classes"],
    labels: Int[Array, " batch"],
    margin: float = 0.5,
    scale: float = 30.0,
    valid: Bool[Array, " batch"] | None = None,
    counted: Bool[Array, " classes"] | None = None,
) -> Float[Array, ""]:
    """Cross entropy of s·cos θ, with s·cos(θ + m) for the own class.

    Deng et al. 2019, arXiv:1801.07698, equation 3. Where θ + m is beyond π, cos θ − m·sin m
    stands for it, so that the loss goes on growing with θ, as in the authors' code.

    Example:
        >>> import jax.numpy as jnp
        >>> cosines = jnp.array([[0.0, 0.0]])  # both columns at a right angle
        >>> loss = arcface(cosines, jnp.array([0]), margin=0.5, scale=2.0)
        >>> round(float(loss), 4)  # log(1 + e^(2 sin 0.5))
        1.2833

    Args:
        cosines: between embedding and columns, from `classes.cosine_scores`.
        labels: class of each row; a valid row's label without a column makes the loss NaN.
        margin: m, in radians.
        scale: s.
        valid: rows that are not padding; all of them if `None`.
        counted: columns that are a class; all of them if `None`.

    Returns:
        The loss, at least in float32; 0 where no row is valid.
    """

    def with_margin(cosine: Array) -> Array:
        sine = jnp.sqrt(jnp.maximum(1.0 - cosine * cosine, SMALLEST_SQUARED_SINE))
        turned = cosine * math.cos(margin) - sine * math.sin(margin)
        beyond = cosine <= math.cos(math.pi - margin)
        return jnp.where(beyond, cosine - margin * math.sin(margin), turned)

    return _softmax(cosines, labels, with_margin, scale, valid, counted)


def cosface(
    cosines: Float[Array, "batch classes"],
    labels: Int[Array, " batch"],
    margin: float = 0.35,
    scale: float = 30.0,
    valid: Bool[Array, " batch"] | None = None,
    counted: Bool[Array, " classes"] | None = None,
) -> Float[Array, ""]:
    """Cross entropy of s·cos θ, with s·(cos θ − m) for the own class.

    Wang et al. 2018, arXiv:1801.09414, equation 4.

    Example:
        >>> import jax.numpy as jnp
        >>> loss = cosface(jnp.array([[0.0, 0.0]]), jnp.array([0]), margin=0.5, scale=2.0)
        >>> round(float(loss), 4)  # log(1 + e)
        1.3133

    Args:
        cosines: between embedding and columns, from `classes.cosine_scores`.
        labels: class of each row; a valid row's label without a column makes the loss NaN.
        margin: m.
        scale: s.
        valid: rows that are not padding; all of them if `None`.
        counted: columns that are a class; all of them if `None`.

    Returns:
        The loss, at least in float32; 0 where no row is valid.
    """
    return _softmax(cosines, labels, lambda cosine: cosine - margin, scale, valid, counted)


def _softmax(
    cosines: Array,
    labels: Array,
    with_margin: Callable[[Array], Array],
    scale: float,
    valid: Array | None,
    counted: Array | None,
) -> Float[Array, ""]:
    labelled = label(cosines, labels, valid, counted)
    own = with_margin(own_score(labelled))
    scores = scale * jnp.where(labelled.own, own[:, None], labelled.scores)
    everywhere = jnp.broadcast_to(labelled.counted[None, :], scores.shape)
    return masked_mean(log_sum_exp(scores, everywhere) - scale * own, labelled.valid)
