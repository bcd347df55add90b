"""The objective's terms that compare photos with the classifier's columns."""

from collections.abc import Callable

from jaxtyping import Array, Bool, Float

from fashion_jax.config import LossConfig
from fashion_jax.losses.class_columns import Columns
from fashion_jax.losses.classes import cosine_scores, linear_scores
from fashion_jax.losses.label_smoothed_cross_entropy import label_smoothed_cross_entropy
from fashion_jax.losses.margin_softmax import arcface, cosface
from fashion_jax.losses.proxy_anchor import proxy_anchor
from fashion_jax.losses.proxy_nca import proxy_nca

Term = Callable[[LossConfig, Array, Columns, Array], Float[Array, ""]]


def identity_term(
    loss: LossConfig,
    embedding: Float[Array, "batch embedding"],
    columns: Columns,
    valid: Bool[Array, " batch"],
) -> Float[Array, ""]:
    """Cross entropy of the linear classifier."""
    logits = linear_scores(embedding, columns.kernel, columns.bias, valid)
    smoothing = loss.label_smoothing
    return label_smoothed_cross_entropy(logits, columns.labels, smoothing, valid, columns.counted)


def _arcface(loss: LossConfig, cosines: Array, columns: Columns, valid: Array) -> Array:
    settings = loss.arcface_margin, loss.cosine_scale
    return arcface(cosines, columns.labels, *settings, valid, columns.counted)


def _cosface(loss: LossConfig, cosines: Array, columns: Columns, valid: Array) -> Array:
    settings = loss.cosface_margin, loss.cosine_scale
    return cosface(cosines, columns.labels, *settings, valid, columns.counted)


def _proxy_nca(loss: LossConfig, cosines: Array, columns: Columns, valid: Array) -> Array:
    return proxy_nca(cosines, columns.labels, loss.cosine_scale, valid, columns.counted)


def _proxy_anchor(loss: LossConfig, cosines: Array, columns: Columns, valid: Array) -> Array:
    return proxy_anchor(cosines, columns.labels, valid=valid, counted=columns.counted)


COSINE_TERMS: dict[str, Term] = {
    "arcface": _arcface,
    "cosface": _cosface,
    "proxy_nca": _proxy_nca,
    "proxy_anchor": _proxy_anchor,
}


def class_terms(
    loss: LossConfig,
    embedding: Float[Array, "batch embedding"],
    columns: Columns,
    valid: Bool[Array, " batch"],
    sub_centers: int,
) -> dict[str, Float[Array, ""]]:
    """The value of each of these terms that has a weight."""
    found = {}
    if loss.identity_weight:
        found["identity"] = identity_term(loss, embedding, columns, valid)
    asked = [name for name in COSINE_TERMS if getattr(loss, f"{name}_weight")]
    if asked:
        cosines = cosine_scores(embedding, columns.kernel, sub_centers, valid)
        found |= {name: COSINE_TERMS[name](loss, cosines, columns, valid) for name in asked}
    return found


def any_class_term(loss: LossConfig) -> bool:
    """Whether the objective needs the classifier."""
    return any(getattr(loss, f"{name}_weight") for name in ("identity", *COSINE_TERMS))
