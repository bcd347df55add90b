"""A Vision Transformer on Street2Shop, fine-tuned with layer-wise decay and a cosine schedule.

Variants: the network, DINOv2's with registers (`s14`, `b14`, `l14`) or plain ones (`s16`, `b16`,
`l16`), and the image size (`224`, `336`, `448`), such as `:b16,336`. The recipe is that of BEiT and
MAE (arXiv:2106.08254, arXiv:2111.06377) with the losses of the strong baseline
(arXiv:1906.08332). Not trained by us yet.

    fashion-jax data build --dataset street2shop --manual_dir RAW --data_dir data
    fashion-jax train --config=street2shop_vit --workdir=runs/street2shop_vit \
        --config.model.pretrained=dinov2_vits14_reg4_pretrain.pth
"""

import ml_collections

from fashion_jax.config import choose_variants, default_config

from .recipes import transformer_fine_tuning

BACKBONES = {
    **{f"{size}14": f"dinov2_vit_{size}14_reg4" for size in "sbl"},
    **{f"{size}16": f"vit_{size}16" for size in "sbl"},
}
SIZES = {"224": 224, "336": 336, "448": 448}  # patches of 14 and of 16 divide them


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """Return the experiment; variants: a network and an image size."""
    backbone, size = choose_variants(arg, BACKBONES, SIZES)
    config = default_config()
    transformer_fine_tuning(config)
    config.data.dataset = "street2shop"
    config.data.workers = 8
    config.image.height = size
    config.image.width = size
    config.model.backbone = backbone
    config.training.checkpoint_every_steps = 500
    return config
