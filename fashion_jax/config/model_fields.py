"""Config fields of the network and its classifier."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """The embedder.

    Attributes:
        backbone: a name of the table in docs/models.md, such as `resnet50`.
        pretrained: `none`, `package` (weights from the backbone's Python package) or the path of
            a `.pth` or `.safetensors` file; see docs/weights.md.
        last_stride: stride of the backbone's last stage, 1 or 2.
        stem_relu: whether a ResNet's stem has its ReLU (the ReID reference networks lack it).
        stem_pool: `padded` (a ResNet's pooling after the stem as published) or `ceil` (it begins
            at the border without padding, as fast-reid's).
        pooling: `average`, `max`, `average_max` (their sum), `gem`, `learned_gem`, or `token`
            (a transformer's class token).
        gem_power: of `gem`; what `learned_gem` starts from.
        neck: `bnneck`, `none`, `linear`, `linear_bnneck` or `linear_bn_relu`.
        embedding_width: of the linear necks; 0 for the others, which keep the backbone's.
        dropout: share of the embedding's numbers that the classifier does not see in training.
        classifier_bias: whether the classifier has a bias.
        batch_norm_group: photos whose BatchNorm statistics go together in training; 0 for the
            whole batch over all devices and hosts. 32, say, is what a device with 32 photos would
            see of its own.
        gradient_checkpointing: compute each block again in the backward pass instead of keeping
            what it made: less memory, more time.
        compute_dtype: `float32` or `bfloat16`; parameters, statistics, losses and distances
            stay in float32.
    """

    backbone: str = "resnet50"
    pretrained: str = "none"
    last_stride: int = 1
    stem_relu: bool = True
    stem_pool: str = "padded"
    pooling: str = "average"
    gem_power: float = 3.0
    neck: str = "bnneck"
    embedding_width: int = 0
    dropout: float = 0.0
    classifier_bias: bool = False
    batch_norm_group: int = 0
    gradient_checkpointing: bool = False
    compute_dtype: str = "float32"


@dataclasses.dataclass(frozen=True)
class ClassifierConfig:
    """The classifier over training identities, whose columns also serve as proxies.

    Attributes:
        sub_centers: columns of each identity, the nearest of which counts; for losses on cosines.
        columns_multiple: columns are rounded up to a multiple of it, so that `mesh.model` devices
            can share them evenly; those that are no identity's never count.
        sampled_share: share of the columns that a step compares with, drawn anew each step and
            always with the batch's own; 1 for all of them.
    """

    sub_centers: int = 1
    columns_multiple: int = 1
    sampled_share: float = 1.0
