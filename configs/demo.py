"""The demo: drawn garments, a small network, a few minutes on two CPU cores.

`fashion-jax demo` trains it. In so few steps the supervised contrastive loss on normalised features
learns more than the strong baseline's triplet loss, as in `street2shop_small_contrastive.py`.
"""

import ml_collections

from fashion_jax.config import default_config

from .recipes import contrastive, strong_baseline


def get_config() -> ml_collections.ConfigDict:
    """Return the experiment."""
    config = default_config()
    strong_baseline(config)
    contrastive(config)
    config.data.dataset = "synthetic_street2shop"
    config.data.identities_per_batch = 8
    config.image.height = 96
    config.image.width = 96
    config.model.backbone = "efficientnet_lite0"
    config.model.pretrained = "package"
    config.optimizer.schedule_granularity = "step"
    config.training.epochs = 3
    config.training.evaluate_every_epochs = 3
    return config
