"""ResNet-50-IBN-a at 320×320 on DeepFashion Consumer-to-Shop (arXiv:2003.04094), their best.

Published: 47.3 Acc@1, 79.0 Acc@20. Not trained by us yet: the photos are gated.

    fashion-jax data build --dataset deepfashion_consumer2shop --manual_dir RAW --data_dir data
    fashion-jax train --config=configs/consumer2shop_resnet50_ibn.py --workdir=runs/c2s_ibn \
        --config.model.pretrained=resnet50_ibn_a.pth
"""

import ml_collections

from . import street2shop_resnet50_ibn


def get_config() -> ml_collections.ConfigDict:
    """Returns the experiment."""
    config = street2shop_resnet50_ibn.get_config()
    config.data.dataset = "deepfashion_consumer2shop"
    return config
