"""Columns of the classifier, and the share of them that a step compares with (partial FC)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from fashion_jax.config import ClassifierConfig


class Columns(NamedTuple):
    """Columns that a classification loss compares embeddings with.

    Attributes:
        kernel: `sub_centers` neighbouring columns for each class.
        bias: bias of each class, or `None`.
        identities: the batch's identities as numbers of these classes.
        classes: classes that are an identity.
    """

    kernel: Float[Array, "features columns"]
    bias: Float[Array, " classes"] | None
    identities: Int[Array, " batch"]
    classes: Bool[Array, " classes"]


def num_classes(config: ClassifierConfig, num_identities: int) -> int:
    """Identities, rounded up to a multiple of `pad_classes_to_multiple`."""
    multiple = config.pad_classes_to_multiple
    return -(-num_identities // multiple) * multiple


def num_columns(config: ClassifierConfig, num_identities: int) -> int:
    """Columns of the classifier's kernel."""
    return num_classes(config, num_identities) * config.sub_centers


def sampled_per_group(config: ClassifierConfig, num_identities: int) -> int:
    """Classes that a step compares with in each of the `pad_classes_to_multiple` groups."""
    size = num_classes(config, num_identities) // config.pad_classes_to_multiple
    return -(-round(size * config.sample_rate * 1_000_000) // 1_000_000)


def all_columns(
    kernel: Float[Array, "features columns"],
    bias: Float[Array, " classes"] | None,
    identities: Int[Array, " batch"],
    num_identities: int,
    sub_centers: int = 1,
) -> Columns:
    """Every column, for the softmax over all identities."""
    classes = jnp.arange(kernel.shape[1] // sub_centers)
    return Columns(kernel, bias, identities, classes < num_identities)


def sampled_columns(
    every: Columns,
    where: Bool[Array, " batch"],
    config: ClassifierConfig,
    sampled: int,
    key: Key[Array, ""],
) -> Columns:
    """The batch's own classes and others drawn at random (partial FC, arXiv:2203.15565).

    Drawn in each of `pad_classes_to_multiple` neighbouring groups apart, so that devices that share
    the columns need no copy of each other's.

    Args:
        every: all columns.
        where: rows that count.
        config: layout of the classifier.
        sampled: classes of each group, at least as many as the batch may have identities.
        key: random key, another one each step.
    """
    groups = config.pad_classes_to_multiple
    chosen = _choose(every, where, groups, sampled, key)
    size = len(every.classes) // groups
    kernel = every.kernel.reshape(len(every.kernel), groups, size, config.sub_centers)
    picked = jax.vmap(lambda part, rows: part[:, rows], (1, 0), 1)(kernel, chosen)
    numbers = (chosen + size * jnp.arange(groups, dtype=chosen.dtype)[:, None]).reshape(-1)
    found = every.identities[:, None] == numbers[None, :].astype(every.identities.dtype)
    # An identity that was not chosen does not exist: it becomes a column beyond the last.
    identities = jnp.where(jnp.any(found, axis=1), jnp.argmax(found, axis=1), len(numbers))
    return Columns(
        kernel=picked.reshape(len(every.kernel), -1),
        bias=None if every.bias is None else every.bias[numbers],
        identities=identities.astype(every.identities.dtype),
        classes=every.classes[numbers],
    )


def _choose(
    every: Columns, where: Bool[Array, " batch"], groups: int, sampled: int, key: Key[Array, ""]
) -> Int[Array, "groups sampled"]:
    """Numbers within each group: the batch's classes first, then random others, then padding."""
    classes = jnp.arange(len(every.classes), dtype=every.identities.dtype)
    own = jnp.any((every.identities[:, None] == classes[None, :]) & where[:, None], axis=0)
    draw = jax.random.uniform(key, classes.shape, jnp.float32)
    draw = jnp.where(own, 2.0, jnp.where(every.classes, draw, -1.0))
    return jax.lax.top_k(draw.reshape(groups, -1), sampled)[1]
