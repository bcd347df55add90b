"""Backbones: an image in, a map of features out. One family a file."""

import difflib
from collections.abc import Callable

from fashion_jax.errors import FashionJaxError
from fashion_jax.models.backbones import efficientnet_lite, osnet, resnet, vit
from fashion_jax.models.backbones.spec import Backbone, BackboneOptions, BackboneSpec, FeatureMap
from fashion_jax.models.layer_factory import LayerFactory

__all__ = [
    "BACKBONES",
    "Backbone",
    "BackboneOptions",
    "BackboneSpec",
    "FeatureMap",
    "LayerFactory",
    "UnknownBackboneError",
    "backbone_spec",
    "register_backbone",
]


class UnknownBackboneError(FashionJaxError):
    """A backbone's name that is not in the registry."""


BACKBONES: dict[str, BackboneSpec] = {
    **resnet.SPECS,
    **osnet.SPECS,
    **efficientnet_lite.SPECS,
    **vit.SPECS,
}
SHIPPED = frozenset(BACKBONES)


def register_backbone(
    name: str, backbone: BackboneSpec | Callable[[LayerFactory, BackboneOptions], Backbone]
) -> None:
    """Make a backbone known as `model.backbone = name`.

    Training, evaluation and search look the name up: whatever process reads the run's config has
    to import the module that registers it. A name that is registered again stands for the new
    backbone, except for those that come with the package.

    Example:
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> class Patches(Backbone):
        ...     def __init__(self, layers, options):
        ...         self.width = 64
        ...         self.conv = layers.conv(3, 64, kernel_size=16, stride=16)
        ...         self.dropout = nnx.Dropout(0.1, rngs=layers.rngs)
        ...     def __call__(self, images, train):
        ...         return FeatureMap(self.dropout(nnx.relu(self.conv(images))))
        >>> register_backbone("patches", Patches)
        >>> backbone_spec("patches").input_size
        (224, 224)
        >>> del BACKBONES["patches"]

    Args:
        name: value of `model.backbone`.
        backbone: class or function called with a layer factory, whose `rngs` draw the initial
            weights, and options, or a `BackboneSpec` with the pixel scale and package of
            published weights as well.

    Raises:
        ValueError: if the name belongs to a backbone of the package.
    """
    if name in SHIPPED:
        raise ValueError(f"{name!r} is a backbone of fashion_jax; register yours by another name")
    if not isinstance(backbone, BackboneSpec):
        backbone = BackboneSpec(_without_variant, backbone)
    BACKBONES[name] = backbone


def backbone_spec(name: str) -> BackboneSpec:
    """Return the backbone of that name.

    Raises:
        UnknownBackboneError: for an unknown name; the message has the nearest and all others.
    """
    if name in BACKBONES:
        return BACKBONES[name]
    nearest = difflib.get_close_matches(name, BACKBONES, 1, 0)
    raise UnknownBackboneError(
        f"model.backbone is {name!r}; did you mean {nearest[0]!r}? Registered are "
        f"{', '.join(BACKBONES)}. A backbone of your own has to be registered in this process: "
        "import the module that calls register_backbone first."
    )


def _without_variant(
    make: Callable[[LayerFactory, BackboneOptions], Backbone],
    layers: LayerFactory,
    options: BackboneOptions,
) -> Backbone:
    return make(layers, options)
