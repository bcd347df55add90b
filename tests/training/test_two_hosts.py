"""Two processes that share a batch learn what one process learns."""

import dataclasses

import numpy as np
import pytest

from fashion_jax.config import store_config
from fashion_jax.training.metrics_log import read_metrics
from tests.processes import run_hosts

TRAIN = """
import sys, pathlib
from fashion_jax.config import read_stored_config
from fashion_jax.parallel.joining import join_job
from fashion_jax.training.loop import train
if __name__ == "__main__":
    join_job()
    train(read_stored_config(pathlib.Path(sys.argv[1])), sys.argv[2], progress=False)
"""


def train_on(hosts: int, config_file, workdir) -> dict[str, np.ndarray]:
    """Trains on two devices: two of one process, or one of each of two processes."""
    run_hosts(hosts, 2, TRAIN, str(config_file), str(workdir))
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
