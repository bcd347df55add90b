"""Which rows a loss over pairs compares with each other, and how much each pair counts."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from fashion_jax.config import MiningConfig
from fashion_jax.losses.masking import all_valid, zero_padding

STREET = 0  # the code of a street photo in a batch's `domain`
NOBODY = -1  # the identity of a memory's slot that is still empty


class Memory(NamedTuple):
    """Features of earlier batches (cross-batch memory, Wang et al. 2020, arXiv:1912.06798).

    Attributes:
        features: the oldest first; no gradient reaches them.
        identities: −1 where the slot is still empty.
        domains: street or shop.
    """

    features: Float[Array, "slots features"]
    identities: Int[Array, " slots"]
    domains: Int[Array, " slots"]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Context:
    """What a loss over pairs may know beyond features and identities.

    Attributes:
        domains: street (0) or shop (1), of each row; needed by whatever tells domains apart.
        memory: further rows to compare with.
        mining: which pairs count.
    """

    domains: Int[Array, " batch"] | None = None
    memory: Memory | None = None
    mining: MiningConfig = dataclasses.field(
        default_factory=MiningConfig, metadata={"static": True}
    )


class Pairs(NamedTuple):
    """Anchors (the batch's rows) and candidates (the batch's rows, then the memory's).

    Attributes:
        anchors: rows, padding replaced by zeros.
        candidates: rows, padding replaced by zeros.
        anchor_identities: of the anchors.
        identities: of the candidates.
        valid: anchors that may be used.
        candidate_valid: candidates that may be used.
        positives: of the same identity and allowed, without the anchor itself.
        negatives: of another identity and allowed.
        itself: where the candidate is the anchor and may serve as its own positive.
        weights: how much a pair counts.
    """

    anchors: Float[Array, "batch features"]
    candidates: Float[Array, "candidates features"]
    anchor_identities: Int[Array, " batch"]
    identities: Int[Array, " candidates"]
    valid: Bool[Array, " batch"]
    candidate_valid: Bool[Array, " candidates"]
    positives: Bool[Array, "batch candidates"]
    negatives: Bool[Array, "batch candidates"]
    itself: Bool[Array, "batch candidates"]
    weights: Float[Array, "batch candidates"]


def make_pairs(
    features: Float[Array, "batch features"],
    identities: Int[Array, " batch"],
    valid: Bool[Array, " batch"] | None = None,
    context: Context | None = None,
) -> Pairs:
    """Lists all pairs of a batch, and which of them count.

    Args:
        features: rows to compare.
        identities: of each row.
        valid: rows that are not padding; all of them if `None`.
        context: domains, memory, and which pairs count; `None` for all pairs of the batch.

    Raises:
        ValueError: if domains are told apart and there are none.
    """
    context = Context() if context is None else context
    valid = all_valid(identities) if valid is None else valid
    rows = zero_padding(features, valid)
    others, other_identities, other_domains = _candidates(rows, identities, context)
    there = other_identities != NOBODY
    there = there.at[: len(valid)].set(valid)
    same = identities[:, None] == other_identities[None, :]
    itself = jnp.eye(len(valid), len(there), dtype=bool)
    usable = valid[:, None] & there[None, :]
    positives, negatives = same & usable & ~itself, ~same & usable
    weights = jnp.ones(same.shape, rows.dtype)
    if tells_domains_apart(context.mining):
        across = _domains(context)[:, None] != other_domains[None, :]
        positives = _restricted(positives, across, context.mining.positives)
        negatives = _restricted(negatives, across, context.mining.negatives)
        weights = jnp.where(across, context.mining.cross_domain_weight * weights, weights)
        positives, negatives = positives & (weights > 0), negatives & (weights > 0)
    return Pairs(
        anchors=rows,
        candidates=others,
        anchor_identities=identities,
        identities=other_identities,
        valid=_anchors(valid, context),
        candidate_valid=there,
        positives=positives,
        negatives=negatives,
        itself=itself & usable & (context.mining.positives == "any"),
        weights=weights,
    )


def tells_domains_apart(mining: MiningConfig) -> bool:
    """Whether the mining treats street and shop photos differently."""
    sides = (mining.anchors, mining.positives, mining.negatives)
    return sides != ("any", "any", "any") or mining.cross_domain_weight != 1.0


def _candidates(rows: Array, identities: Array, context: Context) -> tuple[Array, Array, Array]:
    domains = jnp.zeros_like(identities) if context.domains is None else context.domains
    if context.memory is None:
        return rows, identities, domains
    memory = context.memory
    kept = jax.lax.stop_gradient(zero_padding(memory.features, memory.identities != NOBODY))
    return (
        jnp.concatenate([rows, kept.astype(rows.dtype)]),
        jnp.concatenate([identities, memory.identities.astype(identities.dtype)]),
        jnp.concatenate([domains, memory.domains.astype(domains.dtype)]),
    )


def _domains(context: Context) -> Int[Array, " batch"]:
    if context.domains is None:
        raise ValueError(f"{context.mining} tells domains apart, so the loss needs `domains`")
    return context.domains


def _anchors(valid: Bool[Array, " batch"], context: Context) -> Bool[Array, " batch"]:
    if context.mining.anchors == "street":
        return valid & (_domains(context) == STREET)
    return valid


def _restricted(
    allowed: Bool[Array, "batch candidates"], across: Bool[Array, "batch candidates"], which: str
) -> Bool[Array, "batch candidates"]:
    return allowed & across if which == "other_domain" else allowed
