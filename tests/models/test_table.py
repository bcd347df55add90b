"""docs/models.md says what the code says."""

import pathlib

import jax.numpy as jnp
import pytest
from flax import nnx

from fashion_jax.config import ModelConfig
from fashion_jax.config.allowed import choices
from fashion_jax.config.section import field_types
from fashion_jax.models import table
from fashion_jax.models.backbones import BACKBONES
from fashion_jax.models.backbones.spec import Backbone, FeatureMap
from fashion_jax.models.layer_factory import LayerFactory
from fashion_jax.models.numerics import ZeroRngs

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "models.md"


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def lines() -> dict[str, list[str]]:
    """The lines of all tables by the name in their first cell."""
    found = [cells(line) for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    return {line[0]: line for line in found}


def test_every_name_is_there_in_its_order():
    fields = field_types(ModelConfig)
    names = [
        f"`{name}`" for name in (*BACKBONES, *choices(fields["pooling"]), *choices(fields["neck"]))
    ]
    assert sorted(lines()) == sorted(names), "run `make docs`"
    assert [name for name in lines() if name.strip("`") in BACKBONES] == names[: len(BACKBONES)]


# All of them would take a minute; these are one of each family.
@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["se_resnext50_32x4d", "osnet_x0_25", "efficientnet_lite0", "vit_s14"]
)
def test_lines_are_what_the_code_gives(name):
    assert lines()[f"`{name}`"] == table.row(name, BACKBONES[name]), "run `make docs`"


class TwoLayers(Backbone):
    def __init__(self, layers: LayerFactory) -> None:
        self.conv = layers.conv(4, 8, 3, groups=2)
        self.linear = layers.linear(8, 5, std=1.0)

    def __call__(self, images, train):
        maps = self.conv(jnp.concatenate([images, images[..., :1]], -1))
        return FeatureMap(self.linear(maps))


def test_operations_by_hand():
    network = nnx.eval_shape(lambda: TwoLayers(LayerFactory(ZeroRngs(0))))
    positions = 6 * 4
    assert table.flops(network, (6, 4)) == 2 * positions * (9 * 2 * 8 + 8 * 5)


def test_published_operations():
    """OSNet's model zoo counts 978.9 million multiplications with their additions."""
    assert lines()["`osnet_x1_0`"][6] == "1.96"
