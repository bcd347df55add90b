"""ResNet-50 on Market-1501: the strong baseline of Luo et al. 2019 (arXiv:1906.08332).

The check that the ReID model itself is right. Published: Rank-1 94.5, mAP 85.9 (their table 1,
with center loss, without re-ranking); 95.0/88.2 with ResNet-50-IBN-a, the variant `ibn`. Not
trained by us yet: the photos are gated.

    fashion-jax data build --dataset market1501 --manual_dir RAW --data_dir data
    fashion-jax train --config=market1501_resnet50 --workdir=runs/market1501_resnet50 \
        --config.model.pretrained=resnet50-0676ba61.pth
"""

import ml_collections

from fashion_jax.config import choose_variants, default_config

from .recipes import strong_baseline

# The reference implementation's ResNet-50 lacks the stem's ReLU; its ResNet-50-IBN-a has it.
BACKBONES = {"plain": ("resnet50", False), "ibn": ("resnet50_ibn_a", True)}


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """Return the experiment; variants: `plain`, `ibn`."""
    [(backbone, stem_relu)] = choose_variants(arg, BACKBONES)
    config = default_config()
    strong_baseline(config)
    config.data.dataset = "market1501"
    config.data.workers = 8
    config.model.backbone = backbone
    config.model.stem_relu = stem_relu
    config.training.evaluate_every_epochs = 10
    config.training.checkpoint_every_steps = 500
    return config
