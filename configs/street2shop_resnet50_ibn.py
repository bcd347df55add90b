"""ResNet-50-IBN-a at 320×320 on Street2Shop: Wieczorek et al. 2020 (arXiv:2003.04094), their best.

Published: 54.8 mAP, 72.9 Acc@20 (whole gallery). Not trained by us yet: it needs an accelerator
and the photos, which are scattered.

    fashion-jax data build --dataset street2shop --manual_dir RAW --data_dir data
    fashion-jax train --config=configs/street2shop_resnet50_ibn.py --workdir=runs/street2shop_ibn \
        --config.model.pretrained=resnet50_ibn_a.pth
"""

import ml_collections

from . import street2shop_resnet50


def get_config() -> ml_collections.ConfigDict:
    """Returns the experiment."""
    config = street2shop_resnet50.get_config()
    config.model.backbone = "resnet50_ibn_a"
    config.data.identities_per_batch = 12
    return config
