"""Distances and learning rates for short runs: how the base of `ablation_small.py` was found.

EfficientNet-Lite0 at 64×64, two epochs of a small copy of Street2Shop, one seed. The batch-hard
triplet loss of raw features (Luo et al. 2019, arXiv:1906.08332) against that of normalised
features, and supervised contrastive loss (Khosla et al. 2020, arXiv:2004.11362).

    fashion-jax data build --dataset street2shop --manual_dir RAW --data_dir data
    fashion-jax ablation --config=ablation_distances --seeds=1 --workdir=runs/distances

Results: docs/ablation.md.
"""

import ml_collections

from fashion_jax.config import Variant

from . import ablation_small


def get_config() -> ml_collections.ConfigDict:
    """Return the experiment without any trick, distances as published."""
    config = ablation_small.get_config()
    config.image.height = 64
    config.image.width = 64
    config.augment.pad = 5
    config.loss.distance = "euclidean"
    config.optimizer.learning_rate = 1e-4
    config.optimizer.milestones = (1.4, 1.8)
    config.training.epochs = 2
    config.training.evaluate_every_epochs = 2
    return config


def get_sweep() -> list[Variant]:
    """Return the variants, each on the one before or on the one that it names."""
    tricks = {
        "optimizer.learning_rate": 3.5e-4,
        "optimizer.warmup_epochs": 0.5,
        "loss.label_smoothing": 0.1,
        "model.neck": "bnneck",
    }
    contrastive = {"loss.triplet_weight": 0.0, "loss.supervised_contrastive_weight": 1.0}
    cosface = {
        "loss.triplet_weight": 0.0,
        "loss.identity_weight": 0.0,
        "loss.cosface_weight": 1.0,
        "loss.cosface_margin": 0.2,
    }
    return [
        Variant("euclidean, 1e-4", {}),
        Variant(
            "euclidean, 3.5e-4, warm-up",
            {"optimizer.learning_rate": 3.5e-4, "optimizer.warmup_epochs": 0.5},
        ),
        Variant(
            "euclidean, 3.5e-4, all tricks",
            tricks | {"augment.erase_probability": 0.5, "loss.center_weight": 5e-4},
            on="euclidean, 1e-4",
        ),
        Variant("cosine, 3.5e-4", tricks | {"loss.distance": "cosine"}, on="euclidean, 1e-4"),
        Variant("cosface alone, 3.5e-4", cosface, on="cosine, 3.5e-4"),
        Variant("contrastive, 3.5e-4", contrastive, on="cosine, 3.5e-4"),
        Variant("cosine, 1e-3", {"optimizer.learning_rate": 1e-3}, on="cosine, 3.5e-4"),
        Variant("contrastive, 1e-3", contrastive),
        Variant(
            "contrastive, 2e-3, cosine schedule",
            {"optimizer.learning_rate": 2e-3, "optimizer.schedule": "cosine"},
        ),
    ]
