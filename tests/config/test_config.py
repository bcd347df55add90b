"""Configs: files, overrides, and errors that name the nearest right field."""

import json
import pathlib

import pytest

from fashion_jax.config import (
    ConfigError,
    ExperimentConfig,
    default_config,
    differences,
    from_nested_dict,
    load_config,
    load_ladder,
    read_stored_config,
    store_config,
    to_nested_dict,
)

CONFIGS = sorted(
    path
    for path in (pathlib.Path(__file__).parents[2] / "configs").glob("*.py")
    if path.stem != "__init__"
)


@pytest.fixture
def config_file(tmp_path) -> pathlib.Path:
    path = tmp_path / "mine.py"
    path.write_text(
        "from fashion_jax.config import default_config\n"
        "def get_config():\n"
        "    config = default_config()\n"
        "    config.training.epochs = 7\n"
        "    return config\n"
    )
    return path


@pytest.mark.parametrize("name", ["ladder_market1501", "ladder_small", "ladder_street2shop"])
def test_every_ladder_of_the_project_is_valid_and_each_rung_changes_something(name):
    rungs = load_ladder(pathlib.Path(__file__).parents[2] / "configs" / f"{name}.py", {})
    assert len({json.dumps(to_nested_dict(rung.config)) for rung in rungs}) == len(rungs)
    assert len({rung.folder for rung in rungs}) == len(rungs)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_of_the_project_is_valid_and_documented(path):
    assert isinstance(load_config(path, {}), ExperimentConfig)
    assert "fashion-jax" in path.read_text().split('"""')[1], "says with which command to run it"


def test_file_and_overrides(config_file):
    config = load_config(
        config_file,
        {
            "optimizer.learning_rate": "1e-4",
            "optimizer.milestones": "(3, 4.5)",
            "loss.triplet_margin": "None",
            "model.pretrained": "weights/resnet50.pth",
            "optimizer.per_step": "True",
        },
    )
    assert config.training.epochs == 7
    assert config.optimizer.learning_rate == 1e-4
    assert config.optimizer.milestones == (3.0, 4.5)
    assert config.loss.triplet_margin is None
    assert config.model.pretrained == "weights/resnet50.pth"
    assert config.optimizer.per_step is True


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "training.epoch",
            "3",
            r"no config field 'training.epoch'; did you mean 'training.epochs'",
        ),
        ("epochs", "3", r"did you mean 'training.epochs'"),
        ("training.epochs", "many", r"'training.epochs' has to be a whole number, got 'many'"),
        ("training.epochs", "2.5", r"'training.epochs' has to be a whole number, got 2.5"),
        ("training.epochs", "True", r"'training.epochs' has to be a whole number, got True"),
        ("training.epochs", "0", r"'training.epochs' has to be at least 1, got 0"),
        ("optimizer.learning_rate", "-1", r"'optimizer.learning_rate' cannot be negative"),
        ("optimizer.milestones", "40", r"'optimizer.milestones' has to be a list of numbers"),
        ("optimizer.per_step", "1", r"'optimizer.per_step' has to be True or False, got 1"),
        ("data.more_datasets", "b", r"'data.more_datasets' has to be a list of texts, .*got 'b'"),
        ("data.more_datasets", "('b', 3)", r"'data.more_datasets' has to be a text, got 3"),
        ("data.more_datasets", "('b', 'c', 'b')", r"more than once: b; use 'data.weights'"),
        ("data.more_datasets", "('synthetic_street2shop',)", r"more than once: synthetic_street"),
        ("data.weights", "(1, 2)", r"one number for each of the 1 datasets .*got \(1.0, 2.0\)"),
        ("data.weights", "(0,)", r"'data.weights' has to hold positive numbers, got \(0.0,\)"),
        ("data.weights", "('x',)", r"'data.weights' has to be a number, got 'x'"),
        ("model.pooling", "averge", r"'model.pooling' cannot be 'averge'; did you mean 'average'"),
        ("model.last_stride", "3", r"'model.last_stride' cannot be 3"),
        ("model.neck", "bneck", r"'model.neck' cannot be 'bneck'; did you mean 'bnneck'"),
        ("model.batch_norm_group", "5", r"'model.batch_norm_group' has to divide .* of 64 photos"),
        ("model.dropout", "1", r"'model.dropout' has to be below 1, got 1.0"),
        ("model.gem_power", "0", r"'model.gem_power' has to be above 0, got 0.0"),
        ("image.pixel_mean", "(1, 2)", r"'image.pixel_mean' has to hold three numbers"),
        ("image.pixel_std", "(1, 0, 2)", r"'image.pixel_std' has to hold positive numbers"),
    ],
)
def test_wrong_overrides_are_refused(config_file, name, value, message):
    with pytest.raises(ConfigError, match=message):
        load_config(config_file, {name: value})


def test_several_datasets(config_file):
    config = load_config(
        config_file, {"data.more_datasets": "('b', 'c')", "data.weights": "(2, 1, 0.5)"}
    )
    assert config.data.datasets == ("synthetic_street2shop", "b", "c")
    assert config.data.weights == (2.0, 1.0, 0.5)
    with pytest.raises(ConfigError, match=r"'data.identities_per_batch' has to be at least 3"):
        load_config(
            config_file, {"data.more_datasets": "('b', 'c')", "data.identities_per_batch": "2"}
        )


def test_infinite_weights_are_refused():
    with pytest.raises(ConfigError, match="positive numbers"):
        from_nested_dict({"data": {"weights": [float("inf")]}})


def test_config_of_an_older_run_has_one_dataset():
    stored = to_nested_dict(ExperimentConfig())
    del stored["data"]["more_datasets"], stored["data"]["weights"]
    assert from_nested_dict(stored) == ExperimentConfig()


def test_unknown_field_in_a_file_is_refused_with_the_file(tmp_path):
    path = tmp_path / "typo.py"
    path.write_text(
        "from fashion_jax.config import default_config\n"
        "def get_config():\n"
        "    config = default_config()\n"
        "    config.training.epoch = 7\n"
        "    return config\n"
    )
    with pytest.raises(ConfigError, match=r"typo.py: .*epoch"):
        load_config(path, {})


def test_missing_file_names_the_nearest(config_file):
    with pytest.raises(ConfigError, match=r"no config file .*min.py; did you mean 'mine'"):
        load_config(config_file.with_name("min.py"), {})


def test_stored_config_is_the_same(tmp_path):
    config = load_config(CONFIGS[0], {})
    store_config(config, tmp_path / "config.json")
    assert read_stored_config(tmp_path / "config.json") == config


def test_unknown_section_and_field_in_nested_dicts():
    with pytest.raises(ConfigError, match=r"section 'trainig'; did you mean 'training'"):
        from_nested_dict({"trainig": {}})
    with pytest.raises(ConfigError, match=r"'seeds'; did you mean 'seed'"):
        from_nested_dict({"training": {"seeds": 1}})


def test_differences_name_fields():
    config = default_config()
    config.training.seed = 5
    changed = from_nested_dict(config.to_dict())
    assert differences(ExperimentConfig(), changed) == ["training.seed: 0 != 5"]
    assert to_nested_dict(changed)["training"]["seed"] == 5
