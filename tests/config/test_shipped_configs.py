"""The project's own experiments: what each resolves to, and that no default reaches into them."""

import dataclasses
import importlib
import json
import pathlib
import typing

import pytest

from fashion_jax.config import (
    ConfigError,
    ExperimentConfig,
    from_nested_dict,
    load_config,
    load_sweep,
    shipped_configs,
    to_nested_dict,
)
from fashion_jax.config import experiment as experiment_module
from fashion_jax.config.loading import editable_config, load_module
from fashion_jax.models.backbones import BACKBONES

# Resolved by the code of commit 2dee032, under the present field names, but for the demo, which has
# had another recipe since. A config's values change only together with this file.
KEPT = json.loads(pathlib.Path(__file__).with_name("shipped_configs.json").read_text())
SWEEPS = [name for name, kept in KEPT.items() if "sweep" in kept]

# What concerns the machine and not what a model learns: configs need not say it.
MACHINE = {
    "data.data_dir",
    "data.workers",
    "data.threads",
    "augment.on_device",
    "training.checkpoint_every_steps",
    "training.log_every_steps",
    "mesh.data",
    "mesh.model",
    "mesh.fsdp",
    "evaluation.batch_size",
}


def flat(config: typing.Any) -> dict[str, object]:
    """`{"section.field": value}`, as JSON has it."""
    sections = json.loads(json.dumps(config))
    return {
        f"{name}.{field}": value for name, part in sections.items() for field, value in part.items()
    }


def other(value: typing.Any) -> typing.Any:
    """A value that differs from a default."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 0.5
    return "other"


@pytest.mark.parametrize("name", KEPT)
def test_resolves_to_the_kept_values(name):
    assert flat(to_nested_dict(load_config(name))) == KEPT[name]["config"]


@pytest.mark.parametrize("name", SWEEPS)
def test_sweep_resolves_to_the_kept_values(name):
    base = KEPT[name]["config"]
    experiments = load_sweep(name)
    assert len(experiments) == len(KEPT[name]["sweep"])
    for experiment, kept in zip(experiments, KEPT[name]["sweep"], strict=True):
        assert (experiment.name, experiment.on) == (kept["name"], kept["on"])
        assert flat(to_nested_dict(experiment.config)) == base | kept["changed"]


@pytest.mark.parametrize("name", SWEEPS)
def test_each_variant_of_a_sweep_differs(name):
    experiments = load_sweep(name)
    configs = {json.dumps(to_nested_dict(experiment.config)) for experiment in experiments}
    assert len(configs) == len(experiments)
    assert len({experiment.folder for experiment in experiments}) == len(experiments)


def test_every_config_is_kept():
    assert {name.partition(":")[0] for name in KEPT} == set(shipped_configs())


@pytest.mark.parametrize("name", KEPT)
def test_no_recipe_depends_on_a_default(name, monkeypatch):
    changed = ExperimentConfig()
    for section in vars(changed).values():
        for field, value in vars(section).items():
            object.__setattr__(section, field, other(value))
    before = flat(load_config_unchecked(name))
    monkeypatch.setattr(experiment_module, "ExperimentConfig", lambda: changed)
    after = flat(load_config_unchecked(name))
    monkeypatch.undo()
    assert {field for field in before if before[field] != after[field]} <= MACHINE
    assert after["mesh.data"] == other(-1), "the defaults did change"


def load_config_unchecked(name: str) -> dict[str, typing.Any]:
    return editable_config(*load_module(name)).to_dict()


def test_a_recipe_states_every_field_but_the_dataset():
    recipes = importlib.import_module("fashion_jax.configs.recipes")
    config = experiment_module.default_config()
    for name, section in config.items():
        for field in section:
            section[field] = f"unset {name}.{field}"
    recipes.strong_baseline(config)
    unset = {name for name, value in flat(config.to_dict()).items() if str(value).startswith("un")}
    assert unset == {*MACHINE, "data.dataset"}


@pytest.mark.parametrize("name", shipped_configs())
def test_says_with_which_command_to_run_it(name):
    module, _ = load_module(name)
    assert "fashion-jax" in (module.__doc__ or "")


def test_vit_variants():
    names = [f"{size}{patch}" for patch in (14, 16) for size in "sbl"]
    configs = {name: load_config(f"street2shop_vit:{name}") for name in names}
    assert {config.model.backbone for config in configs.values()} <= set(BACKBONES)
    assert configs["b16"].model.backbone == "vit_b16"
    assert configs["l14"].model.backbone == "dinov2_vit_l14_reg4"
    assert configs["s14"] == load_config("street2shop_vit")
    larger = load_config("street2shop_vit:b16,336")
    image = dataclasses.replace(configs["b16"].image, height=336, width=336)
    assert larger == dataclasses.replace(configs["b16"], image=image)


def test_resnet_variants():
    plain, ibn = load_config("market1501_resnet50"), load_config("market1501_resnet50:ibn")
    assert (plain.model.stem_relu, ibn.model.stem_relu) == (False, True)
    model = dataclasses.replace(plain.model, backbone="resnet50_ibn_a", stem_relu=True)
    assert ibn == dataclasses.replace(plain, model=model)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("street2shop_vit:b17", r"'b17'; choose one of s14, .*l16 and one of 224, 336, 448"),
        ("street2shop_vit:b16,s14", r"'b16,s14'; choose one of s14"),
        ("street2shop_resnet50:inb", r"unknown variant 'inb'; choose one of plain, ibn"),
        ("street2shop_small:b16", r"street2shop_small.py has no variants, got 'b16'"),
    ],
)
def test_unknown_variants_are_refused(name, message):
    with pytest.raises(ConfigError, match=message):
        load_config(name)


def test_values_pass_through_the_checks():
    for name, kept in KEPT.items():
        sections: dict[str, dict[str, object]] = {}
        for full, value in kept["config"].items():
            section, field = full.split(".")
            sections.setdefault(section, {})[field] = value
        assert from_nested_dict(sections) == load_config(name)
