"""Nested dicts, `config.json`, and messages that name the field and what it may be."""

import dataclasses

import pytest

from fashion_jax.config import (
    ClassifierConfig,
    ConfigError,
    DataConfig,
    ExperimentConfig,
    LossConfig,
    MiningConfig,
    ModelConfig,
    TrainingConfig,
    default_config,
    differences,
    from_nested_dict,
    load_config,
    read_stored_config,
    store_config,
    to_nested_dict,
)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("training.epochs", 2.5, "must be an integer >= 1, got 2.5"),
        ("training.epochs", True, "must be an integer >= 1, got True"),
        ("training.epochs", 0, "must be an integer >= 1, got 0"),
        ("training.epochs", "many", "must be an integer >= 1, got 'many'"),
        ("data.threads", 0, "must be an integer >= 1, got 0"),
        ("data.workers", -1, "must be an integer >= 0, got -1"),
        ("mesh.data", -2, "must be an integer >= -1, got -2"),
        ("optimizer.learning_rate", -1, "must be a number >= 0, got -1"),
        ("optimizer.learning_rate", True, "must be a number >= 0, got True"),
        ("optimizer.learning_rate", float("nan"), "must be a number >= 0, got nan"),
        ("optimizer.milestones", 40, "must be a list of numbers >= 0, got 40"),
        ("optimizer.schedule_granularity", "batch", "must be one of 'epoch', 'step', got 'batch'"),
        ("optimizer.layer_decay", 0, "must be a number > 0 and <= 1, got 0"),
        ("optimizer.decay_norm_and_bias", 1, "must be True or False, got 1"),
        ("data.dataset", 3, "must be a string, got 3"),
        ("data.extra_datasets", "b", "must be a list of strings, got 'b'"),
        ("data.extra_datasets", ["b", 3], "must be a list of strings, got ['b', 3]"),
        ("data.dataset_weights", [0], "must be a list of numbers > 0, got [0]"),
        ("loss.triplet_margin", "soft", "must be a number or None, got 'soft'"),
        ("model.pooling", "averge", "'token', got 'averge'; did you mean 'average'?"),
        ("model.neck", "bneck", "got 'bneck'; did you mean 'bnneck'?"),
        (
            "model.compute_dtype",
            "bfloat61",
            "one of 'float32', 'bfloat16', 'float64', got 'bfloat61'; did you mean 'bfloat16'?",
        ),
        ("model.last_stride", 3, "must be one of 1, 2, got 3"),
        ("model.dropout", 1, "must be a number >= 0 and < 1, got 1"),
        ("model.gem_power", 0, "must be a number > 0, got 0"),
        ("image.pixel_mean", [1, 2], "must be a list of 3 numbers or None, got [1, 2]"),
        ("image.pixel_std", [1, 0, 2], "must be a list of 3 numbers > 0 or None, got [1, 0, 2]"),
        ("image.multi_scale_sizes", ["160"], "list of strings such as '160x96', got ['160']"),
    ],
)
def test_a_wrong_value_is_told_with_field_and_choices(name, value, message):
    section, field = name.split(".")
    with pytest.raises(ConfigError) as error:
        from_nested_dict({section: {field: value}})
    assert str(error.value).startswith(f"config field {name!r} must be ")
    assert str(error.value).endswith(message)


def test_bounds_hold_in_python_as_well():
    with pytest.raises(ConfigError, match=r"'training.epochs' must be an integer >= 1, got 0"):
        TrainingConfig(epochs=0)
    with pytest.raises(ConfigError, match=r"'loss.center_weight' must be a number >= 0, got -1.0"):
        dataclasses.replace(LossConfig(), center_weight=-1.0)


def test_integers_are_numbers_and_lists_are_tuples():
    config = from_nested_dict(
        {
            "optimizer": {"learning_rate": 1, "milestones": [3, 4.5]},
            "image": {"multi_scale_sizes": ("160x96",), "pixel_mean": [1, 2, 3]},
        }
    )
    assert config.optimizer.milestones == (3.0, 4.5)
    assert isinstance(config.optimizer.milestones[0], float)
    assert isinstance(config.optimizer.learning_rate, float)
    assert config.image.multi_scale_sizes == ("160x96",)
    assert config.image.pixel_mean == (1.0, 2.0, 3.0)


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(ConfigError, match=r"section 'trainig'; did you mean 'training'"):
        from_nested_dict({"trainig": {}})
    with pytest.raises(ConfigError, match=r"'training.seeds'; did you mean 'training.seed'"):
        from_nested_dict({"training": {"seeds": 1}})
    with pytest.raises(ConfigError, match=r"'mesh.xyz'; choose from mesh.data, mesh.model"):
        from_nested_dict({"mesh": {"xyz": 1}})
    with pytest.raises(ConfigError, match=r"section 'training' must hold fields, got 3"):
        from_nested_dict({"training": 3})


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"data": DataConfig, "extra_datasets": ("b", "c", "b")}, "more than once: b; use 'data.d"),
        ({"data": DataConfig, "extra_datasets": (DataConfig.dataset,)}, "more than once: synth"),
        (
            {"data": DataConfig, "dataset_weights": (1.0, 2.0)},
            r"one number for each of the 1 datasets .*got \(1.0, 2.0\)",
        ),
        ({"data": DataConfig, "dataset_weights": (float("inf"),)}, "is inf, not a finite number"),
        (
            {"data": DataConfig, "extra_datasets": ("b", "c"), "identities_per_batch": 2},
            "'data.identities_per_batch' must be at least 3",
        ),
        (
            {"loss": LossConfig, "quadruplet_second_margin": 0.3},
            r"must be below .*\(0.3\), got 0.3",
        ),
        ({"model": ModelConfig, "ghost_batch_size": 5}, "must divide the 64 photos"),
        (
            {"training": TrainingConfig, "microbatches": 3},
            "must divide the 16 identities",
        ),
        ({"classifier": ClassifierConfig, "sub_centers": 2}, "set loss.identity_weight to 0"),
    ],
)
def test_fields_that_do_not_fit_together_are_refused(sections, message):
    (name, kind), *fields = sections.items()
    with pytest.raises(ConfigError, match=message):
        from_nested_dict({name: dict(fields)})
    with pytest.raises(ConfigError, match=message):  # in Python as well
        ExperimentConfig(**{name: kind(**dict(fields))})


def test_a_ghost_batch_divides_a_microbatch():
    with pytest.raises(ConfigError, match="must divide the 16 photos of a batch"):
        from_nested_dict({"model": {"ghost_batch_size": 32}, "training": {"microbatches": 4}})


def test_all_triplets_of_a_memory_are_refused():
    with pytest.raises(ConfigError, match="exclude each other"):
        ExperimentConfig(
            loss=LossConfig(batch_all_weight=1.0), mining=MiningConfig(memory_batches=1)
        )


def test_stored_config_is_the_same(tmp_path):
    config = load_config("street2shop_vit", {"image.pixel_mean": "(1, 2, 3)"})
    store_config(config, tmp_path / "config.json")
    assert read_stored_config(tmp_path / "config.json") == config


def test_what_is_left_out_has_its_default():
    stored = to_nested_dict(ExperimentConfig())
    del stored["data"]["extra_datasets"], stored["mesh"]
    assert from_nested_dict(stored) == ExperimentConfig()


def test_differences_name_fields():
    config = default_config()
    config.training.seed = 5
    changed = from_nested_dict(config.to_dict())
    assert differences(ExperimentConfig(), changed) == ["training.seed: 0 != 5"]
    assert changed == dataclasses.replace(ExperimentConfig(), training=TrainingConfig(seed=5))
