"""Pairs that a loss compares, and their weights: of a batch, and of a batch with the memory."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int

from fashion_jax.config import MiningConfig
from fashion_jax.losses.rows import all_rows, zero_padding

STREET = 0  # code of a street photo in a batch's `domain`
ALL_PAIRS = MiningConfig()
NOBODY = -1  # identity of a slot of the memory that is still empty


class Memory(NamedTuple):
    """Cross-batch memory: features of earlier batches, as further candidates.

    Wang et al. 2020, arXiv:1912.06798, section 3.3.

    Attributes:
        features: oldest first; without a gradient.
        identities: −1 for a slot that is still empty.
        domains: street (0) or shop (1).
    """

    features: Float[Array, "slots features"]
    identities: Int[Array, " slots"]
    domains: Int[Array, " slots"]


def empty_memory(slots: int, width: int, dtype: DTypeLike = jnp.float32) -> Memory:
    """Memory of `slots` rows, none of which is taken.

    Examples:
        >>> empty_memory(slots=2, width=3).identities
        Array([-1, -1], dtype=int32)
    """
    return Memory(
        features=jnp.zeros((slots, width), dtype),
        identities=jnp.full(slots, NOBODY, jnp.int32),
        domains=jnp.zeros(slots, jnp.int32),
    )


def enqueue(
    memory: Memory,
    features: Float[Array, "batch features"],
    identities: Int[Array, " batch"],
    domains: Int[Array, " batch"],
    where: Bool[Array, " batch"],
) -> Memory:
    """Append a batch and drop as many of the oldest rows.

    Examples:
        >>> import jax.numpy as jnp
        >>> batch = jnp.ones((2, 3)), jnp.array([4, 5]), jnp.array([0, 1])
        >>> enqueue(empty_memory(3, 3), *batch, where=jnp.array([True, False])).identities
        Array([-1,  4, -1], dtype=int32)

    Args:
        memory: at least as many slots as the batch has rows.
        features: rows to append.
        identities: identity of each row.
        domains: street (0) or shop (1), of each row.
        where: rows that count; the others become empty slots.

    Returns:
        The memory after the batch.
    """
    fresh = Memory(
        zero_padding(jax.lax.stop_gradient(features), where),
        jnp.where(where, identities, NOBODY),
        domains,
    )

    def queue(old: Array, new: Array) -> Array:
        return jnp.concatenate([old[len(new) :], new.astype(old.dtype)])

    return jax.tree.map(queue, memory, fresh)


class Pairs(NamedTuple):
    """Anchors (the batch's rows) and candidates (the batch's rows, then the memory's).

    Attributes:
        anchors: rows, padding replaced by zeros.
        candidates: rows, padding replaced by zeros.
        anchor_identities: identities of the anchors.
        identities: identities of the candidates.
        where: anchors that count.
        candidate_where: candidates that count.
        positives: allowed pairs of one identity, without the anchor itself.
        negatives: allowed pairs of two identities.
        itself: pairs of an anchor with itself, where it may serve as its own positive.
        weights: weight of each pair.
    """

    anchors: Float[Array, "batch features"]
    candidates: Float[Array, "candidates features"]
    anchor_identities: Int[Array, " batch"]
    identities: Int[Array, " candidates"]
    where: Bool[Array, " batch"]
    candidate_where: Bool[Array, " candidates"]
    positives: Bool[Array, "batch candidates"]
    negatives: Bool[Array, "batch candidates"]
    itself: Bool[Array, "batch candidates"]
    weights: Float[Array, "batch candidates"]


def make_pairs(
    features: Float[Array, "batch features"],
    identities: Int[Array, " batch"],
    *,
    where: Bool[Array, " batch"] | None = None,
    domains: Int[Array, " batch"] | None = None,
    memory: Memory | None = None,
    mining: MiningConfig = ALL_PAIRS,
) -> Pairs:
    """List the pairs of a batch, and of a batch with the memory.

    Args:
        features: rows to compare.
        identities: identity of each row.
        where: rows that count; `None` for all.
        domains: street (0) or shop (1), of each row; needed if `mining` tells them apart.
        memory: further candidates.
        mining: pairs that count.

    Raises:
        ValueError: if `mining` tells domains apart and `domains` is missing.
    """
    where = all_rows(identities) if where is None else where
    rows = zero_padding(features, where)
    others, other_identities = _candidates(rows, identities, memory)
    there = other_identities != NOBODY
    there = there.at[: len(where)].set(where)
    same = identities[:, None] == other_identities[None, :]
    itself = jnp.eye(len(where), len(there), dtype=bool)
    usable = where[:, None] & there[None, :]
    positives, negatives = same & usable & ~itself, ~same & usable
    weights = jnp.ones(same.shape, rows.dtype)
    anchors = where
    if tells_domains_apart(mining):
        if domains is None:
            raise ValueError(f"{mining} tells domains apart, so the loss needs `domains`")
        across = domains[:, None] != _candidate_domains(domains, memory)[None, :]
        positives = _restricted(positives, across, mining.positives)
        negatives = _restricted(negatives, across, mining.negatives)
        weights = jnp.where(across, mining.cross_domain_weight * weights, weights)
        positives, negatives = positives & (weights > 0), negatives & (weights > 0)
        anchors = where & (domains == STREET) if mining.anchors == "street" else where
    return Pairs(
        anchors=rows,
        candidates=others,
        anchor_identities=identities,
        identities=other_identities,
        where=anchors,
        candidate_where=there,
        positives=positives,
        negatives=negatives,
        itself=itself & usable & (mining.positives == "any"),
        weights=weights,
    )


def tells_domains_apart(mining: MiningConfig) -> bool:
    """Whether the mining treats street and shop photos differently."""
    sides = (mining.anchors, mining.positives, mining.negatives)
    return sides != ("any", "any", "any") or mining.cross_domain_weight != 1.0


def _candidates(rows: Array, identities: Array, memory: Memory | None) -> tuple[Array, Array]:
    if memory is None:
        return rows, identities
    kept = jax.lax.stop_gradient(zero_padding(memory.features, memory.identities != NOBODY))
    return (
        jnp.concatenate([rows, kept.astype(rows.dtype)]),
        jnp.concatenate([identities, memory.identities.astype(identities.dtype)]),
    )


def _candidate_domains(domains: Array, memory: Memory | None) -> Array:
    if memory is None:
        return domains
    return jnp.concatenate([domains, memory.domains.astype(domains.dtype)])


def _restricted(
    allowed: Bool[Array, "batch candidates"], across: Bool[Array, "batch candidates"], which: str
) -> Bool[Array, "batch candidates"]:
    return allowed & across if which == "other_domain" else allowed
