"""The strong baseline's ablation as published: Luo et al. 2019 (arXiv:1906.08332, table 1).

Rank-1/mAP on Market-1501, each row adding one trick: baseline 87.7/74.0, warm-up 88.7/75.2, random
erasing 91.3/79.3, label smoothing 91.4/80.3, last stride 92.0/81.7, BNNeck 94.1/85.7, center loss
94.5/85.9, re-ranking 95.4/94.2; with IBN-a 95.0/88.2. Not run by us yet: the photos are gated.

    fashion-jax data build --dataset market1501 --manual_dir RAW --data_dir data
    fashion-jax ablation --config=ablation_market1501 --seeds=3 --workdir=runs/ablation \
        --config.model.pretrained=resnet50-0676ba61.pth
"""

import ml_collections

from fashion_jax.config import Variant

from . import market1501_resnet50


def get_config() -> ml_collections.ConfigDict:
    """Return the experiment without any trick."""
    config = market1501_resnet50.get_config()
    config.augment.erase_probability = 0.0
    config.model.last_stride = 2
    config.model.neck = "none"
    config.loss.label_smoothing = 0.0
    config.loss.center_weight = 0.0
    config.optimizer.warmup_epochs = 0.0
    return config


def get_sweep() -> list[Variant]:
    """Return the variants, each on the one before."""
    return [
        Variant("baseline", {}),
        Variant("warm-up", {"optimizer.warmup_epochs": 10.0}),
        Variant("random erasing", {"augment.erase_probability": 0.5}),
        Variant("label smoothing", {"loss.label_smoothing": 0.1}),
        Variant("last stride 1", {"model.last_stride": 1}),
        Variant("BNNeck", {"model.neck": "bnneck"}),
        Variant("center loss", {"loss.center_weight": 5e-4}),
        Variant("re-ranking", {"evaluation.rerank": True}),
    ]
