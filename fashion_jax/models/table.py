"""Tables of docs/models.md, made from the code: `python -m fashion_jax.models.table`.

Networks are traced, not run: shapes and traced operations are enough.
"""

import inspect
import math
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import tabulate
from flax import nnx

from fashion_jax.models import heads
from fashion_jax.models.backbones import BACKBONES
from fashion_jax.models.backbones.spec import Backbone, BackboneSpec
from fashion_jax.models.layers import xla_convolutions_only

# Sizes of images in the tables of ReID papers; patches of 14 pixels divide the second.
REID_SIZE = (256, 128)
PATCH_SIZE = (252, 126)

_HEAD = """\
# Backbones, poolings and necks

All backbones, poolings and necks that a config can choose. `make docs` generates this page from the
code.

`model.backbone` takes one of these names. Parameters are counted up to the last map, without neck
and classifier. FLOPs are two per multiply-add of convolutions and matrix products, for one image
and the same part of the network: at the size of the published weights, and at 256 × 128 (252 × 126
for patches of 14 pixels) with last stride 1. The column `map` is for that size. `stem_relu`,
`stem_pool` and `stride_in_1x1` are for ResNets; `last_stride` is for ResNets and EfficientNet-Lite.
Pixels are scaled as the published weights expect, unless `image.pixel_mean` and `image.pixel_std`
say otherwise.
"""

_OWN = """\
## Your own backbone

A class that derives from `Backbone`, registered under a name for `model.backbone`:

```python
from flax import nnx
from fashion_jax.models.backbones import Backbone, FeatureMap, register_backbone


class Patches(Backbone):
    def __init__(self, layers, options):
        self.width = 64
        self.conv = layers.conv(3, 64, kernel_size=16, stride=16)
        self.dropout = nnx.Dropout(0.1, rngs=layers.rngs)

    def __call__(self, images, train):
        return FeatureMap(self.dropout(nnx.relu(self.conv(images))))


register_backbone("patches", Patches)
```

`layers` makes this package's layers; Flax's own take `rngs=layers.rngs`. Dropout draws from a key
of the step, so that runs resume bit by bit, and does nothing at test. Every process that reads the
run (evaluation, indexing, search) must import the module that registers the backbone first.

The commands find it without that if your package names the class in its entry points:

```toml
[project.entry-points."fashion_jax.backbones"]
patches = "my_package.networks:Patches"
```
"""


def main() -> None:
    """Print docs/models.md."""
    print(page(), end="")


def page() -> str:
    """Return the text of docs/models.md."""
    headers = [
        "name", "paper", "published at", "parameters", "MB in float32", "GFLOPs",
        "GFLOPs at 256 × 128", "map", "width",
    ]  # fmt: skip
    rows = [row(name, spec) for name, spec in BACKBONES.items()]
    parts = [
        _HEAD,
        tabulate.tabulate(rows, headers, tablefmt="github", disable_numparse=True),
        "\n\n## Poolings (`model.pooling`)\n\n",
        _described(_poolings()),
        "\n\n## Necks (`model.neck`)\n\n",
        _described(_necks()),
        "\n\n" + _OWN,
    ]
    return parts[0] + "\n" + "".join(parts[1:])


def row(name: str, spec: BackboneSpec) -> list[str]:
    """Return the cells of a network's row."""
    network = spec.abstract()
    count = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(nnx.state(network, nnx.Param)))
    height, width = spec.input_size
    size = PATCH_SIZE if getattr(spec.variant, "patch", 0) == 14 else REID_SIZE
    maps = nnx.eval_shape(lambda network: network(jnp.zeros((1, *size, 3)), False), network)
    _, rows, columns, features = maps.positions.shape
    return [
        f"`{name}`",
        f"[{spec.paper}](https://arxiv.org/abs/{spec.paper})",
        f"{height} × {width}",
        f"{count:,}",
        f"{4 * count / 1e6:.1f}",
        f"{flops(network, spec.input_size) / 1e9:.2f}",
        f"{flops(network, size) / 1e9:.2f}",
        f"{rows} × {columns}",
        str(features),
    ]


def flops(network: Backbone, size: tuple[int, int]) -> int:
    """Count the floating-point operations of convolutions and matrix products for one image."""
    graphdef, state = nnx.split(network)
    image = jax.ShapeDtypeStruct((1, *size, 3), jnp.float32)
    with xla_convolutions_only():
        traced = jax.make_jaxpr(lambda state, x: nnx.merge(graphdef, state)(x, False))(state, image)
    return sum(_flops_of(equation) for equation in _equations(traced.jaxpr))


def _equations(jaxpr: Any) -> Iterator[Any]:
    for equation in jaxpr.eqns:
        yield equation
        for value in equation.params.values():
            inner = getattr(value, "jaxpr", value)  # closed, or open as it is
            if hasattr(inner, "eqns"):
                yield from _equations(inner)


def _flops_of(equation: Any) -> int:
    outputs = math.prod(equation.outvars[0].aval.shape) if equation.outvars else 0
    if equation.primitive.name == "conv_general_dilated":
        kernel = equation.invars[1].aval.shape  # [rows, columns, inputs of a group, outputs]
        return 2 * outputs * math.prod(kernel[:-1])
    if equation.primitive.name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        shape = equation.invars[0].aval.shape
        return 2 * outputs * math.prod(shape[axis] for axis in contracted)
    return 0


def _poolings() -> dict[str, Any]:
    return {
        "average": heads.average,
        "max": heads.maximum,
        "average_max": heads.average_max,
        "gem": heads.generalised_mean,
        "learned_gem": heads.GeneralisedMean,
        "token": heads.token,
    }


def _necks() -> dict[str, Any]:
    return {
        "bnneck": heads.BNNeck,
        "none": heads.NoNeck,
        "linear": heads.LinearNeck,
        "linear_bnneck": heads.LinearBNNeck,
        "linear_bn_relu": heads.LinearReluNeck,
    }


def _described(things: dict[str, Any]) -> str:
    rows = [
        (f"`{name}`", (inspect.getdoc(thing) or "").split("\n")[0])
        for name, thing in things.items()
    ]
    return tabulate.tabulate(rows, ["name", "description"], tablefmt="github")


if __name__ == "__main__":
    main()
