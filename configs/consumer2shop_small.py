"""EfficientNet-Lite0 on a small copy of DeepFashion Consumer-to-Shop, for two CPU cores.

The recipe of `street2shop_small.py`, twice as many epochs of fewer photos; made for the matrix of
`fashion-jax cross-domain` (Wieczorek et al. 2020, arXiv:2003.04094).

    fashion-jax data build --dataset deepfashion_consumer2shop --manual_dir RAW --data_dir data
    fashion-jax train --config=consumer2shop_small --workdir=runs/consumer2shop_small

Results and time: see docs/runs.md.
"""

import ml_collections

from . import street2shop_small


def get_config() -> ml_collections.ConfigDict:
    """Return the experiment."""
    config = street2shop_small.get_config()
    config.data.dataset = "deepfashion_consumer2shop"
    config.optimizer.warmup_epochs = 6.0
    config.optimizer.milestones = (16.0, 21.6)
    config.training.epochs = 24
    config.training.evaluate_every_epochs = 4
    return config
