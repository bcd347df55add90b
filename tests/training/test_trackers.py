"""Numbers of a run in trackers: their packages' own where they are installed, else stand-ins."""

import sys
import types

import jax
import pytest

from fashion_jax.errors import FashionJaxError
from fashion_jax.training.trackers import TRACKED_AS, open_tracker


class Wandb(types.ModuleType):
    """What is used of wandb."""

    def __init__(self):
        super().__init__("wandb")
        self.begun, self.logged = [], []

    def init(self, **options):
        self.begun.append(options)
        return types.SimpleNamespace(
            id=options["id"] or "an-id",
            log=lambda values, step: self.logged.append((step, values)),
        )


def test_wandb_goes_on_under_its_name(tiny_config, tmp_path, monkeypatch):
    wandb = Wandb()
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    for step in (1, 2):
        log = open_tracker("wandb:fashion", tiny_config, tmp_path / "run")
        log(step, {"loss/total": 0.5})
    assert wandb.logged == [(1, {"loss/total": 0.5}), (2, {"loss/total": 0.5})]
    first, second = wandb.begun
    assert (first["project"], first["name"], first["id"]) == ("fashion", "run", None)
    assert second["id"] == "an-id" == (tmp_path / "run" / TRACKED_AS).read_text().strip()
    assert first["config"]["data.identities_per_batch"] == 4


def test_mlflow_keeps_one_run(tiny_config, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="SKIPPED FOR WANT OF MLFLOW: nothing was logged")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # mlflow-skinny's only local store
    mlflow.set_tracking_uri((tmp_path / "mlflow").as_uri())
    for step in (1, 2):
        log = open_tracker("mlflow:fashion", tiny_config, tmp_path / "run")
        log(step, {"loss/total": step / 2, "val/instance/mAP": 0.25})
        mlflow.end_run()
    run = mlflow.get_run((tmp_path / "run" / TRACKED_AS).read_text().strip())
    assert run.data.metrics == {"loss/total": 1.0, "val/instance/mAP": 0.25}
    assert run.data.params["data.identities_per_batch"] == "4"


def test_other_hosts_write_nothing(tiny_config, tmp_path, monkeypatch):
    monkeypatch.setattr(jax, "process_index", lambda: 1)
    assert open_tracker("wandb:fashion", tiny_config, tmp_path / "run") is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("wandb", "is no tracker; write wandb:PROJECT or mlflow:PROJECT"),
        ("wanb:x", "did you mean 'wandb'"),
        ("comet:x", "is no tracker"),
    ],
)
def test_unknown_trackers(tiny_config, tmp_path, text, said):
    with pytest.raises(FashionJaxError, match=said):
        open_tracker(text, tiny_config, tmp_path)


@pytest.mark.parametrize("kind", ["wandb", "mlflow"])
def test_a_package_that_is_missing_is_named(tiny_config, tmp_path, monkeypatch, kind):
    monkeypatch.setitem(sys.modules, kind, None)
    with pytest.raises(FashionJaxError, match=rf"fashion-jax\[{kind}\]"):
        open_tracker(f"{kind}:x", tiny_config, tmp_path)
