"""Config fields of the objective."""

import dataclasses
from typing import Literal

from fashion_jax.config.errors import ConfigError
from fashion_jax.config.section import (
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    Ratio,
    Section,
)


@dataclasses.dataclass(frozen=True)
class LossConfig(Section):
    """Weights and settings of the objective's terms; a weight of 0 leaves a term out.

    docs/losses.md has the formulas and the papers.

    Attributes:
        identity_weight: weight of the cross entropy over training identities.
        label_smoothing: label smoothing of the cross entropy.
        triplet_weight: weight of the batch-hard triplet loss.
        triplet_margin: margin of the batch-hard and batch-all triplet losses; `None` for the soft
            margin.
        center_weight: weight of the center loss.
        batch_all_weight: weight of the triplet loss over all triplets of the batch.
        quadruplet_weight: weight of the batch-hard quadruplet loss.
        quadruplet_margin: margin of the quadruplet loss's first term.
        quadruplet_second_margin: margin of the quadruplet loss's second term, below the first.
        centroid_triplet_weight: weight of the triplet loss between photos and centroids.
        centroid_triplet_margin: margin of the centroid triplet loss; `None` for the soft margin.
        circle_weight: weight of the circle loss over pairs.
        circle_margin: margin of the circle loss.
        circle_scale: scale of the circle loss.
        multi_similarity_weight: weight of the multi-similarity loss.
        supervised_contrastive_weight: weight of the supervised contrastive loss.
        supervised_contrastive_temperature: temperature of the supervised contrastive loss.
        arcface_weight: weight of the softmax with an additive angular margin.
        arcface_margin: margin of ArcFace, in radians.
        cosface_weight: weight of the softmax with an additive cosine margin.
        cosface_margin: margin of CosFace.
        proxy_nca_weight: weight of the proxy-NCA loss.
        proxy_anchor_weight: weight of the proxy-anchor loss.
        cosine_scale: scale of the cosines in ArcFace, CosFace and proxy-NCA.
        distance: distance of the triplet and quadruplet losses.
    """

    identity_weight: NonNegativeFloat = 1.0
    label_smoothing: Ratio = 0.1
    triplet_weight: NonNegativeFloat = 1.0
    triplet_margin: float | None = 0.3
    center_weight: NonNegativeFloat = 5e-4
    batch_all_weight: NonNegativeFloat = 0.0
    quadruplet_weight: NonNegativeFloat = 0.0
    quadruplet_margin: float = 0.3
    quadruplet_second_margin: float = 0.15
    centroid_triplet_weight: NonNegativeFloat = 0.0
    centroid_triplet_margin: float | None = 0.5
    circle_weight: NonNegativeFloat = 0.0
    circle_margin: float = 0.25
    circle_scale: PositiveFloat = 128.0
    multi_similarity_weight: NonNegativeFloat = 0.0
    supervised_contrastive_weight: NonNegativeFloat = 0.0
    supervised_contrastive_temperature: PositiveFloat = 0.1
    arcface_weight: NonNegativeFloat = 0.0
    arcface_margin: float = 0.5
    cosface_weight: NonNegativeFloat = 0.0
    cosface_margin: float = 0.35
    proxy_nca_weight: NonNegativeFloat = 0.0
    proxy_anchor_weight: NonNegativeFloat = 0.0
    cosine_scale: PositiveFloat = 30.0
    distance: Literal["euclidean", "cosine"] = "euclidean"

    def __post_init__(self) -> None:
        """Check the fields, and the margins together."""
        super().__post_init__()
        if not self.quadruplet_second_margin < self.quadruplet_margin:
            raise ConfigError(
                "config field 'loss.quadruplet_second_margin' must be below "
                f"'loss.quadruplet_margin' ({self.quadruplet_margin}), got "
                f"{self.quadruplet_second_margin}"
            )


@dataclasses.dataclass(frozen=True)
class MiningConfig(Section):
    """Pairs that the losses over pairs and triplets compare.

    Attributes:
        anchors: domain of the anchors.
        positives: domain of the positives: `any`, or `other_domain` than the anchor's.
        negatives: domain of the negatives: `any`, or `other_domain` than the anchor's.
        cross_domain_weight: weight of a pair across domains, relative to one within a domain.
        memory_batches: size of the cross-batch memory (arXiv:1912.06798) in batches; 0 for none.
        memory_start_step: training step at which the memory begins to fill; features of earlier
            steps drift too fast.
    """

    anchors: Literal["any", "street"] = "any"
    positives: Literal["any", "other_domain"] = "any"
    negatives: Literal["any", "other_domain"] = "any"
    cross_domain_weight: NonNegativeFloat = 1.0
    memory_batches: NonNegativeInt = 0
    memory_start_step: NonNegativeInt = 0
