"""Published recipes: every field that changes what a model learns, stated once.

A config calls one of them and then sets the fields in which it differs, so that changed defaults do
not change an experiment. Fields of the machine (`data.data_dir`, `data.workers`, `mesh`, ...) are
left unset.
"""

from typing import Any

import ml_collections


def strong_baseline(config: ml_collections.ConfigDict) -> None:
    """The strong baseline of Luo et al. 2019 (arXiv:1906.08332) with ResNet-50, as published.

    Adam with coupled weight decay on every parameter, 120 epochs with drops at 40 and 70 after a
    warm-up of 10, batches of 16 × 4, 256×128; identity, triplet (margin 0.3) and center loss;
    BNNeck, last stride 1, random erasing.
    """
    for section, fields in _STRONG_BASELINE.items():
        config[section].update(fields)


def fashion_baseline(config: ml_collections.ConfigDict) -> None:
    """The strong baseline for clothes: Wieczorek et al. 2020 (arXiv:2003.04094), ResNet-50.

    Larger square images, margin 0.5, rate 1e-4, batches of 48 × 4.
    """
    strong_baseline(config)
    config.data.identities_per_batch = 48
    config.image.update(height=320, width=320)
    config.model.compute_dtype = "bfloat16"
    config.loss.triplet_margin = 0.5
    config.optimizer.learning_rate = 1e-4


def contrastive(config: ml_collections.ConfigDict) -> None:
    """Change a strong baseline for few steps: what learned most on two cores (docs/ablation.md).

    Supervised contrastive loss (Khosla et al. 2020, arXiv:2004.11362) on normalised features in
    place of the triplet and center loss, whose first hundreds of steps go into shrinking features;
    a larger rate on a cosine; last stride 2.
    """
    config.augment.erase_probability = 0.3
    config.model.last_stride = 2
    config.loss.triplet_weight = 0.0
    config.loss.center_weight = 0.0
    config.loss.supervised_contrastive_weight = 1.0
    config.optimizer.update(learning_rate=1e-3, schedule="cosine", warmup_epochs=0.5)


def transformer_fine_tuning(config: ml_collections.ConfigDict) -> None:
    """Fine-tuning of a Vision Transformer on clothes, as in BEiT and MAE.

    arXiv:2106.08254, arXiv:2111.06377: AdamW, layer-wise decay, no decay of biases and
    normalisations, a cosine schedule, an average of the weights; losses as in `fashion_baseline`.
    """
    fashion_baseline(config)
    config.model.pooling = "token"
    config.optimizer.update(
        name="adamw",
        learning_rate=2e-4,
        weight_decay=0.05,
        decay_norm_and_bias=False,
        schedule="cosine",
        warmup_epochs=5.0,
        schedule_granularity="step",
        layer_decay=0.75,
        gradient_clip_norm=1.0,
    )
    config.training.epochs = 60
    config.training.ema_decay = 0.999


_STRONG_BASELINE: dict[str, dict[str, Any]] = {
    "data": {
        "extra_datasets": (),
        "dataset_weights": (),
        "identities_per_batch": 16,
        "photos_per_identity": 4,
        "balance_domains": False,
        "labelled_pairs": (),
    },
    "image": {
        "height": 256,
        "width": 128,
        "multi_scale_sizes": (),
        "pixel_mean": None,  # those of the backbone's published weights
        "pixel_std": None,
    },
    "augment": {
        "flip_probability": 0.5,
        "pad": 10,
        "erase_probability": 0.5,
        "erase_area_min": 0.02,
        "erase_area_max": 0.4,
        "erase_aspect_min": 0.3,
        "erase_aspect_max": 3.33,
    },
    "model": {
        "backbone": "resnet50",
        "pretrained": "none",  # a file's path, by the command
        "last_stride": 1,
        "stem_relu": True,
        "stem_pool": "padded",
        "stride_in_1x1": False,
        "pooling": "average",
        "gem_power": 3.0,
        "neck": "bnneck",
        "embedding_width": 0,
        "dropout": 0.0,
        "classifier_bias": False,
        "ghost_batch_size": 0,
        "gradient_checkpointing": False,
        "compute_dtype": "float32",
    },
    "classifier": {"sub_centers": 1, "pad_classes_to_multiple": 1, "sample_rate": 1.0},
    "loss": {
        "identity_weight": 1.0,
        "label_smoothing": 0.1,
        "triplet_weight": 1.0,
        "triplet_margin": 0.3,
        "center_weight": 5e-4,
        "distance": "euclidean",
        # Margins and scales of terms that a config or an override may switch on.
        "batch_all_weight": 0.0,
        "quadruplet_weight": 0.0,
        "quadruplet_margin": 0.3,
        "quadruplet_second_margin": 0.15,
        "centroid_triplet_weight": 0.0,
        "centroid_triplet_margin": 0.5,
        "circle_weight": 0.0,
        "circle_margin": 0.25,
        "circle_scale": 128.0,
        "multi_similarity_weight": 0.0,
        "supervised_contrastive_weight": 0.0,
        "supervised_contrastive_temperature": 0.1,
        "arcface_weight": 0.0,
        "arcface_margin": 0.5,
        "cosface_weight": 0.0,
        "cosface_margin": 0.35,
        "proxy_nca_weight": 0.0,
        "proxy_anchor_weight": 0.0,
        "cosine_scale": 30.0,
    },
    "mining": {
        "anchors": "any",
        "positives": "any",
        "negatives": "any",
        "cross_domain_weight": 1.0,
        "memory_batches": 0,
        "memory_start_step": 0,
    },
    "optimizer": {
        "name": "adam",
        "learning_rate": 3.5e-4,
        "weight_decay": 5e-4,
        "decay_norm_and_bias": True,
        "schedule": "multistep",
        "warmup_epochs": 10.0,
        "warmup_start_ratio": 0.01,
        "milestones": (40.0, 70.0),
        "lr_decay_factor": 0.1,
        "end_lr_ratio": 0.0,
        "schedule_granularity": "epoch",
        "layer_decay": 1.0,
        "freeze_backbone_epochs": 0.0,
        "gradient_clip_norm": 0.0,
        "center_learning_rate": 0.5,
    },
    "training": {
        "epochs": 120,
        "seed": 0,
        "evaluate_every_epochs": 1,
        "microbatches": 1,
        "ema_decay": 0.0,
    },
    "evaluation": {"rerank": False, "validation_distractors": -1},
}
