"""DINOv2's ViT-S/14 on Street2Shop, fine-tuned with layer-wise decay and a cosine schedule.

The fine-tuning recipe of BEiT and MAE (arXiv:2106.08254, arXiv:2111.06377): AdamW, rates that
fall from the head down to the patches, no decay of vectors, an average of the weights; the
losses are the strong baseline's (arXiv:1906.08332). Not trained by us yet.

    fashion-jax data build --dataset street2shop --manual_dir RAW --data_dir data
    fashion-jax train --config=configs/street2shop_vit.py --workdir=runs/street2shop_vit \
        --config.model.pretrained=dinov2_vits14_reg4_pretrain.pth
"""

import ml_collections

from . import street2shop_resnet50


def get_config() -> ml_collections.ConfigDict:
    """Returns the experiment."""
    config = street2shop_resnet50.get_config()
    config.image.height = 224
    config.image.width = 224
    config.model.backbone = "dinov2_vit_s14_reg4"
    config.model.pooling = "token"
    config.optimizer.name = "adamw"
    config.optimizer.learning_rate = 2e-4
    config.optimizer.weight_decay = 0.05
    config.optimizer.decay_vectors = False
    config.optimizer.layer_decay = 0.75
    config.optimizer.schedule = "cosine"
    config.optimizer.warmup_epochs = 5.0
    config.optimizer.per_step = True
    config.optimizer.gradient_clip = 1.0
    config.training.epochs = 60
    config.training.average_decay = 0.999
    return config
