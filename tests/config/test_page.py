"""docs/configs.md: its snippets run, and its variants exist."""

import pathlib
import re

import pytest

from fashion_jax.config import load_config, load_sweep

PAGE = (pathlib.Path(__file__).parents[2] / "docs" / "configs.md").read_text()
CONFIG, WITH_VARIANTS, SWEEP = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
SHIPPED = re.findall(r"^    fashion-jax train --config=(\w\S*)(?<!\.py) ", PAGE, re.MULTILINE)


def test_an_own_config(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(CONFIG)
    config = load_config(path)
    assert (config.data.dataset, config.training.epochs) == ("catalogue", 60)
    assert config.loss == load_config("market1501_resnet50").loss


def test_own_variants(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(WITH_VARIANTS)
    sizes = [load_config(f"{path}{arg}").image for arg in ("", ":small", ":large")]
    assert [(size.height, size.width) for size in sizes] == [(96, 96), (96, 96), (160, 160)]


def test_an_own_sweep(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(CONFIG + SWEEP)
    assert [each.on for each in load_sweep(path)] == [None, "baseline", "baseline"]


@pytest.mark.parametrize("name", SHIPPED)
def test_named_configs_exist(name):
    load_config(name)


def test_listed_variants_exist():
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]
    for configs, variants in (row.strip("|").split("|") for row in rows):
        for config in re.findall(r"`(\w+)`", configs):
            for variant in re.findall(r"`(\w+)`", variants):
                load_config(f"{config}:{variant}")
    assert len(rows) == 2
