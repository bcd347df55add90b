"""Config fields of the network and its classifier."""

import dataclasses
from typing import Literal

from fashion_jax.config.section import (
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    PositiveRatio,
    RatioBelowOne,
    Section,
)


@dataclasses.dataclass(frozen=True)
class ModelConfig(Section):
    """The embedder.

    Attributes:
        backbone: name of a network in docs/models.md, such as `resnet50`.
        pretrained: `none`, `package` (weights from the backbone's Python package) or the path of
            a `.pth` or `.safetensors` file; see docs/weights.md.
        last_stride: stride of the backbone's last stage.
        stem_relu: apply the ReLU of a ResNet's stem, which the ReID reference networks lack.
        stem_pool: pooling after a ResNet's stem: `padded` as published, or `ceil` (from the
            border on, without padding) as in fast-reid.
        stride_in_1x1: stride in the first 1x1 convolution of a ResNet's bottleneck, as Caffe's
            networks do, and not in the 3x3.
        pooling: global pooling; `average_max` adds both, `token` is a transformer's class token.
        gem_power: exponent of `gem`, and the one that `learned_gem` starts from.
        neck: layers between the pooled feature and the embedding; see docs/models.md.
        embedding_width: dimensions of the linear necks' embedding; 0 for the other necks, which
            keep the backbone's.
        dropout: probability of dropping a number of the classifier's input in training.
        classifier_bias: give the classifier a bias.
        ghost_batch_size: photos that BatchNorm normalises together in training (ghost batch
            normalisation, arXiv:1705.08741); 0 for the batch of all devices and hosts. 32 is what
            a device with 32 photos would see on its own.
        gradient_checkpointing: recompute each block in the backward pass instead of keeping its
            activations: less memory, more time.
        compute_dtype: dtype of the backbone's computations; parameters, statistics, losses and
            distances stay in float32.
    """

    backbone: str = "resnet50"
    pretrained: str = "none"
    last_stride: Literal[1, 2] = 1
    stem_relu: bool = True
    stem_pool: Literal["padded", "ceil"] = "padded"
    stride_in_1x1: bool = False
    pooling: Literal["average", "max", "average_max", "gem", "learned_gem", "token"] = "average"
    gem_power: PositiveFloat = 3.0
    neck: Literal["bnneck", "none", "linear", "linear_bnneck", "linear_bn_relu"] = "bnneck"
    embedding_width: NonNegativeInt = 0
    dropout: RatioBelowOne = 0.0
    classifier_bias: bool = False
    ghost_batch_size: NonNegativeInt = 0
    gradient_checkpointing: bool = False
    compute_dtype: Literal["float32", "bfloat16", "float64"] = "float32"


@dataclasses.dataclass(frozen=True)
class ClassifierConfig(Section):
    """The classifier over training identities, whose columns also serve as proxies.

    Attributes:
        sub_centers: columns of each identity (sub-center ArcFace); the nearest one counts. For
            losses on cosines.
        pad_classes_to_multiple: number whose multiple the columns are rounded up to, so that
            devices share them evenly; the additional ones never count.
        sample_rate: fraction of the columns that each step draws (Partial FC, arXiv:2203.15565),
            always with those of the batch's own identities; 1 for all.
    """

    sub_centers: PositiveInt = 1
    pad_classes_to_multiple: PositiveInt = 1
    sample_rate: PositiveRatio = 1.0
