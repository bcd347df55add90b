"""From the strong baseline to Wieczorek et al. 2020 on Street2Shop (arXiv:2003.04094).

ResNet-50 at 256×128, then what the paper changes for clothes, one at a time. Not run by us yet: it
needs an accelerator and the photos.

    fashion-jax data build --dataset street2shop --manual_dir RAW --data_dir data
    fashion-jax ablation --config=ablation_street2shop --seeds=3 --workdir=runs/ablation
"""

import ml_collections

from fashion_jax.config import Variant

from . import street2shop_resnet50

# Weights of each network, in the folder that the command runs in; see docs/weights.md.
RESNET50, RESNET50_IBN_A = "resnet50-0676ba61.pth", "resnet50_ibn_a.pth"


def get_config() -> ml_collections.ConfigDict:
    """Return the strong baseline at its own size."""
    config = street2shop_resnet50.get_config()
    config.image.height = 256
    config.image.width = 128
    config.model.pretrained = RESNET50
    return config


def get_sweep() -> list[Variant]:
    """Return the variants, each on the one before or on the one that it names."""
    return [
        Variant("strong baseline", {}),
        Variant("quadruplet", {"loss.triplet_weight": 0.0, "loss.quadruplet_weight": 1.0}),
        Variant(
            "IBN-a",
            {"model.backbone": "resnet50_ibn_a", "model.pretrained": RESNET50_IBN_A},
            on="strong baseline",
        ),
        Variant("320×320", {"image.height": 320, "image.width": 320}),
        Variant("re-ranking", {"evaluation.rerank": True}),
        Variant(
            "street anchors, shop positives",
            {"mining.anchors": "street", "mining.positives": "other_domain"},
            on="320×320",
        ),
    ]
