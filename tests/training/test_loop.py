"""Whole runs: killed and resumed, with wrong configs, with losses that blow up."""

import dataclasses
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest

from fashion_jax.config import ConfigError, ExperimentConfig, read_stored_config, store_config
from fashion_jax.errors import FashionJaxError
from fashion_jax.inference.checkpoints import SELECTION_METRIC, StoredCheckpoints
from fashion_jax.losses import Objective
from fashion_jax.parallel.mesh import make_mesh
from fashion_jax.training import loop
from fashion_jax.training.loop import NonFiniteLossError, describe_batch_norm_scope, train
from fashion_jax.training.metrics_log import read_metrics
from tests.xla_flags import xla_flags

TRAIN = """
import sys, pathlib
from fashion_jax.config import read_stored_config
from fashion_jax.training.loop import train
if __name__ == "__main__":
    train(read_stored_config(pathlib.Path(sys.argv[1])), sys.argv[2], progress=False)
"""


@pytest.fixture
def one_device(tiny_config: ExperimentConfig):
    return make_mesh(tiny_config.mesh, jax.devices()[:1])


def start(config_file: pathlib.Path, workdir: pathlib.Path) -> subprocess.Popen[bytes]:
    """Trains in another process, on one device, with compiled programs kept between starts."""
    cache = str(config_file.parent / "compiled")
    environment = {
        **os.environ,
        "XLA_FLAGS": xla_flags(1),
        "JAX_COMPILATION_CACHE_DIR": cache,
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    return subprocess.Popen(
        [sys.executable, "-c", TRAIN, str(config_file), str(workdir)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def finish(process: subprocess.Popen[bytes]) -> None:
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors.decode()


def kill_after_progress(
    process: subprocess.Popen[bytes], workdir: pathlib.Path, steps: int, delay: float
) -> None:
    """Send SIGKILL some time after the log has grown by some steps."""
    before = len(read_metrics(workdir))
    deadline = time.monotonic() + 240
    while len(read_metrics(workdir)) < before + steps and process.poll() is None:
        assert time.monotonic() < deadline, "the run does not get on"
        time.sleep(0.01)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def everything(workdir: pathlib.Path) -> list[np.ndarray]:
    """All arrays of the last checkpoint: weights, statistics, optimizer, centers, key, step."""
    checkpoints = StoredCheckpoints(workdir / "checkpoints")
    step = checkpoints.latest_step()
    items = checkpoints.manager.restore(
        step,
        args=ocp.args.Composite(
            model=ocp.args.StandardRestore(), learner=ocp.args.StandardRestore()
        ),
    )
    checkpoints.close()
    return [np.asarray(leaf) for leaf in jax.tree.leaves((items["model"], items["learner"]))]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Sharding info not provided")
@pytest.mark.parametrize("kills", [3, pytest.param(9, marks=pytest.mark.exhaustive)])
def test_killed_run_ends_bit_identical(tiny_config, tmp_path, kills):
    config = dataclasses.replace(  # more steps than are done until the last kill
        tiny_config, training=dataclasses.replace(tiny_config.training, epochs=2 * kills)
    )
    config_file = tmp_path / "config.json"
    store_config(config, config_file)
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    finish(start(config_file, undisturbed))

    moments = random.Random(0)
    for _ in range(kills):
        process = start(config_file, killed)
        kill_after_progress(process, killed, moments.randint(1, 3), moments.uniform(0, 0.4))
        assert process.returncode == -signal.SIGKILL, "the run was over before it could be killed"
    finish(start(config_file, killed))

    expected = everything(undisturbed)
    found = everything(killed)
    assert len(expected) == len(found) > 20
    for one, other in zip(expected, found, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    assert without_time(undisturbed) == without_time(killed)


def without_time(workdir: pathlib.Path) -> list[dict]:
    return [
        {name: value for name, value in line.items() if name != "time" and "speed/" not in name}
        for line in read_metrics(workdir)
    ]


@pytest.mark.slow
def test_run_keeps_latest_and_best(tiny_config, one_device, tmp_path):
    state = train(tiny_config, tmp_path, one_device, progress=False)
    checkpoints = StoredCheckpoints(tmp_path / "checkpoints")
    scores = {
        line["step"]: line[SELECTION_METRIC]
        for line in read_metrics(tmp_path)
        if SELECTION_METRIC in line
    }
    assert len(scores) == 2
    best = max(scores, key=lambda step: (scores[step], step))
    assert checkpoints.latest_step() == int(state.step) == max(scores)
    assert checkpoints.best_step() == best
    assert set(checkpoints.manager.all_steps()) == {best, max(scores)}
    checkpoints.close()

    # A run that is over is not trained again.
    before = (tmp_path / "metrics.jsonl").read_text()
    again = train(tiny_config, tmp_path, one_device, progress=False)
    assert int(again.step) == int(state.step)
    assert (tmp_path / "metrics.jsonl").read_text() == before

    changed = dataclasses.replace(
        tiny_config, loss=dataclasses.replace(tiny_config.loss, triplet_margin=0.5)
    )
    with pytest.raises(ConfigError, match=r"loss.triplet_margin: 0.3 != 0.5"):
        train(changed, tmp_path, one_device, progress=False)


@pytest.mark.slow
def test_non_finite_loss_stops_the_run_and_names_step_and_term(tiny_config, one_device, tmp_path):
    config = dataclasses.replace(
        tiny_config,
        optimizer=dataclasses.replace(tiny_config.optimizer, learning_rate=1e38, warmup_epochs=0.0),
    )
    with pytest.raises(NonFiniteLossError, match=r"step \d+: .*loss/identity = (nan|inf)"):
        train(config, tmp_path, one_device, progress=False)
    # Whatever was saved is finite.
    for line in read_metrics(tmp_path):
        assert np.isfinite(list(line.values())).all()


def test_a_config_that_cannot_train_does_not_keep_the_workdir(tiny_config, one_device, tmp_path):
    data = dataclasses.replace(tiny_config.data, identities_per_batch=40)
    wrong = dataclasses.replace(tiny_config, data=data)
    with pytest.raises(FashionJaxError, match=r"lower data\.identities_per_batch"):
        train(wrong, tmp_path, one_device, progress=False)
    loop._claim(tmp_path, tiny_config, Objective.from_config(tiny_config))
    assert read_stored_config(tmp_path / "config.json") == tiny_config


@pytest.mark.parametrize(
    ("group", "line"),
    [
        (0, "over the global batch of 8 photos"),
        (8, "over the global batch of 8 photos"),
        (2, "over each 2 of the global batch's 8 photos"),
    ],
)
def test_a_run_says_what_its_batch_norm_sees(tiny_config, group, line):
    model = dataclasses.replace(tiny_config.model, ghost_batch_size=group)
    assert line in describe_batch_norm_scope(dataclasses.replace(tiny_config, model=model))


def test_a_line_cut_off_by_a_kill_is_left_out(tmp_path):
    (tmp_path / "metrics.jsonl").write_text(
        json.dumps({"step": 1, "loss": 2.0}) + '\n{"step": 2, "l'
    )
    assert read_metrics(tmp_path) == [{"step": 1, "loss": 2.0}]


@pytest.mark.slow
def test_the_next_batch_is_sent_before_a_step_is_waited_for(
    tiny_config, one_device, tmp_path, monkeypatch
):
    training = dataclasses.replace(
        tiny_config.training, epochs=1, log_every_steps=1, checkpoint_every_steps=0
    )
    config = dataclasses.replace(tiny_config, training=training)
    events = []
    before, send, log = loop.Profiler.before, loop.global_batch, loop._log_pending

    def told(event, inner):
        return lambda *values: (events.append(event), inner(*values))[1]

    monkeypatch.setattr(loop.Profiler, "before", told("step", before))
    monkeypatch.setattr(loop, "global_batch", told("send", send))
    monkeypatch.setattr(loop, "_log_pending", told("wait", log))
    train(config, tmp_path, one_device, progress=False)
    steps = events.count("step")
    assert steps > 2
    # The last step's values are waited for twice: for its line, and before its checkpoint.
    expected = ["send", *["step", "send", "wait"] * (steps - 1), "step", "wait", "wait"]
    assert events == expected
