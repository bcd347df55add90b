"""The project's own experiments: each resolves to the values that are kept here."""

import json
import pathlib

import pytest

from fashion_jax.config import ExperimentConfig, load_config, load_ladder, to_nested_dict

FOLDER = pathlib.Path(__file__).parents[2] / "configs"
# Written by the code of commit 2dee032; a config's values change only together with this file.
KEPT = json.loads(pathlib.Path(__file__).with_name("shipped_configs.json").read_text())


def flat(config: ExperimentConfig) -> dict[str, object]:
    """`{"section.field": value}`, as JSON has it."""
    sections = json.loads(json.dumps(to_nested_dict(config)))
    return {
        f"{name}.{key}": value for name, part in sections.items() for key, value in part.items()
    }


@pytest.mark.parametrize("name", KEPT)
def test_resolves_to_the_kept_values(name):
    assert flat(load_config(FOLDER / f"{name}.py", {})) == KEPT[name]["config"]


@pytest.mark.parametrize("name", [name for name, kept in KEPT.items() if "sweep" in kept])
def test_sweep_resolves_to_the_kept_values(name):
    base = KEPT[name]["config"]
    rungs = load_ladder(FOLDER / f"{name}.py", {})
    assert len(rungs) == len(KEPT[name]["sweep"])
    for rung, kept in zip(rungs, KEPT[name]["sweep"], strict=True):
        assert (rung.name, rung.on) == (kept["name"], kept["on"])
        assert flat(rung.config) == base | kept["changed"]


def test_every_config_is_kept():
    assert set(KEPT) == {path.stem for path in FOLDER.glob("*.py")} - {"__init__"}
