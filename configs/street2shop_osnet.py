"""OSNet x1.0 on Street2Shop: the second architecture of Wieczorek et al. 2020 (arXiv:2003.04094).

OSNet: Zhou et al. 2019 (arXiv:1905.00953); 82.6 mAP on Market-1501 in its authors' zoo. Here with
the strong baseline's recipe and an embedding of 512. Not trained by us yet.

    fashion-jax data build --dataset street2shop --manual_dir RAW --data_dir data
    fashion-jax train --config=street2shop_osnet --workdir=runs/street2shop_osnet \
        --config.model.pretrained=osnet_x1_0_imagenet.pth
"""

import ml_collections

from . import street2shop_resnet50


def get_config() -> ml_collections.ConfigDict:
    """Return the experiment."""
    config = street2shop_resnet50.get_config()
    config.model.backbone = "osnet_x1_0"
    config.optimizer.learning_rate = 3.5e-4
    return config
