"""Loads published weights into a network, one to one and completely."""

import collections
import hashlib
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy
from flax import nnx

from fashion_jax.config import ModelConfig
from fashion_jax.errors import FashionJaxError
from fashion_jax.models.backbones import backbone_spec
from fashion_jax.models.embedder import Embedder
from fashion_jax.models.torch_file import read_torch_file

# What published weights hold beyond a backbone: BatchNorm's counters of batches, and the layer
# that classifies ImageNet (torchvision's name, and that of EfficientNet-Lite's weights).
IGNORED_LEAVES = ("num_batches_tracked",)
IGNORED_LAYERS = ("fc", "_fc")

# PyTorch's name of a leaf, by its rank, to ours.
_LEAVES = {"running_mean": "mean", "running_var": "var", "bias": "bias"}

# Axes of a tensor in our layout: [out, in, rows, columns] to [rows, columns, in, out].
_AXES = {1: (0,), 2: (1, 0), 4: (2, 3, 1, 0)}


class PretrainedWeightsError(FashionJaxError):
    """Weights that cannot be read, or do not fit the network."""


def load_pretrained(embedder: Embedder, config: ModelConfig) -> None:
    """Fills the embedder's backbone with the weights that the config asks for, in place.

    `config.pretrained` is `none` (leave it as it is), `package` (the backbone's Python package)
    or the path of a `.pth` or `.safetensors` file with torchvision's layer names.

    Raises:
        PretrainedWeightsError: there are no such weights, or they do not fit.
        TorchFileError: the `.pth` file is broken, or holds more than tensors.
    """
    if config.pretrained != "none":
        path = resolve(config)
        fill(embedder.backbone, read_weights(path), str(path))


def resolve(config: ModelConfig) -> pathlib.Path:
    """Returns the path of the weights that `config.pretrained` names.

    Raises:
        PretrainedWeightsError: there is no such file, or no such package.
    """
    if config.pretrained != "package":
        return pathlib.Path(config.pretrained).expanduser().resolve()
    package_weights = backbone_spec(config.backbone).package_weights
    if package_weights is None:
        raise PretrainedWeightsError(
            f"no Python package has weights for {config.backbone}; set model.pretrained to the "
            "path of a torchvision .pth or .safetensors file, or to 'none'"
        )
    return pathlib.Path(package_weights())


def read_weights(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Returns the tensors of a `.pth` or `.safetensors` file, by name.

    Raises:
        PretrainedWeightsError: there is no such file, or its ending is another.
        TorchFileError: the `.pth` file is broken, or holds more than tensors.
    """
    if not path.is_file():
        raise PretrainedWeightsError(
            f"model.pretrained: there is no file {path}; give 'none', 'package' or the path of a "
            ".pth or .safetensors file"
        )
    if path.suffix in (".pth", ".pt"):
        return read_torch_file(path)
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    raise PretrainedWeightsError(f"{path} ends neither with .pth or .pt nor with .safetensors")


def _read_safetensors(path: pathlib.Path) -> dict[str, np.ndarray]:
    try:
        return safetensors.numpy.load_file(path)
    except (safetensors.SafetensorError, KeyError, ValueError) as error:
        raise PretrainedWeightsError(f"{path} is not a safetensors file, or broken: {error}") from (
            error
        )


def fill(network: nnx.Module, source: Mapping[str, np.ndarray], origin: str) -> None:
    """Fills a network with tensors named and laid out as PyTorch does, in place.

    Every tensor of the source is used exactly once or is ignored by name (`IGNORED_LEAVES`,
    `IGNORED_LAYERS`); every parameter and statistic of the network is filled. Nothing is filled
    if anything is wrong.

    Args:
        network: with PyTorch's layer names, less leading underscores.
        source: tensors by PyTorch's names.
        origin: of the tensors, for messages.

    Raises:
        PretrainedWeightsError: lists all tensors that are missing, surplus, misshapen or not
            finite.
    """
    found = _by_target(source)
    targets = {_join(path): variable for path, variable in nnx.to_flat_state(_weights(network))}
    problems = _problems(found, targets)
    if problems:
        raise PretrainedWeightsError(f"{origin} does not fit the network\n" + "\n".join(problems))
    for target, variable in targets.items():
        ((_, tensor),) = found[target]
        variable[...] = jnp.asarray(tensor, variable.dtype)


Named = list[tuple[str, np.ndarray]]


def _by_target(source: Mapping[str, np.ndarray]) -> dict[str, Named]:
    """Groups the source by our names; several of the source may have got the same one."""
    found: dict[str, Named] = collections.defaultdict(list)
    for name, tensor in source.items():
        *layers, leaf = name.split(".")
        if leaf in IGNORED_LEAVES or (layers and layers[0] in IGNORED_LAYERS):
            continue
        if leaf == "weight":
            leaf = "scale" if tensor.ndim == 1 else "kernel"
        path = [layer.removeprefix("_") for layer in layers] + [_LEAVES.get(leaf, leaf)]
        axes = _AXES.get(tensor.ndim, range(tensor.ndim))
        found[".".join(path)].append((name, tensor.transpose(axes)))
    return dict(found)


def _problems(found: dict[str, Named], targets: Mapping[str, nnx.Variable]) -> list[str]:
    """Returns a line for each kind of problem, with its count and all names."""
    missing = [name for name in targets if name not in found]
    surplus, misshapen, wild = [], [], []
    for target, named in found.items():
        surplus += [name for name, _ in (named if target not in targets else named[1:])]
        name, tensor = named[0]
        if target in targets and tensor.shape != targets[target].shape:
            misshapen.append(f"{name} ({tensor.shape} for {targets[target].shape})")
        if not np.isfinite(tensor).all():
            wild.append(name)
    kinds = {"missing": missing, "surplus": surplus, "misshapen": misshapen, "not finite": wild}
    return [f"{len(names)} {kind}: {', '.join(names)}" for kind, names in kinds.items() if names]


def _weights(network: nnx.Module) -> nnx.State:
    return nnx.state(network, (nnx.Param, nnx.BatchStat))


def _join(path: tuple[Any, ...]) -> str:
    return ".".join(str(part) for part in path)


def weights_hash(*weights: Any) -> str:
    """Returns the SHA-256 of weights, for the model card.

    Over names (sorted), dtypes, shapes and bytes, so that it does not depend on where or in how
    many parts the weights are held.

    Args:
        *weights: modules, their states, or nested dicts of arrays.
    """
    arrays: dict[str, np.ndarray] = {}
    for part in weights:
        arrays |= _named_arrays(part)
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _named_arrays(weights: Any) -> dict[str, np.ndarray]:
    if isinstance(weights, nnx.Module):
        weights = _weights(weights)
    if isinstance(weights, nnx.State):
        weights = nnx.to_pure_dict(weights)
    leaves, _ = jax.tree_util.tree_flatten_with_path(weights)
    return {
        jax.tree_util.keystr(path, simple=True, separator="."): np.asarray(jax.device_get(leaf))
        for path, leaf in leaves
    }
