"""EfficientNet-Lite0 on a small copy of Street2Shop: the strong baseline on two CPU cores.

Recipe: identity, triplet (margin 0.3) and center loss of Luo et al. 2019 (arXiv:1906.08332), as
Wieczorek et al. 2020 (arXiv:2003.04094) apply it to fashion, from ImageNet weights, shortened to
twelve epochs.

    fashion-jax data build --dataset street2shop --manual_dir RAW --data_dir data
    fashion-jax train --config=street2shop_small --workdir=runs/street2shop_small
    fashion-jax evaluate --workdir=runs/street2shop_small --untrained

Results and time: see the table in README.md.
"""

import ml_collections

from fashion_jax.config import default_config

from .recipes import strong_baseline


def get_config() -> ml_collections.ConfigDict:
    """Return the experiment."""
    config = default_config()
    strong_baseline(config)
    config.data.dataset = "street2shop"
    config.image.height = 128
    config.image.width = 128
    config.model.backbone = "efficientnet_lite0"
    config.model.pretrained = "package"
    config.optimizer.warmup_epochs = 3.0
    config.optimizer.milestones = (8.0, 10.8)
    config.optimizer.schedule_granularity = "step"
    config.training.epochs = 12
    config.training.checkpoint_every_steps = 100
    return config
