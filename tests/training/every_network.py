"""Every network of the registry trains in bfloat16 on eight devices, compiled once.

Each with its own blocks and widths, and as few of them as there can be: depth changes nothing
but the time to compile. Two files share the networks, so that two workers share the minutes.
"""

import gc

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fashion_jax.config import ExperimentConfig, ImageConfig, MeshConfig, ModelConfig
from fashion_jax.models.backbones import BACKBONES
from fashion_jax.parallel.hosts import global_batch
from fashion_jax.parallel.mesh import make_mesh
from fashion_jax.training.learner import make_learner
from tests.models.backbones.shallow import shallow

SIZES = {14: 28}  # side of a patch to that of a photo; 32 for whatever has none
CLASSES = 8
# A gate's two units may both be dead at the start.
MAY_BE_DEAD = "['fc1']['bias']"


def batch(step: int, side: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(step)
    return {
        "image": rng.integers(0, 256, (8, side, side, 3), np.uint8),
        "erased": np.zeros((8, 4), np.int32),
        "identity": np.repeat(rng.permutation(CLASSES)[:4], 2).astype(np.int32),
        "domain": np.tile(np.array([0, 1], np.int8), 4),
        "valid": np.ones(8, np.bool_),
    }


def assert_trains(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two steps change every parameter, and leave nothing behind: programs would fill gigabytes.

    LLVM is told not to optimise: two steps of a tiny network do not repay the time.
    """
    jax.config.update("jax_disable_most_optimizations", True)
    try:
        _assert_trains(name, monkeypatch)
    finally:
        jax.config.update("jax_disable_most_optimizations", False)
        jax.clear_caches()
        gc.collect()


def _assert_trains(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = shallow(BACKBONES[name])
    monkeypatch.setitem(BACKBONES, name, spec)
    side = SIZES.get(getattr(spec.variant, "patch", 0), 32)
    config = ExperimentConfig(
        image=ImageConfig(side, side), model=ModelConfig(backbone=name, compute_dtype="bfloat16")
    )
    mesh = make_mesh(MeshConfig(), jax.devices()[:8])
    learner = make_learner(config, CLASSES, 10, mesh)
    state = learner.create_train_state()
    before = jax.tree.map(np.asarray, state.params)
    for step in range(2):
        state, metrics = learner.train_step(state, global_batch(batch(step, side), mesh))
        assert all(np.isfinite(value) for value in metrics.values())
    assert learner.train_step._cache_size() == 1, "the step was compiled again"
    changed = jax.tree.map(lambda old, new: not np.array_equal(old, new), before, state.params)
    unchanged = [
        jax.tree_util.keystr(path)
        for path, moved in jax.tree_util.tree_leaves_with_path(changed)
        if not moved and not jax.tree_util.keystr(path).endswith(MAY_BE_DEAD)
    ]
    assert unchanged == []
    assert {leaf.dtype for leaf in jax.tree.leaves(state.params)} == {jnp.dtype(jnp.float32)}
