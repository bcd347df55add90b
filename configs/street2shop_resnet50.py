"""ResNet-50 on Street2Shop: the recipe of Wieczorek et al. 2020 (arXiv:2003.04094).

Published with ResNet-50-IBN-a and further tricks: 54.8 mAP, 72.9 Acc@20. This config has the
plain ResNet-50 at 320×320; it has not been trained to the end by us yet.

    fashion-jax data build --dataset street2shop --manual_dir RAW --data_dir data
    fashion-jax train --config=configs/street2shop_resnet50.py --workdir=runs/street2shop_resnet50 \
        --config.model.pretrained=resnet50.pth
"""

import ml_collections

from fashion_jax.config import default_config


def get_config() -> ml_collections.ConfigDict:
    """Returns the experiment."""
    config = default_config()
    config.data.dataset = "street2shop"
    config.data.identities_per_batch = 48
    config.data.workers = 8
    config.image.height = 320
    config.image.width = 320
    config.model.backbone = "resnet50"
    config.model.compute_dtype = "bfloat16"
    config.loss.triplet_margin = 0.5
    config.optimizer.learning_rate = 1e-4
    config.training.checkpoint_every_steps = 500
    return config
