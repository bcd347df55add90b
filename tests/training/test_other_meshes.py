"""A checkpoint of any mesh resumes on any other; each restore checks every bit."""

import dataclasses

import jax
import pytest

from fashion_jax.config import MeshConfig
from fashion_jax.errors import PreemptedError
from fashion_jax.parallel import mesh as mesh_module
from fashion_jax.parallel.mesh import make_mesh
from fashion_jax.training.loop import train
from tests.training.test_preemption import asking_at, stored_checksums


@pytest.mark.slow
def test_a_run_goes_from_mesh_to_mesh(tiny_config, tmp_path, monkeypatch):
    monkeypatch.setattr(mesh_module, "_LEAST_DIVIDED", 64)  # so that something is divided
    training = dataclasses.replace(
        tiny_config.training, epochs=2, evaluate_every_epochs=2, checkpoint_every_steps=0
    )

    def go_on(mesh, until=None):
        config = dataclasses.replace(tiny_config, training=training, mesh=mesh)
        devices = make_mesh(mesh, jax.devices()[: mesh.data * mesh.model])
        log = asking_at(until) if until else None
        return train(config, tmp_path, devices, progress=False, log=log)

    for step, mesh in [(1, MeshConfig(8, 1, fsdp=True)), (2, MeshConfig(1, 1))]:
        with pytest.raises(PreemptedError):
            go_on(mesh, step)
        assert stored_checksums(tmp_path)[0] == step
    state = go_on(MeshConfig(4, 2, fsdp=True))
    divided = [
        leaf for leaf in jax.tree.leaves(state.params) if not leaf.sharding.is_fully_replicated
    ]
    assert divided
