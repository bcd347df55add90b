"""The config's terms: the loss behind each name, and the fields of `LossConfig` that set it."""

from collections.abc import Callable
from typing import Any, NamedTuple

from jaxtyping import Array

from fashion_jax.config import LossConfig
from fashion_jax.losses.batch_all_triplet import batch_all_triplet_loss
from fashion_jax.losses.batch_hard_triplet import batch_hard_triplet_loss
from fashion_jax.losses.centroid_triplet import centroid_triplet_loss
from fashion_jax.losses.circle import circle_loss
from fashion_jax.losses.classification_losses import (
    arcface_loss,
    cosface_loss,
    label_smoothed_cross_entropy_loss,
)
from fashion_jax.losses.multi_similarity import multi_similarity_loss
from fashion_jax.losses.proxy_anchor import proxy_anchor_loss
from fashion_jax.losses.proxy_nca import proxy_nca_loss
from fashion_jax.losses.quadruplet import quadruplet_loss
from fashion_jax.losses.supervised_contrastive import supervised_contrastive_loss


class ConfiguredLoss(NamedTuple):
    """A loss and its settings.

    Attributes:
        loss: function of features or scores, identities and settings.
        settings: field of `LossConfig` for each argument that it sets.
    """

    loss: Callable[..., Array]
    settings: dict[str, str]

    def __call__(self, config: LossConfig, *args: Any, **options: Any) -> Array:
        """The loss of the arguments, with the config's settings."""
        chosen = {name: getattr(config, field) for name, field in self.settings.items()}
        return self.loss(*args, **chosen, **options)


PAIR_TERMS = {
    "triplet": ConfiguredLoss(
        batch_hard_triplet_loss, {"margin": "triplet_margin", "distance": "distance"}
    ),
    "batch_all": ConfiguredLoss(
        batch_all_triplet_loss, {"margin": "triplet_margin", "distance": "distance"}
    ),
    "quadruplet": ConfiguredLoss(
        quadruplet_loss,
        {
            "margin": "quadruplet_margin",
            "second_margin": "quadruplet_second_margin",
            "distance": "distance",
        },
    ),
    "centroid_triplet": ConfiguredLoss(
        centroid_triplet_loss, {"margin": "centroid_triplet_margin", "distance": "distance"}
    ),
    "circle": ConfiguredLoss(circle_loss, {"margin": "circle_margin", "scale": "circle_scale"}),
    "multi_similarity": ConfiguredLoss(multi_similarity_loss, {}),
    "supervised_contrastive": ConfiguredLoss(
        supervised_contrastive_loss, {"temperature": "supervised_contrastive_temperature"}
    ),
}
# Makes pairs of its own, so that domains, memory and mining do not reach it.
OWN_PAIRS = frozenset({"centroid_triplet"})

LINEAR_TERM = ConfiguredLoss(label_smoothed_cross_entropy_loss, {"smoothing": "label_smoothing"})
COSINE_TERMS = {
    "arcface": ConfiguredLoss(arcface_loss, {"margin": "arcface_margin", "scale": "cosine_scale"}),
    "cosface": ConfiguredLoss(cosface_loss, {"margin": "cosface_margin", "scale": "cosine_scale"}),
    "proxy_nca": ConfiguredLoss(proxy_nca_loss, {"scale": "cosine_scale"}),
    "proxy_anchor": ConfiguredLoss(proxy_anchor_loss, {}),
}
TERMS = (*PAIR_TERMS, "identity", *COSINE_TERMS, "center")  # in the order of the sum


def weights_of(config: LossConfig) -> dict[str, float]:
    """Weights of the terms that are not switched off, in the order of the sum."""
    return {name: weight for name in TERMS if (weight := getattr(config, f"{name}_weight"))}
