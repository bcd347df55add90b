"""The weighted sum of losses that a network is trained on, and what to log about it."""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from fashion_jax.config import LossConfig
from fashion_jax.losses.batch_hard_triplet import HardPairs, hardest_pairs, triplet_of_pairs
from fashion_jax.losses.center import center
from fashion_jax.losses.label_smoothed_cross_entropy import label_smoothed_cross_entropy
from fashion_jax.losses.masking import masked_mean, zero_padding

Terms = dict[str, Float[Array, ""]]


@dataclasses.dataclass(frozen=True)
class Objective:
    """Identity, triplet and center loss, each with its weight (arXiv:1906.08332, section 3.6).

    A term whose weight is 0 is neither computed nor reported.

    Attributes:
        config: weights and settings.
    """

    config: LossConfig

    def __call__(
        self,
        features: Float[Array, "batch features"],
        logits: Float[Array, "batch classes"] | None,
        identities: Int[Array, " batch"],
        centers: Float[Array, "identities features"] | None,
        valid: Bool[Array, " batch"],
    ) -> tuple[Float[Array, ""], Terms]:
        """Computes the total and its terms.

        No gradient reaches the centers: they follow `center_gradient`, which is not weighted.

        Args:
            features: before the neck.
            logits: of the training identities; `None` only if `identity_weight` is 0.
            identities: dense training labels.
            centers: one per training identity; `None` only if `center_weight` is 0.
            valid: rows that are not padding.

        Returns:
            The weighted sum, and the logged scalars: `loss/identity`, `loss/triplet`,
            `loss/center` (each unweighted), `loss/total`, `triplet/positive_distance` and
            `triplet/negative_distance` (means over the mined pairs), `triplet/active_fraction`
            (anchors with d(a, p) + margin > d(a, n), the soft margin counting as 0) and
            `features/norm`.
        """
        config = self.config
        weighted, terms = [], {"features/norm": _mean_norm(features, valid)}
        if config.identity_weight:
            loss = _identity(config, logits, identities, valid)
            weighted.append(config.identity_weight * loss)
            terms["loss/identity"] = loss
        if config.triplet_weight:
            pairs = hardest_pairs(features, identities, valid)
            loss = triplet_of_pairs(pairs, config.triplet_margin)
            weighted.append(config.triplet_weight * loss)
            terms |= {"loss/triplet": loss} | _triplet_diagnostics(pairs, config.triplet_margin)
        if config.center_weight:
            loss = _center(features, identities, centers, valid)
            weighted.append(config.center_weight * loss)
            terms["loss/center"] = loss
        total = sum(weighted, start=jnp.zeros_like(terms["features/norm"]))
        return total, terms | {"loss/total": total}


def _identity(
    config: LossConfig,
    logits: Float[Array, "batch classes"] | None,
    identities: Int[Array, " batch"],
    valid: Bool[Array, " batch"],
) -> Float[Array, ""]:
    if logits is None:
        raise ValueError("identity_weight is not 0, so the objective needs logits; it got None")
    return label_smoothed_cross_entropy(logits, identities, config.label_smoothing, valid)


def _center(
    features: Float[Array, "batch features"],
    identities: Int[Array, " batch"],
    centers: Float[Array, "identities features"] | None,
    valid: Bool[Array, " batch"],
) -> Float[Array, ""]:
    if centers is None:
        raise ValueError("center_weight is not 0, so the objective needs centers; it got None")
    return center(features, identities, jax.lax.stop_gradient(centers), valid)


def _triplet_diagnostics(pairs: HardPairs, margin: float | None) -> Terms:
    gap = pairs.positive_distance - pairs.negative_distance + (margin or 0.0)
    return {
        "triplet/positive_distance": masked_mean(pairs.positive_distance, pairs.anchor),
        "triplet/negative_distance": masked_mean(pairs.negative_distance, pairs.anchor),
        "triplet/active_fraction": masked_mean((gap > 0.0).astype(gap.dtype), pairs.anchor),
    }


def _mean_norm(
    features: Float[Array, "batch features"], valid: Bool[Array, " batch"]
) -> Float[Array, ""]:
    # The mean of a diagnostic: its gradient, infinite at a feature of 0, is never wanted.
    features = jax.lax.stop_gradient(zero_padding(features, valid))
    return masked_mean(jnp.linalg.norm(features, axis=1), valid)
