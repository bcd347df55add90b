"""Backbones: a photo in, a map of features out."""

import dataclasses
import difflib
import functools
from collections.abc import Callable

from fashion_jax.errors import FashionJaxError
from fashion_jax.models.backbones import efficientnet_lite, resnet


class UnknownBackboneError(FashionJaxError):
    """A backbone's name that is not in the registry."""


# Called with photos [batch, height, width, 3] and `train`, a backbone returns its feature map
# [batch, rows, columns, width] in the dtype of the photos.
Backbone = resnet.ResNet | efficientnet_lite.EfficientNetLite0


@dataclasses.dataclass(frozen=True)
class BackboneSpec:
    """A backbone, and what its published weights expect.

    Attributes:
        build: makes it; takes `last_stride`, `stem_relu`, `rngs` and `param_dtype`.
        mean: of the pixels that it was trained with, per channel (RGB), in units of 0..255.
        std: what the pixels were divided by.
        package_weights: returns the path of the weights that come as a Python package, if any do.
    """

    build: Callable[..., Backbone]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    package_weights: Callable[[], str] | None = None


IMAGENET_MEAN = (0.485 * 255, 0.456 * 255, 0.406 * 255)
IMAGENET_STD = (0.229 * 255, 0.224 * 255, 0.225 * 255)


def _resnet(block: resnet.Block, blocks_per_stage: tuple[int, ...]) -> BackboneSpec:
    build = functools.partial(resnet.ResNet, block, blocks_per_stage)
    return BackboneSpec(build, IMAGENET_MEAN, IMAGENET_STD)


BACKBONES = {
    "resnet18": _resnet(resnet.BasicBlock, (2, 2, 2, 2)),
    "resnet50": _resnet(resnet.Bottleneck, (3, 4, 6, 3)),
    "efficientnet_lite0": BackboneSpec(
        efficientnet_lite.EfficientNetLite0,
        mean=(127.0, 127.0, 127.0),
        std=(128.0, 128.0, 128.0),
        package_weights=efficientnet_lite.package_weights,
    ),
}


def backbone_spec(name: str) -> BackboneSpec:
    """Returns the backbone of that name.

    Raises:
        UnknownBackboneError: there is none; the message names the nearest.
    """
    if name in BACKBONES:
        return BACKBONES[name]
    nearest = difflib.get_close_matches(name, BACKBONES, 1, 0)
    raise UnknownBackboneError(
        f"model.backbone is {name!r}; did you mean {nearest[0]!r}? "
        f"There are {', '.join(BACKBONES)}."
    )
