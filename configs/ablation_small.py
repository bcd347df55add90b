"""The gain of each trick of the strong baseline, on two CPU cores.

The ablation of Luo et al. 2019 (arXiv:1906.08332, table 1), followed by quadruplet loss and
re-ranking as in Wieczorek et al. 2020 (arXiv:2003.04094), and by supervised contrastive loss.
EfficientNet-Lite0 at 48×48, one epoch of a small copy of Street2Shop.

The triplet loss uses distances of normalised features in every variant. Euclidean distances of raw
features begin at 30, against a margin of 0.3, and all of so few steps would go into shrinking them
(docs/ablation.md has the numbers).

    fashion-jax data build --dataset street2shop --manual_dir RAW --data_dir data
    fashion-jax ablation --config=ablation_small --seeds=3 --workdir=runs/ablation_small

Results and time: docs/ablation.md.
"""

import ml_collections

from fashion_jax.config import Variant

from . import street2shop_small

LAST_OF_THE_BASELINE = "center loss"


def get_config() -> ml_collections.ConfigDict:
    """Return the experiment without any trick."""
    config = street2shop_small.get_config()
    config.image.height = 48
    config.image.width = 48
    config.augment.pad = 4
    config.augment.erase_probability = 0.0
    config.model.last_stride = 2
    config.model.neck = "none"
    config.loss.distance = "cosine"
    config.loss.label_smoothing = 0.0
    config.loss.center_weight = 0.0
    config.optimizer.learning_rate = 1e-3
    config.optimizer.warmup_epochs = 0.0
    config.optimizer.milestones = (0.7, 0.9)
    config.training.epochs = 1
    config.training.checkpoint_every_steps = 0
    return config


def get_sweep() -> list[Variant]:
    """Return the variants, each on the one before or on the one that it names."""
    top = LAST_OF_THE_BASELINE
    contrastive = {"loss.triplet_weight": 0.0, "loss.supervised_contrastive_weight": 1.0}
    return [
        Variant("baseline", {}),
        Variant("warm-up", {"optimizer.warmup_epochs": 0.25}),
        Variant("random erasing", {"augment.erase_probability": 0.5}),
        Variant("label smoothing", {"loss.label_smoothing": 0.1}),
        Variant("last stride 1", {"model.last_stride": 1}),
        Variant("BNNeck", {"model.neck": "bnneck"}),
        Variant(top, {"loss.center_weight": 5e-4}),
        Variant("re-ranking", {"evaluation.rerank": True}),
        Variant("quadruplet", {"loss.triplet_weight": 0.0, "loss.quadruplet_weight": 1.0}, on=top),
        Variant("supervised contrastive", contrastive, on=top),
    ]
