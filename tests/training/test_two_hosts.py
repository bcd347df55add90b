"""Two processes that share a batch learn what one process learns."""

import dataclasses
import re

import numpy as np
import pytest

from fashion_jax.config import store_config
from fashion_jax.datasets.dataset import open_dataset
from fashion_jax.parallel.joining import LOST_AFTER_S
from fashion_jax.training.metrics_log import read_metrics
from tests.e2e.untrained_run import write_untrained_run
from tests.processes import run_hosts
from tests.training.test_preemption import start, wait_for_steps

TRAIN = """
import sys, pathlib
from fashion_jax.config import read_stored_config
from fashion_jax.datasets.dataset import open_dataset
from fashion_jax.parallel.joining import join_job
from fashion_jax.training.loop import train
if __name__ == "__main__":
    join_job()
    train(read_stored_config(pathlib.Path(sys.argv[1])), sys.argv[2], progress=False)
"""


EMBED = """
import sys
import jax
import numpy as np
from fashion_jax.datasets.dataset import open_dataset
from fashion_jax.inference.model import load_model
from fashion_jax.datasets.dataset import open_dataset
from fashion_jax.parallel.joining import join_job
if __name__ == "__main__":
    join_job()
    workdir, data_dir, output = sys.argv[1:]
    gallery = open_dataset("synthetic_street2shop", data_dir).split("gallery")
    embeddings = load_model(workdir).embed_split(gallery, progress=False)
    np.save(f"{output}_{jax.process_index()}.npy", embeddings)
"""


def train_on(hosts: int, config_file, workdir, devices: int = 2) -> dict[str, np.ndarray]:
    """Trains on so many devices, divided among so many processes."""
    run_hosts(hosts, devices, TRAIN, str(config_file), str(workdir))
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


@pytest.mark.slow
def test_hosts_whose_parts_are_uneven_embed_each_photo_once(tiny_config, tmp_path):
    """16 photos in batches of 12: the second host has none of the second batch."""
    data_dir = tiny_config.data.data_dir
    photos = len(open_dataset("synthetic_street2shop", data_dir).split("gallery"))
    assert photos == 16
    for hosts in (1, 2):
        mesh = dataclasses.replace(tiny_config.mesh, data=2)
        evaluation = dataclasses.replace(tiny_config.evaluation, batch_size=12)
        config = dataclasses.replace(tiny_config, mesh=mesh, evaluation=evaluation)
        write_untrained_run(config, tmp_path / f"run_{hosts}")
        run = str(tmp_path / f"run_{hosts}")
        run_hosts(hosts, 2, EMBED, run, data_dir, str(tmp_path / f"{hosts}_hosts"))
    one = np.load(tmp_path / "1_hosts_0.npy")
    assert one.shape[0] == photos
    assert len(np.unique(one.round(4), axis=0)) == photos  # no two photos are alike
    for host in range(2):
        found = np.load(tmp_path / f"2_hosts_{host}.npy")
        np.testing.assert_allclose(found, one, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.exhaustive
def test_any_division_of_eight_devices_learns_the_same(tiny_config, tmp_path):
    """20 steps on 1, 2, 4 and 8 devices of a process, and on 8 of 2 and 4 processes."""
    training = dataclasses.replace(tiny_config.training, epochs=7, checkpoint_every_steps=0)
    found = {}
    alone = [(1, devices, False) for devices in (1, 2, 4, 8)]
    for hosts, devices, fsdp in [*alone, (2, 8, True), (4, 8, False)]:
        name = f"{hosts}_{devices}"
        mesh = dataclasses.replace(tiny_config.mesh, data=devices, fsdp=fsdp)
        config = dataclasses.replace(tiny_config, training=training, mesh=mesh)
        store_config(config, tmp_path / f"{name}.json")
        found[name] = train_on(hosts, tmp_path / f"{name}.json", tmp_path / name, devices)
    one = found.pop("1_1")
    assert len(one["loss/identity"]) >= 20
    for name, losses in found.items():
        for term, values in one.items():
            np.testing.assert_allclose(losses[term][:20], values[:20], rtol=1e-4, err_msg=name)


@pytest.mark.slow
@pytest.mark.exhaustive
def test_a_lost_host_ends_the_others_and_is_named(tiny_config, tmp_path):
    training = dataclasses.replace(tiny_config.training, epochs=4000, checkpoint_every_steps=1)
    mesh = dataclasses.replace(tiny_config.mesh, data=2)
    config = dataclasses.replace(tiny_config, training=training, mesh=mesh)
    store_config(config, tmp_path / "config.json")
    first, second = start(tmp_path / "config.json", tmp_path / "run", 2)
    wait_for_steps(tmp_path / "run", 4, first)
    second.kill()
    second.communicate()
    _, said = first.communicate(timeout=LOST_AFTER_S + 60)
    assert first.returncode not in (0, 143)
    lost = r"ask 1 heartbeat timeout|stopped sending heartbeats\):\s+\S*\b1\b"
    assert re.search(lost, said.decode()), said.decode()[-3000:]
