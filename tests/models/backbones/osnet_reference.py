"""OSNet's layers in plain numpy, photo by photo and tap by tap, from the papers' definitions.

`train=False` throughout: BatchNorms use their running statistics.
"""

import jax.numpy as jnp
import numpy as np
from flax import nnx


def randomise(module: nnx.Module, seed: int = 0) -> None:
    """Gives every leaf a value of its own, so that no two layers can be confused."""
    rng = np.random.default_rng(seed)
    for path, leaf in nnx.to_flat_state(nnx.state(module)):
        values = rng.standard_normal(leaf.shape)
        if path[-1] == "var":
            values = 0.5 + np.abs(values)
        elif path[-1] == "kernel":
            values /= np.sqrt(np.prod(leaf.shape[:-1]))
        nnx.update(module, nnx.from_flat_state([(path, leaf.replace(jnp.asarray(values)))]))


def relu(inputs: np.ndarray) -> np.ndarray:
    return np.maximum(inputs, 0)


def batch_norm(norm: nnx.Module, inputs: np.ndarray) -> np.ndarray:
    scale, bias, mean, var = (
        np.asarray(v[...]) for v in (norm.scale, norm.bias, norm.mean, norm.var)
    )
    return (inputs - mean) / np.sqrt(var + 1e-5) * scale + bias


def instance_norm(norm: nnx.Module, inputs: np.ndarray) -> np.ndarray:
    normal = (inputs - inputs.mean((1, 2), keepdims=True)) / np.sqrt(
        inputs.var((1, 2), keepdims=True) + 1e-5
    )
    return normal * np.asarray(norm.scale[...]) + np.asarray(norm.bias[...])


def pointwise(conv: nnx.Module, inputs: np.ndarray) -> np.ndarray:
    outputs = inputs @ np.asarray(conv.kernel[...])[0, 0]
    return outputs if conv.bias is None else outputs + np.asarray(conv.bias[...])


def depthwise_3x3(conv: nnx.Module, inputs: np.ndarray) -> np.ndarray:
    kernel = np.asarray(conv.kernel[...])
    padded = np.pad(inputs, ((0, 0), (1, 1), (1, 1), (0, 0)))
    outputs = np.zeros_like(inputs)
    for row, column in np.ndindex(inputs.shape[1:3]):
        window = padded[:, row : row + 3, column : column + 3]
        outputs[:, row, column] = np.sum(window * kernel[:, :, 0], (1, 2))
    return outputs


def light_conv(layer: nnx.Module, inputs: np.ndarray) -> np.ndarray:
    return relu(batch_norm(layer.bn, depthwise_3x3(layer.conv2, pointwise(layer.conv1, inputs))))


def stream(layers: list[nnx.Module], inputs: np.ndarray) -> np.ndarray:
    for layer in layers:
        inputs = light_conv(layer, inputs)
    return inputs


def gate(layer: nnx.Module, inputs: np.ndarray) -> np.ndarray:
    logits = pointwise(layer.fc2, relu(pointwise(layer.fc1, inputs.mean((1, 2), keepdims=True))))
    return inputs / (1 + np.exp(-logits))


def block(layer: nnx.Module, streams: list[list[nnx.Module]], inputs: np.ndarray) -> np.ndarray:
    """Returns what conv3's convolution gives; norm and shortcut differ by kind of block."""
    hidden = relu(batch_norm(layer.conv1.bn, pointwise(layer.conv1.conv, inputs)))
    return pointwise(layer.conv3.conv, sum(gate(layer.gate, stream(s, hidden)) for s in streams))


def shortcut(layer: nnx.Module, inputs: np.ndarray) -> np.ndarray:
    if layer.downsample is None:
        return inputs
    return batch_norm(layer.downsample.bn, pointwise(layer.downsample.conv, inputs))


def os_block(layer: nnx.Module, inputs: np.ndarray) -> np.ndarray:
    """OSNet's block; OSNet-IBN normalises after the addition."""
    streams = [[layer.conv2a], list(layer.conv2b), list(layer.conv2c), list(layer.conv2d)]
    outputs = batch_norm(layer.conv3.bn, block(layer, streams, inputs)) + shortcut(layer, inputs)
    return relu(outputs if layer.IN is None else instance_norm(layer.IN, outputs))


def ain_block(layer: nnx.Module, inputs: np.ndarray) -> np.ndarray:
    """OSNet-AIN's block: one of the two norms, before the addition."""
    outputs = block(layer, [list(part.layers) for part in layer.conv2], inputs)
    if layer.IN is None:
        outputs = batch_norm(layer.conv3.bn, outputs)
    else:
        outputs = instance_norm(layer.IN, outputs)
    return relu(outputs + shortcut(layer, inputs))
