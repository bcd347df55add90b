"""Flip and crop in the step: the pixels that the reading threads would make."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fashion_jax.config import AugmentConfig, ImageConfig, MeshConfig
from fashion_jax.datasets.identity_batches import IdentityBatchPlan
from fashion_jax.datasets.loader import TrainingBatches
from fashion_jax.parallel.hosts import Host, global_batch
from fashion_jax.parallel.mesh import make_mesh
from fashion_jax.training.device_augmentation import flip_and_crop
from fashion_jax.training.learner import abstract_batch
from tests.datasets.fakes import FakeSplit

STEPS = 6


def batches(config: AugmentConfig, own=None) -> TrainingBatches:
    split = FakeSplit("train", 9, street=2, shop=1)
    plan = IdentityBatchPlan(split.identity, split.domain, 4, 4, seed=3)
    image = ImageConfig(16, 8, ("24x12",))
    return TrainingBatches(split, plan, image, config, 3, STEPS, Host(), own)


def inverted(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return 255 - image if rng.random() < 0.5 else image


@pytest.mark.parametrize("pad", [0, 3, 20])
@pytest.mark.parametrize("own", [None, inverted])
@pytest.mark.parametrize("devices", [1, 4])
def test_same_pixels_as_on_the_host(pad, own, devices):
    config = AugmentConfig(pad=pad)
    here, there = (
        batches(dataclasses.replace(config, on_device=on_device), own)
        for on_device in (False, True)
    )
    mesh = make_mesh(MeshConfig(), jax.devices()[:devices])
    step = jax.jit(lambda batch: flip_and_crop(batch["image"], batch["crop"]))
    for number in range(STEPS):
        expected, sent = here[number], there[number]
        crops = sent.pop("crop")
        images = sent.pop("image")
        assert crops.any()
        for name, values in sent.items():
            np.testing.assert_array_equal(values, expected[name])
        found = step(global_batch({"image": images, "crop": crops}, mesh))
        assert found.dtype == jnp.uint8
        np.testing.assert_array_equal(np.asarray(found), expected["image"])


def test_each_device_keeps_to_its_own_images():
    mesh = make_mesh(MeshConfig(), jax.devices()[:4])
    batch = batches(AugmentConfig(on_device=True))[0]
    sent = global_batch({name: batch[name] for name in ("image", "crop")}, mesh)
    program = jax.jit(flip_and_crop).lower(sent["image"], sent["crop"]).compile().as_text()
    assert not any(name in program for name in ("all-gather", "all-reduce", "all-to-all"))


@pytest.mark.slow
def test_a_run_learns_the_same(tiny_config, tmp_path):
    from fashion_jax.training.loop import train
    from fashion_jax.training.metrics_log import read_metrics

    mesh = make_mesh(MeshConfig(), jax.devices()[:1])
    training = dataclasses.replace(tiny_config.training, epochs=1, log_every_steps=1)
    lines = []
    for on_device in (False, True):
        augment = dataclasses.replace(tiny_config.augment, on_device=on_device)
        config = dataclasses.replace(tiny_config, training=training, augment=augment)
        assert ("crop" in abstract_batch(config, mesh)) == on_device
        train(config, tmp_path / str(on_device), mesh, progress=False)
        lines.append([line["loss/total"] for line in read_metrics(tmp_path / str(on_device))[:-1]])
    # The pixels are the same; XLA rounds the sums of another program in another order.
    np.testing.assert_allclose(lines[0], lines[1], rtol=1e-4)
