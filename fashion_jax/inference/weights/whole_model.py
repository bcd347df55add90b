"""Whole models of other frameworks: backbone, pooling, neck and classifier as they were trained."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from fashion_jax.config import ModelConfig
from fashion_jax.inference.weights.fill import PretrainedWeightsError
from fashion_jax.inference.weights.matching import fitting_backbones, nearest_backbone
from fashion_jax.inference.weights.weight_map import ConvertedStateDict


def model_config_of(translation: ConvertedStateDict, given: Mapping[str, Any]) -> ModelConfig:
    """Returns the config of the model that a file holds.

    Fields come, each time the later over the earlier, from the framework's known facts, from the
    tensors, and from `given`.

    Args:
        translation: of the file.
        given: fields of `ModelConfig` by name.

    Raises:
        PretrainedWeightsError: the tensors fit no backbone, or several.
    """
    tensors = translation.tensors
    fields: dict[str, Any] = dict(translation.known) | _of_tensors(tensors) | dict(given)
    if "backbone" not in fields:
        fields["backbone"] = _only_backbone(tensors)
    if "ibn" in fields["backbone"] and "stem_relu" not in given:
        fields["stem_relu"] = True  # ReID's IBN networks have it where their plain ones lack it
    return dataclasses.replace(ModelConfig(pretrained="none"), **fields)


def num_identities(tensors: Mapping[str, np.ndarray]) -> int | None:
    """Returns how many identities the classifier tells apart; `None` if there is none."""
    classifier = tensors.get("classifier.weight")
    return None if classifier is None else classifier.shape[0]


def _of_tensors(tensors: Mapping[str, np.ndarray]) -> dict[str, Any]:
    fields: dict[str, Any] = {"classifier_bias": "classifier.bias" in tensors}
    linear = tensors.get("bottleneck.linear.weight")
    if linear is not None:
        fields["embedding_width"] = linear.shape[0]
    if "pool.p" in tensors:
        fields["pooling"] = "learned_gem"
    fields["neck"] = _neck(tensors)
    return fields


def _neck(tensors: Mapping[str, np.ndarray]) -> str:
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
        raise PretrainedWeightsError(
            f"the tensors fit several backbones: {', '.join(names)}; say which by model.backbone"
        )
    nearest, differences = nearest_backbone(tensors)
    raise PretrainedWeightsError(
        f"the tensors fit no backbone; the nearest is {nearest}, with which {differences} tensors "
        "disagree: set model.backbone to it to see which"
    )
