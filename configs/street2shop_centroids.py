"""Centroid triplet loss on Street2Shop: Wieczorek et al. 2021 (arXiv:2104.13643).

Identity, instance triplet, centroid triplet and center loss together, ResNet-50 at 320×320. Not
trained by us yet.

    fashion-jax data build --dataset street2shop --manual_dir RAW --data_dir data
    fashion-jax train --config=street2shop_centroids --workdir=runs/centroids \
        --config.model.pretrained=resnet50-0676ba61.pth
"""

import ml_collections

from . import street2shop_resnet50


def get_config() -> ml_collections.ConfigDict:
    """Return the experiment."""
    config = street2shop_resnet50.get_config()
    config.data.identities_per_batch = 12
    config.loss.centroid_triplet_weight = 1.0
    config.loss.centroid_triplet_margin = 0.5
    return config
