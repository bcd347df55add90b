"""The demo: drawn garments, a small network, a few minutes on two CPU cores.

`fashion-jax demo` trains it and writes a report.
"""

import ml_collections

from fashion_jax.config import default_config

from .recipes import strong_baseline


def get_config() -> ml_collections.ConfigDict:
    """Return the experiment."""
    config = default_config()
    strong_baseline(config)
    config.data.dataset = "synthetic_street2shop"
    config.data.identities_per_batch = 8
    config.image.height = 96
    config.image.width = 96
    config.model.backbone = "efficientnet_lite0"
    config.model.pretrained = "package"
    config.optimizer.warmup_epochs = 1.0
    config.optimizer.milestones = (5.0,)
    config.optimizer.schedule_granularity = "step"
    config.training.epochs = 6
    config.training.evaluate_every_epochs = 2
    return config
