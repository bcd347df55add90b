"""ResNet (He et al. 2015, arXiv:1512.03385) and its relatives.

Layers have the names of torchvision, or of IBN-Net and timm for networks that torchvision lacks.
SE networks are timm's, with the stride in the 3x3 convolution. SE-ResNets that came from Caffe
have it in the first 1x1 convolution: their weights would load, but give wrong features.
"""

import dataclasses
import functools

import jax
from flax import nnx
from jaxtyping import Array, Float

from fashion_jax.models.backbones.resnet_blocks import (
    IBN,
    BasicBlock,
    Block,
    BlockOptions,
    Bottleneck,
)
from fashion_jax.models.backbones.spec import (
    Backbone,
    BackboneOptions,
    BackboneSpec,
    FeatureMap,
)
from fashion_jax.models.gradient_checkpointing import run_blocks
from fashion_jax.models.layer_factory import LayerFactory
from fashion_jax.models.max_pool import max_pool_3x3
from fashion_jax.models.norms import InstanceNorm

STAGE_WIDTHS = (64, 128, 256, 512)

_PLAIN = BlockOptions()


@dataclasses.dataclass(frozen=True)
class ResNetVariant:
    """Size and blocks of one ResNet.

    Attributes:
        block: class of the blocks.
        blocks: number of blocks in each of the four stages.
        ibn: kind of instance normalisation in each stage; `b` only in its last block.
        options: options of all blocks.
    """

    block: Block
    blocks: tuple[int, int, int, int]
    ibn: tuple[IBN, IBN, IBN, IBN] = (None, None, None, None)
    options: BlockOptions = _PLAIN


class ResNet(Backbone):
    """The network up to its last feature map.

    Attributes:
        width: number of channels of the feature map.
    """

    def __init__(
        self, variant: ResNetVariant, layers: LayerFactory, options: BackboneOptions
    ) -> None:
        """Make the network with initial weights."""
        stem = STAGE_WIDTHS[0]
        self.stem_relu = options.stem_relu
        self.stem_padding = 1 if options.stem_pool == "padded" else 0
        self.gradient_checkpointing = options.gradient_checkpointing
        self.conv1 = layers.conv(3, stem, 7, stride=2)
        by_instance = variant.ibn[0] == "b"
        self.bn1 = layers.instance_norm(stem) if by_instance else layers.batch_norm(stem)
        stage = functools.partial(_stage, variant, layers)
        one, two, three, four = (width * variant.block.expansion for width in STAGE_WIDTHS)
        self.layer1 = stage(0, stem, 1)
        self.layer2 = stage(1, one, 2)
        self.layer3 = stage(2, two, 2)
        self.layer4 = stage(3, three, options.last_stride)
        self.width = four

    def __call__(self, images: Float[Array, "batch height width 3"], train: bool) -> FeatureMap:
        """Return the feature map, in the dtype of the images."""
        features = self.conv1(images)
        if isinstance(self.bn1, InstanceNorm):
            features = self.bn1(features)
        else:
            features = self.bn1(features, train)
        if self.stem_relu:
            features = jax.nn.relu(features)
        features = max_pool_3x3(features, self.stem_padding)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            features = run_blocks(stage, features, train, self.gradient_checkpointing)
        return FeatureMap(features)


def _stage(
    variant: ResNetVariant, layers: LayerFactory, index: int, inputs: int, stride: int
) -> nnx.List:
    """Make a run of blocks, the first of which has the stride and changes the width."""
    width, count, ibn = STAGE_WIDTHS[index], variant.blocks[index], variant.ibn[index]
    outputs = width * variant.block.expansion
    blocks = []
    for number in range(count):
        last = number == count - 1
        blocks.append(
            variant.block(
                inputs if number == 0 else outputs,
                width,
                stride if number == 0 else 1,
                None if ibn == "b" and not last else ibn,
                variant.options,
                layers,
            )
        )
    return nnx.List(blocks)


_RESNET = "1512.03385"
_IBN = "1807.09441"
_SE = "1709.01507"

_DEPTHS: dict[str, tuple[Block, tuple[int, int, int, int]]] = {
    "18": (BasicBlock, (2, 2, 2, 2)),
    "34": (BasicBlock, (3, 4, 6, 3)),
    "50": (Bottleneck, (3, 4, 6, 3)),
    "101": (Bottleneck, (3, 4, 23, 3)),
    "152": (Bottleneck, (3, 8, 36, 3)),
}
_IBN_A: tuple[IBN, IBN, IBN, IBN] = ("a", "a", "a", None)
_IBN_B: tuple[IBN, IBN, IBN, IBN] = ("b", "b", None, None)
_SQUEEZED = BlockOptions(squeeze_excitation=True)
_SQUEEZED_GROUPS = BlockOptions(squeeze_excitation=True, groups=32, group_width=4)


def _specs() -> dict[str, BackboneSpec]:
    variants = {
        f"resnet{depth}": (_RESNET, ResNetVariant(*shape)) for depth, shape in _DEPTHS.items()
    }
    for depth in ("18", "34", "50", "101"):
        name = f"resnet{depth}_ibn_a"
        variants[name] = (_IBN, ResNetVariant(*_DEPTHS[depth], ibn=_IBN_A))
    for depth in ("50", "101"):
        name = f"resnet{depth}_ibn_b"
        variants[name] = (_IBN, ResNetVariant(*_DEPTHS[depth], ibn=_IBN_B))
    for title, options in (("se_resnet{}", _SQUEEZED), ("se_resnext{}_32x4d", _SQUEEZED_GROUPS)):
        for depth in ("50", "101"):
            variant = ResNetVariant(*_DEPTHS[depth], options=options)
            variants[title.format(depth)] = (_SE, variant)
    return {
        name: BackboneSpec(ResNet, variant, paper) for name, (paper, variant) in variants.items()
    }


SPECS = _specs()
