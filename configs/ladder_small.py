"""What each trick of the strong baseline brings, on two CPU cores.

The ladder of Luo et al. 2019 (arXiv:1906.08332, table 1), then losses and mining of its relatives
on top of it; EfficientNet-Lite0 at 64×64 for three epochs on a small copy of Street2Shop.

    fashion-jax data build --dataset street2shop --manual_dir RAW --data_dir data
    fashion-jax ladder --config=configs/ladder_small.py --seeds=3 --workdir=runs/ladder_small

Results and time: docs/ladder.md.
"""

from typing import Any

import ml_collections

from configs import street2shop_small

LAST_OF_THE_BASELINE = "center loss"


def get_config() -> ml_collections.ConfigDict:
    """Returns the experiment without any trick."""
    config = street2shop_small.get_config()
    config.image.height = 64
    config.image.width = 64
    config.augment.pad = 5
    config.augment.erase_probability = 0.0
    config.model.last_stride = 2
    config.model.neck = "none"
    config.loss.label_smoothing = 0.0
    config.loss.center_weight = 0.0
    config.optimizer.learning_rate = 1e-4  # at 3.5e-4 it collapses without warm-up and BNNeck
    config.optimizer.warmup_epochs = 0.0
    config.optimizer.milestones = (2.0, 2.7)
    config.training.epochs = 3
    config.training.evaluate_every_epochs = 3
    config.training.checkpoint_every_steps = 0
    return config


def get_ladder() -> list[tuple[Any, ...]]:
    """Returns (name, changes), each on top of the one before; or of the one named third."""
    top = LAST_OF_THE_BASELINE
    return [
        ("baseline", {}),
        ("warm-up", {"optimizer.warmup_epochs": 0.75}),
        ("random erasing", {"augment.erase_probability": 0.5}),
        ("label smoothing", {"loss.label_smoothing": 0.1}),
        ("last stride 1", {"model.last_stride": 1}),
        ("BNNeck", {"model.neck": "bnneck"}),
        (top, {"loss.center_weight": 5e-4}),
        ("quadruplet", {"loss.triplet_weight": 0.0, "loss.quadruplet_weight": 1.0}, top),
        ("centroid triplet", {"loss.centroid_triplet_weight": 1.0}, top),
        (
            "street anchors, shop positives",
            {"mining.anchors": "street", "mining.positives": "other_domain"},
            top,
        ),
        ("half street, half shop", {"data.balance_domains": True}, top),
        ("circle loss", {"loss.triplet_weight": 0.0, "loss.circle_weight": 1.0}, top),
        ("GeM pooling", {"model.pooling": "learned_gem"}, top),
    ]
