"""Which parameters decay, which are the backbone's, and how deep each lies."""

import dataclasses
import re
from typing import Any

import jax
import optax

from fashion_jax.errors import FashionJaxError

PureTree = Any  # nested dicts of arrays

LAST = 1_000_000  # place in its stage of a part without a number
# Matrices in shape, vectors in what they do.
_LEARNED_TOKENS = re.compile(r"(^|/)(cls_token|pos_embed|register_tokens)$")


class ParameterGroupError(FashionJaxError):
    """Parameters of a backbone whose depth no rule tells."""


@dataclasses.dataclass(frozen=True)
class Family:
    """How a family of backbones names its parts, as patterns of what follows `backbone/`.

    Attributes:
        before: whatever photos pass before the first block.
        block: blocks; the numbers in it say their order.
        after: whatever comes after the last block.
    """

    before: str
    block: str
    after: str = r"$^"


FAMILIES = (
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
)


def decays(params: PureTree) -> PureTree:
    """True for kernels; False for biases, normalisations' scales, tokens, position embeddings."""
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: leaf.ndim > 1 and not _LEARNED_TOKENS.search(name_of(path)), params
    )


def part_of(params: PureTree) -> PureTree:
    """`backbone` or `rest` for each parameter."""
    return jax.tree_util.tree_map_with_path(
        lambda path, _: "backbone" if name_of(path).startswith("backbone/") else "rest", params
    )


def name_of(path: tuple[Any, ...]) -> str:
    """A parameter's path as `backbone/blocks/0/...`."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def layer_scales(params: PureTree, decay: float) -> PureTree:
    """decay^(depth − layer) for each parameter.

    The layer is 0 before the backbone's blocks, 1, 2, ... for the blocks and `depth`, one more
    than there are blocks, for what comes after them, neck and classifier too (Clark et al. 2020,
    arXiv:2003.10555, section A; in this form Bao et al. 2021, arXiv:2106.08254).

    Raises:
        ParameterGroupError: listing the backbone's parameters that fit no rule.
    """
    leaves, structure = jax.tree_util.tree_flatten_with_path(params)
    names = [name_of(path) for path, _ in leaves]
    inside = [name.removeprefix("backbone/") for name in names if name.startswith("backbone/")]
    layers, depth = _layers(inside)
    found = [layers.get(name.removeprefix("backbone/"), depth) for name in names]
    return jax.tree.unflatten(structure, [decay ** (depth - layer) for layer in found])


def _layers(names: list[str]) -> tuple[dict[str, int], int]:
    """Each of a backbone's parameters' layer, and that of what comes after the blocks."""
    missed = [[name for name in names if not _fits(family, name)] for family in FAMILIES]
    fewest = min(missed, key=len)
    if fewest:
        raise ParameterGroupError(
            "optimizer.layer_decay does not know how deep these parameters of the backbone lie: "
            f"{', '.join(fewest)}; add their names to optim/parameter_groups.py"
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
    """Multiplies each parameter's update by its `layer_scales`."""

    def init(params: optax.Params) -> optax.EmptyState:
        layer_scales(params, decay)  # refuses what it does not know at once
        return optax.EmptyState()

    def update(
        updates: optax.Updates, state: optax.OptState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, optax.OptState]:
        scales = layer_scales(updates, decay)
        return jax.tree.map(lambda part, scale: part * scale, updates, scales), state

    return optax.GradientTransformation(init, update)
