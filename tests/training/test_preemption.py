"""SIGTERM: a run saves where it is and ends; the next one goes on there, bit by bit."""

import dataclasses
import logging
import os
import pathlib
import signal
import subprocess
import sys
import time
from contextlib import closing

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest

from fashion_jax.config import store_config
from fashion_jax.errors import PreemptedError
from fashion_jax.inference.checkpoints import StoredCheckpoints
from fashion_jax.parallel.mesh import make_mesh
from fashion_jax.training.loop import train
from fashion_jax.training.metrics_log import read_metrics
from tests.processes import free_port
from tests.training.test_loop import everything, without_time
from tests.xla_flags import xla_flags

TRAIN = """
import sys, pathlib
import fashion_jax.config as config
from fashion_jax.cli import main
if __name__ == "__main__":
    config.load_config = lambda *_: config.read_stored_config(pathlib.Path(sys.argv[1]))
    sys.exit(main(["train", "--config=stored", "--workdir", sys.argv[2]]))
"""


@pytest.fixture
def config(tiny_config):
    """Steps are saved only where a notice asks for it, and at the end."""
    return dataclasses.replace(
        tiny_config,
        training=dataclasses.replace(
            tiny_config.training, epochs=2, checkpoint_every_steps=0, evaluate_every_epochs=2
        ),
    )


@pytest.fixture
def one_device(config):
    return make_mesh(config.mesh, jax.devices()[:1])


def stored_checksums(workdir):
    """Checksums of all arrays of the last checkpoint, whatever devices they were on."""
    with closing(StoredCheckpoints(workdir / "checkpoints")) as checkpoints:
        step = checkpoints.latest_step()
        args = ocp.args.Composite(checksums=ocp.args.JsonRestore())
        return step, checkpoints.manager.restore(step, args=args)["checksums"]


def asking_at(step):
    asked = []

    def log(at, values):
        if at == step and not asked:
            asked.append(at)
            os.kill(os.getpid(), signal.SIGTERM)

    return log


@pytest.mark.filterwarnings("ignore:Sharding info not provided")
def test_a_preempted_run_ends_bit_identical(config, one_device, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    undisturbed, preempted = tmp_path / "undisturbed", tmp_path / "preempted"
    total = int(train(config, undisturbed, one_device, progress=False).step)
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(PreemptedError, match=r"saved after step 3; .* goes on there"):
        train(config, preempted, one_device, progress=False, log=asking_at(3))
    assert "SIGTERM: saving after step 3; a second one ends at once" in caplog.text
    assert signal.getsignal(signal.SIGTERM) is handler
    with closing(StoredCheckpoints(preempted / "checkpoints")) as checkpoints:
        assert checkpoints.latest_step() == 3 < total
    train(config, preempted, one_device, progress=False)
    for one, other in zip(everything(undisturbed), everything(preempted), strict=True):
        np.testing.assert_array_equal(one, other)
    assert without_time(undisturbed) == without_time(preempted)


def test_a_notice_at_the_last_step_ends_as_ever(config, one_device, tmp_path):
    training = dataclasses.replace(config.training, epochs=1)
    config = dataclasses.replace(config, training=training)
    total = int(train(config, tmp_path / "one", one_device, progress=False).step)
    state = train(config, tmp_path / "two", one_device, progress=False, log=asking_at(total))
    assert int(state.step) == total


def start(config_file, workdir, hosts):
    """Processes of one job, with one device each."""
    port = free_port()
    processes = []
    for index in range(hosts):
        environment = {
            **os.environ,
            "XLA_FLAGS": xla_flags(1),
            "JAX_COMPILATION_CACHE_DIR": str(config_file.parent / "compiled"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }
        if hosts > 1:
            environment |= {
                "JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{port}",
                "JAX_NUM_PROCESSES": str(hosts),
                "JAX_PROCESS_ID": str(index),
            }
        command = [sys.executable, "-c", TRAIN, str(config_file), str(workdir)]
        processes.append(
            subprocess.Popen(
                command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            )
        )
    return processes


def wait_for_steps(workdir, steps, process):
    deadline = time.monotonic() + 240
    while len(read_metrics(workdir)) < steps:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)


def ended(processes):
    said = [process.communicate(timeout=240)[1].decode() for process in processes]
    return [process.returncode for process in processes], said


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Sharding info not provided")
@pytest.mark.parametrize("hosts", [1, 2])
def test_launchers_see_the_end_of_all_hosts(config, tmp_path: pathlib.Path, hosts):
    config = dataclasses.replace(
        config,
        mesh=dataclasses.replace(config.mesh, data=hosts),
        training=dataclasses.replace(config.training, epochs=8, evaluate_every_epochs=8),
    )
    config_file, workdir = tmp_path / "config.json", tmp_path / "run"
    store_config(config, config_file)
    processes = start(config_file, workdir, hosts)
    wait_for_steps(workdir, 3, processes[0])
    processes[-1].send_signal(signal.SIGTERM)  # of two hosts, the one that writes no log
    codes, said = ended(processes)
    assert codes == [143] * hosts, said
    saved = {text.rpartition("saved after step ")[2].partition(";")[0] for text in said}
    (step,) = saved
    with closing(StoredCheckpoints(workdir / "checkpoints")) as checkpoints:
        assert checkpoints.latest_step() == int(step) >= 3
    codes, said = ended(start(config_file, workdir, hosts))
    assert codes == [0] * hosts, said
    assert f"resuming from step {step}" in said[0]
    undisturbed = tmp_path / "undisturbed"
    codes, said = ended(start(config_file, undisturbed, hosts))
    assert codes == [0] * hosts, said
    assert stored_checksums(undisturbed) == stored_checksums(workdir)


@pytest.mark.slow
def test_a_second_notice_ends_at_once(config, tmp_path):
    config_file = tmp_path / "config.json"
    # A validation of the whole run's last step takes the second signal.
    training = dataclasses.replace(config.training, epochs=400, evaluate_every_epochs=400)
    store_config(dataclasses.replace(config, training=training), config_file)
    (process,) = start(config_file, tmp_path / "run", 1)
    wait_for_steps(tmp_path / "run", 2, process)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGTERM)
    while process.poll() is None:
        process.send_signal(signal.SIGTERM)
        time.sleep(0.01)
    assert process.returncode in (-signal.SIGTERM, 143)
    process.communicate()
