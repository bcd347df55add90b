"""Config files by path and by name, their variants, and overrides."""

import pathlib
import shutil
import subprocess
import sys

import pytest

from fashion_jax import configs
from fashion_jax.config import ConfigError, load_config, shipped_configs

FILE = """
from fashion_jax.config import default_config
def get_config():
    config = default_config()
    config.training.epochs = 7
    return config
"""
WITH_VARIANTS = """
from fashion_jax.config import choose_variants, default_config
def get_config(arg=""):
    config = default_config()
    config.training.epochs, config.data.threads = choose_variants(
        arg, {"short": 1, "long": 9}, {"few": 1, "many": 8}
    )
    return config
"""
SHIPPED = pathlib.Path(configs.__path__[0])


@pytest.fixture
def write(tmp_path):
    def _write(text: str, name: str = "mine.py") -> pathlib.Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return _write


def test_file_and_overrides(write):
    config = load_config(
        write(FILE),
        {
            "optimizer.learning_rate": "1e-4",
            "optimizer.milestones": "(3, 4.5)",
            "loss.triplet_margin": "None",
            "model.pretrained": "weights/resnet50.pth",
            "data.balance_domains": "True",
        },
    )
    assert config.training.epochs == 7
    assert config.optimizer.learning_rate == 1e-4
    assert config.optimizer.milestones == (3.0, 4.5)
    assert config.loss.triplet_margin is None
    assert config.model.pretrained == "weights/resnet50.pth"
    assert config.data.balance_domains is True


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("data.extra_datasets", "b,c", ("b", "c")),
        ("data.extra_datasets", "b", ("b",)),
        ("data.extra_datasets", "('b', 'c')", ("b", "c")),
        ("data.extra_datasets", "", ()),
        ("data.dataset", "2024", "2024"),
        ("data.dataset", "'quoted'", "quoted"),
        ("optimizer.milestones", "40,70", (40.0, 70.0)),
        ("optimizer.milestones", "40", (40.0,)),
        ("optimizer.milestones", "[40, 70]", (40.0, 70.0)),
        ("image.pixel_mean", "1,2,3", (1.0, 2.0, 3.0)),
        ("image.multi_scale_sizes", "160x96, 320x160", ("160x96", "320x160")),
        ("data.balance_domains", "true", True),
        ("loss.triplet_margin", "none", None),
        ("model.neck", "none", "none"),
        ("training.epochs", 3, 3),
        ("optimizer.milestones", [40.0, 70.0], (40.0, 70.0)),
    ],
)
def test_overrides_are_read_as_the_field_asks(write, name, text, value):
    section, field = name.split(".")
    found = getattr(getattr(load_config(write(FILE), {name: text}), section), field)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("training.epoch", "3", "field 'training.epoch'; did you mean 'training.epochs'"),
        ("epochs", "3", "did you mean 'training.epochs'"),
        ("training.epochs", "many", "'training.epochs' must be an integer >= 1, got 'many'"),
        ("data.balance_domains", "1", "'data.balance_domains' must be True or False, got 1"),
        ("data.extra_datasets", "('b', 3)", r"must be a list of strings, got \('b', 3\)"),
        ("data.dataset_weights", "x", r"must be a list of numbers > 0, got \('x',\)"),
    ],
)
def test_wrong_overrides_are_refused(write, name, text, message):
    with pytest.raises(ConfigError, match=message):
        load_config(write(FILE), {name: text})


def test_a_shipped_config_has_a_path_and_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    by_name = load_config("street2shop_small")
    assert by_name.optimizer.milestones == (8.0, 10.8)
    assert load_config("street2shop_small.py") == by_name
    assert load_config(SHIPPED / "street2shop_small.py") == by_name
    monkeypatch.chdir(SHIPPED)
    assert load_config("street2shop_small.py") == by_name
    assert "recipes" not in shipped_configs()


def test_a_copy_of_a_shipped_config_finds_the_shipped_recipes(tmp_path):
    for name in ("street2shop_resnet50", "consumer2shop_resnet50"):
        shutil.copy(SHIPPED / f"{name}.py", tmp_path / "copy.py")
        assert load_config(tmp_path / "copy.py") == load_config(name)
        assert load_config(f"{tmp_path / 'copy.py'}:ibn") == load_config(f"{name}:ibn")


def test_a_file_comes_before_a_shipped_config_of_its_name(write, monkeypatch):
    path = write(FILE, "street2shop_small.py")
    monkeypatch.chdir(path.parent)
    assert load_config("street2shop_small.py").training.epochs == 7
    assert load_config("street2shop_small").training.epochs == 12


def test_variants_of_a_file(write):
    path = write(WITH_VARIANTS)
    epochs = {arg: load_config(f"{path}{arg}").training.epochs for arg in ("", ":long", ":many")}
    assert epochs == {"": 1, ":long": 9, ":many": 1}
    config = load_config(f"{path}:many,long", {"training.epochs": "4"})
    assert (config.training.epochs, config.data.threads) == (4, 8)
    with pytest.raises(ConfigError, match=r"'x'; choose one of short, long and one of few, many"):
        load_config(f"{path}:x")


def test_a_path_with_a_colon_is_a_path(write):
    assert load_config(write(FILE, "a:b.py")).training.epochs == 7


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (FILE.replace("epochs", "epoch"), r"mine.py, line \d+: .*epoch"),
        ("import ml_collections", r"mine.py has no get_config\(\)"),
        ("def get_config(): return {}", r"mine.py: get_config\(\) must return default_config"),
        ("x = {}['a']", "mine.py, line 1: 'a'"),
        ("x = 1\ndef get_config(:\n  pass", "mine.py, line 2: SyntaxError: invalid syntax"),
        ("\nimport nothing_like_it", "line 2: ModuleNotFoundError: No module named 'nothing_lik"),
        ("def get_config():\n  return 1 / 0", "line 2: ZeroDivisionError"),
        ("from ml_collections import nothing", "line 1: ImportError: cannot import name"),
        ("raise OSError('no disk')", "line 1: OSError: no disk"),
        ("def get_config():\n  assert False, 'told you'", "line 2: AssertionError: told you"),
        ("x = '\0'", "mine.py: SyntaxError: source code string cannot contain null bytes"),
        ("if True:\nx = 1", "line 2: IndentationError"),
    ],
)
def test_wrong_files_are_refused_by_name(write, text, message):
    with pytest.raises(ConfigError, match=message):
        load_config(write(text))


def test_missing_configs_name_the_nearest(write, tmp_path, monkeypatch):
    path = write(FILE)
    with pytest.raises(ConfigError, match=r"no config file .*min.py; did you mean 'mine'"):
        load_config(path.with_name("min.py"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"no shipped config 'street2shop_smal'; did you mean"):
        load_config("street2shop_smal")
    with pytest.raises(ConfigError, match=r"no shipped config 'xyz'; choose from ablation_"):
        load_config("xyz")


def test_a_file_without_variants_refuses_one(write):
    with pytest.raises(ConfigError, match=r"mine.py has no variants, got 'b16'"):
        load_config(f"{write(FILE)}:b16")


def test_importing_the_room_imports_no_jax():
    code = (
        "import sys, fashion_jax.config; print(sorted({'jax', 'flax', 'numpy'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
