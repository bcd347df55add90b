"""ResNet-50 at 320×320 on Street2Shop: the recipe of Wieczorek et al. 2020 (arXiv:2003.04094).

The variant `ibn` is ResNet-50-IBN-a in batches of 12 × 4, their best. Published: 54.8 mAP, 72.9
Acc@20 (whole gallery). Not trained by us yet: it needs an accelerator and the photos, which are
scattered.

    fashion-jax data build --dataset street2shop --manual_dir RAW --data_dir data
    fashion-jax train --config=street2shop_resnet50 --workdir=runs/street2shop_resnet50 \
        --config.model.pretrained=resnet50.pth
    fashion-jax train --config=street2shop_resnet50:ibn --workdir=runs/street2shop_ibn \
        --config.model.pretrained=resnet50_ibn_a.pth
"""

import ml_collections

from fashion_jax.config import choose_variants, default_config

from .recipes import fashion_baseline

# Backbone, and identities in a batch.
BACKBONES = {"plain": ("resnet50", 48), "ibn": ("resnet50_ibn_a", 12)}


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """Return the experiment; variants: `plain`, `ibn`."""
    [(backbone, identities)] = choose_variants(arg, BACKBONES)
    config = default_config()
    fashion_baseline(config)
    config.data.dataset = "street2shop"
    config.data.workers = 8
    config.data.identities_per_batch = identities
    config.model.backbone = backbone
    config.training.checkpoint_every_steps = 500
    return config
