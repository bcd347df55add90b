"""Groups of parameters: by weight decay, by backbone and rest, and by depth."""

import dataclasses
import re
from typing import Any

import jax
import optax

from fashion_jax.config import ConfigError

PureTree = Any  # nested dicts of arrays

LAST = 1_000_000  # number in its stage of a part without a number, such as OSNet-AIN's `pool2`
# Parameters with the shape of a kernel that act as biases.
_LEARNED_TOKENS = re.compile(r"(^|/)(cls_token|pos_embed|register_tokens)$")


@dataclasses.dataclass(frozen=True)
class Family:
    """Names of a family's parts, as patterns of the path after `backbone/`.

    Attributes:
        before: parts before the first block.
        block: blocks, with groups for the numbers that order them.
        after: parts after the last block.
    """

    before: str
    block: str
    after: str = r"$^"


FAMILIES = [
    Family(before=r"conv1/|bn1/", block=r"layer(\d+)/(\d+)/"),  # ResNet
    Family(before=r"conv1/", block=r"conv([234])/(\d+)/|pool([23])/", after=r"conv5/"),  # OSNet
    Family(
        before=r"conv_stem/|bn0/", block=r"blocks/(\d+)/", after=r"conv_head/|bn1/"
    ),  # EfficientNet-Lite
    Family(
        before=r"patch_embed/|norm_pre/|(cls_token|pos_embed|register_tokens)$",
        block=r"blocks/(\d+)/",
        after=r"norm/",
    ),  # Vision Transformer
]


def decay_mask(params: PureTree) -> PureTree:
    """Return True for kernels, and False for biases, scales of norms, tokens and positions."""
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: leaf.ndim > 1 and not _LEARNED_TOKENS.search(parameter_name(path)),
        params,
    )


def partition_labels(params: PureTree) -> PureTree:
    """Return `backbone` or `rest` for each parameter."""
    return jax.tree_util.tree_map_with_path(
        lambda path, _: "backbone" if parameter_name(path).startswith("backbone/") else "rest",
        params,
    )


def parameter_name(path: tuple[Any, ...]) -> str:
    """Return a parameter's path as `backbone/blocks/0/...`."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def layer_scales(params: PureTree, decay: float) -> PureTree:
    """Return decay^(depth − layer) for each parameter.

    The layer is 0 before the backbone's blocks, 1, 2, ... for the blocks and `depth`, the number
    of blocks plus one, for all parts after them, including neck and classifier (Clark et al. 2020,
    arXiv:2003.10555, section A; in this form Bao et al. 2021, arXiv:2106.08254).

    Raises:
        ConfigError: listing the backbone's parameters that match no family.
    """
    leaves, structure = jax.tree_util.tree_flatten_with_path(params)
    names = [parameter_name(path) for path, _ in leaves]
    inside = [name.removeprefix("backbone/") for name in names if name.startswith("backbone/")]
    layers, depth = _layers(inside)
    found = [layers.get(name.removeprefix("backbone/"), depth) for name in names]
    return jax.tree.unflatten(structure, [decay ** (depth - layer) for layer in found])


def _layers(names: list[str]) -> tuple[dict[str, int], int]:
    """Return the layers of a backbone's parameters by name, and that of the parts after it."""
    missed = [[name for name in names if not _fits(family, name)] for family in FAMILIES]
    fewest = min(missed, key=len)
    if fewest:
        raise ConfigError(
            "optimizer.layer_decay does not know the depth of these parameters of the backbone: "
            f"{', '.join(fewest)}; set it to 1, or append a Family that matches their names to "
            "fashion_jax.optim.parameter_groups.FAMILIES"
        )
    return _layers_of(FAMILIES[missed.index(fewest)], names)


def _fits(family: Family, name: str) -> bool:
    return any(re.match(part, name) for part in (family.before, family.block, family.after))


def _layers_of(family: Family, names: list[str]) -> tuple[dict[str, int], int]:
    numbers = {name: _numbers(family, name) for name in names}
    blocks = sorted({number for number in numbers.values() if number is not None})
    layers = {}
    for name, number in numbers.items():
        if number is not None:
            layers[name] = 1 + blocks.index(number)
        else:
            layers[name] = 0 if re.match(family.before, name) else 1 + len(blocks)
    return layers, 1 + len(blocks)


def _numbers(family: Family, name: str) -> tuple[int, ...] | None:
    found = re.match(family.block, name)
    if found is None:
        return None
    stage, *place = (int(number) for number in found.groups() if number is not None)
    return stage, *(place or [LAST])


def scale_by_layer(decay: float) -> optax.GradientTransformation:
    """Return a transformation that multiplies updates by their `layer_scales`."""

    def init(params: optax.Params) -> optax.EmptyState:
        layer_scales(params, decay)  # refuses unknown parameters before the first step
        return optax.EmptyState()

    def update(
        updates: optax.Updates, state: optax.OptState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, optax.OptState]:
        scales = layer_scales(updates, decay)
        return jax.tree.map(lambda part, scale: part * scale, updates, scales), state

    return optax.GradientTransformation(init, update)
