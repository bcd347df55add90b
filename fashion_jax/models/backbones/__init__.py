"""Backbones: an image in, a map of features out. One family per file."""

from collections.abc import Callable
from importlib import metadata

from fashion_jax.errors import FashionJaxError
from fashion_jax.models.backbones import efficientnet_lite, osnet, resnet, vit
from fashion_jax.models.backbones.spec import Backbone, BackboneOptions, BackboneSpec, FeatureMap
from fashion_jax.models.layer_factory import LayerFactory
from fashion_jax.similar_names import did_you_mean

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
ENTRY_POINTS = "fashion_jax.backbones"


def register_backbone(
    name: str, backbone: BackboneSpec | Callable[[LayerFactory, BackboneOptions], Backbone]
) -> None:
    """Make a backbone known as `model.backbone = name`.

    Training, evaluation and search look the name up, so every process that reads the run's config
    must import the module that registers it. A class named in the entry points
    `fashion_jax.backbones` of an installed package needs no call: it is found by name, by commands
    as well. A name that is registered again stands for the new backbone; names of this package
    cannot be replaced.

    Examples:
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
    BACKBONES[name] = _spec_of(backbone)


def backbone_spec(name: str) -> BackboneSpec:
    """Return the backbone of that name: registered, or an entry point of an installed package.

    Raises:
        UnknownBackboneError: for an unknown name; the message has the nearest and all others.
    """
    if name in BACKBONES:
        return BACKBONES[name]
    for entry in metadata.entry_points(group=ENTRY_POINTS, name=name):
        return _spec_of(entry.load())
    raise UnknownBackboneError(
        f"model.backbone is {name!r}{did_you_mean(name, BACKBONES, cutoff=0.0)} Registered are "
        f"{', '.join(BACKBONES)}. For a backbone of your own, import the module that calls "
        f"register_backbone first, or name its class in your package's entry points {ENTRY_POINTS}."
    )


def _spec_of(
    backbone: BackboneSpec | Callable[[LayerFactory, BackboneOptions], Backbone],
) -> BackboneSpec:
    return (
        backbone if isinstance(backbone, BackboneSpec) else BackboneSpec(_without_variant, backbone)
    )


def _without_variant(
    make: Callable[[LayerFactory, BackboneOptions], Backbone],
    layers: LayerFactory,
    options: BackboneOptions,
) -> Backbone:
    return make(layers, options)
