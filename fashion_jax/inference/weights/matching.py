"""Backbones that a file's tensors fit."""

import functools
from collections.abc import Mapping

import numpy as np

from fashion_jax.inference.weights.fill import variable_shapes
from fashion_jax.inference.weights.layout import to_ours
from fashion_jax.inference.weights.pretrained import BACKBONE
from fashion_jax.models.backbones import BACKBONES
from fashion_jax.models.backbones.spec import BackboneSpec


def fitting_backbones(tensors: Mapping[str, np.ndarray]) -> list[str]:
    """List the backbones that the tensors fill one to one.

    Args:
        tensors: tensors by our names, as `ConvertedStateDict.tensors`.
    """
    shapes = _shapes(tensors)
    return [name for name, spec in BACKBONES.items() if backbone_shapes(spec) == shapes]


def nearest_backbone(tensors: Mapping[str, np.ndarray]) -> tuple[str, int]:
    """Return the backbone with the fewest differing or missing tensors, and their number."""
    shapes = set(_shapes(tensors).items())
    differences = {
        name: len(shapes ^ set(backbone_shapes(spec).items())) for name, spec in BACKBONES.items()
    }
    name = min(differences, key=differences.__getitem__)
    return name, differences[name]


@functools.cache
def backbone_shapes(spec: BackboneSpec) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a backbone's variables by their paths, without making arrays.

    Kept by the spec: a name may be registered again for another backbone.
    """
    return variable_shapes(spec.abstract())


def _shapes(tensors: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    ours = (
        to_ours(name.removeprefix(BACKBONE), tensor)
        for name, tensor in tensors.items()
        if name.startswith(BACKBONE)
    )
    return {path: tensor.shape for path, tensor in ours}
