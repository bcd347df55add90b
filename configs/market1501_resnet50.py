"""ResNet-50 on Market-1501: the strong baseline of Luo et al. 2019 (arXiv:1906.08332).

The check that the ReID model itself is right. Published: Rank-1 94.5, mAP 85.9 (their table 1,
with center loss, without re-ranking). Not trained by us yet: the photos are gated.

    fashion-jax data build --dataset market1501 --manual_dir RAW --data_dir data
    fashion-jax train --config=configs/market1501_resnet50.py --workdir=runs/market1501_resnet50 \
        --config.model.pretrained=resnet50-0676ba61.pth
"""

import ml_collections

from fashion_jax.config import default_config


def get_config() -> ml_collections.ConfigDict:
    """Returns the experiment: the recipe is what `default_config` holds."""
    config = default_config()
    config.data.dataset = "market1501"
    config.data.workers = 8
    config.model.stem_relu = False  # as the reference implementation's ResNet-50
    config.training.evaluate_every_epochs = 10
    config.training.checkpoint_every_steps = 500
    return config
