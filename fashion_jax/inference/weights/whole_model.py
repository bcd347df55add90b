"""Whole models of other frameworks: backbone, pooling, neck and classifier as trained there."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fashion_jax.config import ModelConfig
from fashion_jax.inference.weights import WeightsError
from fashion_jax.inference.weights.matching import fitting_backbones, nearest_backbone
from fashion_jax.inference.weights.weight_map import ConvertedStateDict


def model_config_of(converted: ConvertedStateDict, given: Mapping[str, Any]) -> ModelConfig:
    """Return the config of the model in a file.

    Given fields override those read off the tensors, which override the framework's settings.

    Args:
        converted: tensors of the file.
        given: fields of `ModelConfig` by name.

    Raises:
        WeightsError: if the tensors fit no backbone, or several, or if neck or classifier is not
            a matrix with numbers.
    """
    tensors = converted.tensors
    backbone = given["backbone"] if "backbone" in given else _only_backbone(tensors)
    fields: dict[str, Any] = {"pretrained": "none", "backbone": backbone}
    fields |= converted.weight_map.settings(backbone) | _fields_from(tensors) | dict(given)
    return ModelConfig(**fields)


def num_identities(tensors: Mapping[str, np.ndarray]) -> int | None:
    """Return the number of the classifier's identities, or `None` without classifier.

    Raises:
        WeightsError: if the classifier is not a matrix with numbers.
    """
    return _rows(tensors, "classifier.weight")


def _rows(tensors: Mapping[str, np.ndarray], name: str) -> int | None:
    tensor = tensors.get(name)
    if tensor is None:
        return None
    if tensor.ndim != 2 or tensor.size == 0:
        raise WeightsError(f"{name} has the shape {tensor.shape} instead of that of a matrix")
    return tensor.shape[0]


def _fields_from(tensors: Mapping[str, np.ndarray]) -> dict[str, Any]:
    fields: dict[str, Any] = {"classifier_bias": "classifier.bias" in tensors}
    width = _rows(tensors, "bottleneck.linear.weight")
    if width is not None:
        fields["embedding_width"] = width
    if "pool.p" in tensors:
        fields["pooling"] = "learned_gem"
    fields["neck"] = _neck_name(tensors)
    return fields


def _neck_name(tensors: Mapping[str, np.ndarray]) -> str:
    has_linear = "bottleneck.linear.weight" in tensors
    has_norm = "bottleneck.norm.weight" in tensors
    if not has_linear:
        return "bnneck" if has_norm else "none"
    if not has_norm:
        return "linear"
    return "linear_bn_relu" if "bottleneck.norm.bias" in tensors else "linear_bnneck"


def _only_backbone(tensors: Mapping[str, np.ndarray]) -> str:
    names = fitting_backbones(tensors)
    if len(names) == 1:
        return names[0]
    if names:
        raise WeightsError(
            f"the tensors fit several backbones: {', '.join(names)}; set model.backbone to one"
        )
    nearest, differences = nearest_backbone(tensors)
    raise WeightsError(
        f"the tensors fit no backbone; the nearest is {nearest}, from which {differences} tensors "
        "differ: set model.backbone to it to list them"
    )
