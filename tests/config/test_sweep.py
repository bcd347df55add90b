"""Sweeps: what `get_sweep()` lists, and the experiments that it makes."""

import pytest

from fashion_jax.config import ConfigError, Experiment, load_sweep

FILE = """
from fashion_jax.config import Variant, choose_variants, default_config

def get_config(arg=""):
    config = default_config()
    [config.training.epochs] = choose_variants(arg, {"long": 7, "short": 2})
    return config

def get_sweep():
    return VARIANTS
"""
VARIANTS = """[
    Variant("baseline", {}),
    Variant("BN Neck!", {"model.neck": "bnneck", "loss.center_weight": 0.0}),
    Variant("center", {"loss.center_weight": 0.1}),
    Variant("quadruplet", {"loss.quadruplet_weight": 1.0}, on="BN Neck!"),
    Variant("more", {"evaluation.rerank": True}),
]"""


@pytest.fixture
def sweep_of(tmp_path):
    def load(variants: str, arg: str = "", **overrides: str) -> list[Experiment]:
        path = tmp_path / "sweep_file.py"
        path.write_text(FILE.replace("VARIANTS", variants))
        return load_sweep(f"{path}{arg}", overrides)

    return load


def test_changes_add_up_along_the_sweep(sweep_of):
    found = sweep_of(VARIANTS, **{"data.threads": "3"})
    assert [each.on for each in found] == [None, "baseline", "BN Neck!", "BN Neck!", "quadruplet"]
    assert [each.config.loss.center_weight for each in found] == [5e-4, 0, 0.1, 0, 0]
    assert [each.config.loss.quadruplet_weight for each in found] == [0, 0, 0, 1, 1]
    assert [each.config.evaluation.rerank for each in found] == [False] * 4 + [True]
    assert {each.config.training.epochs for each in found} == {7}
    assert {each.config.data.threads for each in found} == {3}
    assert found[1].folder == "bn_neck"


def test_a_sweep_of_a_variant(sweep_of):
    assert {each.config.training.epochs for each in sweep_of(VARIANTS, ":short")} == {2}


@pytest.mark.parametrize(
    ("variants", "message"),
    [
        (
            '[Variant("a", {"loss.center_wight": 1.0})]',
            "variant 'a': .*did you mean 'loss.center_weight'",
        ),
        ('[Variant("a", {"training.epochs": "three"})]', "variant 'a': .*training.epochs.*integer"),
        (
            '[Variant("a", {}), Variant("b", {}, on="c")]',
            "'b' builds on 'c', which does not come before it",
        ),
        ('[Variant("a", {}), Variant("a", {})]', "two variants are named 'a'"),
    ],
)
def test_a_wrong_sweep_is_refused(sweep_of, variants, message):
    with pytest.raises(ConfigError, match=message):
        sweep_of(variants)


def test_a_file_without_a_sweep_is_refused(tmp_path):
    path = tmp_path / "plain.py"
    path.write_text(FILE.partition("def get_sweep")[0])
    with pytest.raises(ConfigError, match=r"plain.py has no get_sweep\(\)"):
        load_sweep(path)
