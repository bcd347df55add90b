"""Two processes that share a batch learn what one process learns."""

import dataclasses
import os
import socket
import subprocess
import sys

import numpy as np
import pytest

from fashion_jax.config import store_config
from fashion_jax.training.metrics_log import read_metrics

TRAIN = """
import sys, pathlib
from fashion_jax.config import read_stored_config
from fashion_jax.parallel.hosts import join_job
from fashion_jax.training.loop import train
if __name__ == "__main__":
    join_job()
    train(read_stored_config(pathlib.Path(sys.argv[1])), sys.argv[2], progress=False)
"""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def train_on(hosts: int, config_file, workdir) -> dict[str, np.ndarray]:
    """Trains on two devices: two of one process, or one of each of two processes."""
    port = free_port()
    processes = []
    for index in range(hosts):
        environment = {
            **os.environ,
            "XLA_FLAGS": f"--xla_force_host_platform_device_count={2 // hosts}",
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
    for process in processes:
        _, errors = process.communicate(timeout=400)
        assert process.returncode == 0, errors.decode()
    lines = read_metrics(workdir)
    names = ("loss/identity", "loss/triplet", "loss/center", "val/instance/mAP")
    return {name: np.array([line[name] for line in lines if name in line]) for name in names}


@pytest.mark.slow
def test_two_hosts_learn_what_one_learns(tiny_config, tmp_path):
    training = dataclasses.replace(tiny_config.training, epochs=1, checkpoint_every_steps=0)
    config = dataclasses.replace(
        tiny_config, training=training, mesh=dataclasses.replace(tiny_config.mesh, data=2)
    )
    store_config(config, tmp_path / "config.json")
    one = train_on(1, tmp_path / "config.json", tmp_path / "one")
    two = train_on(2, tmp_path / "config.json", tmp_path / "two")
    assert len(one["loss/identity"]) == len(two["loss/identity"]) >= 3
    for name, values in one.items():
        np.testing.assert_allclose(two[name], values, rtol=1e-4, err_msg=name)
