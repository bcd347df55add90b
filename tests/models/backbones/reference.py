"""Layers in plain NumPy, by their definitions, in float64: what the networks have to agree with.

A layer's parameters are read from the module that is compared.
"""

import math

import numpy as np
from flax import nnx


def randomised(module: nnx.Module, seed: int = 0) -> nnx.Module:
    """Draws all parameters and statistics anew, so that none is 0 or 1."""
    rng = np.random.default_rng(seed)
    for path, variable in nnx.to_flat_state(nnx.state(module, (nnx.Param, nnx.BatchStat))):
        values = rng.standard_normal(variable.shape) / 3
        if path[-1] == "var":
            values = 0.5 + np.abs(values)
        variable[...] = variable[...] * 0 + values
    return module


def value(variable) -> np.ndarray:
    return np.asarray(variable[...], np.float64)


def conv(layer, images: np.ndarray) -> np.ndarray:
    """A convolution of any stride, groups and padding by half a kernel (or `same`, or none)."""
    kernel = value(layer.kernel)
    size, stride = kernel.shape[0], layer.stride
    groups = images.shape[-1] // kernel.shape[2]
    pads = [(0, 0)] * 4
    for axis in (1, 2):
        before, after = size // 2, size // 2
        if layer.padding == "same":
            length = images.shape[axis]
            total = max((-(-length // stride) - 1) * stride + size - length, 0)
            before, after = total // 2, total - total // 2
        pads[axis] = (0, 0) if layer.padding == "none" else (before, after)
    padded = np.pad(images, pads)
    rows = (padded.shape[1] - size) // stride + 1
    columns = (padded.shape[2] - size) // stride + 1
    outputs = np.zeros((len(images), rows, columns, kernel.shape[3]))
    wide_in, wide_out = images.shape[-1] // groups, kernel.shape[3] // groups
    for row in range(rows):
        for column in range(columns):
            top, left = row * stride, column * stride
            patch = padded[:, top : top + size, left : left + size]
            for group in range(groups):
                inputs = slice(group * wide_in, (group + 1) * wide_in)
                found = slice(group * wide_out, (group + 1) * wide_out)
                outputs[:, row, column, found] = np.einsum(
                    "nijc,ijco->no", patch[..., inputs], kernel[..., found]
                )
    return outputs if getattr(layer, "bias", None) is None else outputs + value(layer.bias)


def batch_norm(layer, inputs: np.ndarray) -> np.ndarray:
    """With the running statistics."""
    normal = (inputs - value(layer.mean)) / np.sqrt(value(layer.var) + layer.epsilon)
    return normal * value(layer.scale) + value(layer.bias)


def instance_norm(layer, images: np.ndarray) -> np.ndarray:
    mean, var = images.mean((1, 2), keepdims=True), images.var((1, 2), keepdims=True)
    return (images - mean) / np.sqrt(var + layer.epsilon) * value(layer.scale) + value(layer.bias)


def layer_norm(layer, tokens: np.ndarray) -> np.ndarray:
    mean, var = tokens.mean(-1, keepdims=True), tokens.var(-1, keepdims=True)
    return (tokens - mean) / np.sqrt(var + layer.epsilon) * value(layer.scale) + value(layer.bias)


def linear(layer, inputs: np.ndarray) -> np.ndarray:
    return inputs @ value(layer.kernel) + value(layer.bias)


def relu(inputs: np.ndarray) -> np.ndarray:
    return np.maximum(inputs, 0)


def sigmoid(inputs: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-inputs))


def gelu(inputs: np.ndarray) -> np.ndarray:
    return inputs * 0.5 * (1 + np.vectorize(math.erf)(inputs / math.sqrt(2)))


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def gate(layer, inputs: np.ndarray) -> np.ndarray:
    """Squeeze-and-excitation, and OSNet's channel gate: `fc1` and `fc2` on channels' means."""
    means = inputs.mean((1, 2), keepdims=True)
    return inputs * sigmoid(conv(layer.fc2, relu(conv(layer.fc1, means))))
