"""ResNet-50 at 320×320 on DeepFashion Consumer-to-Shop (arXiv:2003.04094).

The variant `ibn` is ResNet-50-IBN-a, their best. Published: 47.3 Acc@1, 79.0 Acc@20. Not trained
by us yet: the photos are gated.

    fashion-jax data build --dataset deepfashion_consumer2shop --manual_dir RAW --data_dir data
    fashion-jax train --config=consumer2shop_resnet50:ibn --workdir=runs/c2s_ibn \
        --config.model.pretrained=resnet50_ibn_a.pth
"""

import ml_collections

from . import street2shop_resnet50


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """Return the experiment; variants: `plain`, `ibn`."""
    config = street2shop_resnet50.get_config(arg)
    config.data.dataset = "deepfashion_consumer2shop"
    return config
