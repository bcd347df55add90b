"""Memory and model FLOPs utilisation of a run's devices."""

import dataclasses
import types

import pytest

from fashion_jax.parallel import chips
from fashion_jax.parallel.chips import CHIPS, chip_of
from fashion_jax.training import device_use
from fashion_jax.training.device_use import DeviceUse
from tests.training.test_step import CONFIG, IDENTITIES, PHOTOS, learner_on_one_device


@pytest.mark.parametrize(
    ("kind", "chip"),
    [
        ("TPU v4", ("v4", 1)),
        ("TPU v5 lite", ("v5e", 1)),
        ("TPU v5", ("v5p", 1)),
        ("TPU v6 lite", ("v6e", 1)),
        ("TPU7x", ("tpu7x", 2)),
        ("NVIDIA H100 80GB HBM3", ("h100", 1)),
        ("NVIDIA GeForce RTX 4090", None),
        ("cpu", None),
    ],
)
def test_chips_by_what_jax_calls_them(kind, chip):
    assert chip_of(kind) == chip
    assert chip is None or chip[0] in CHIPS


def small_learner():
    data = dataclasses.replace(
        CONFIG.data, identities_per_batch=IDENTITIES, photos_per_identity=PHOTOS
    )
    return learner_on_one_device(dataclasses.replace(CONFIG, data=data))


def test_cpus_have_no_published_rate():
    use = DeviceUse(small_learner())
    assert "speed/mfu" not in use.report(100.0, 32)


@pytest.mark.slow
def test_the_share_of_the_peak(monkeypatch):
    monkeypatch.setattr(chips, "_KINDS", (("cpu", "v5e", 1),))
    use = DeviceUse(small_learner())
    found = use.report(64.0, 32)["speed/mfu"]  # two steps a second
    assert found == pytest.approx(2 * use._flops / 197e12)
    assert use._flops > 1e6


@pytest.mark.slow
def test_recomputed_operations_have_a_name_of_their_own(monkeypatch):
    monkeypatch.setattr(chips, "_KINDS", (("cpu", "v5e", 1),))
    learner = small_learner()
    model = dataclasses.replace(CONFIG.model, gradient_checkpointing=True)
    again = dataclasses.replace(learner, config=dataclasses.replace(learner.config, model=model))
    assert "speed/hfu" in DeviceUse(again).report(64.0, 32)
    parts = dataclasses.replace(CONFIG.training, microbatches=2)
    loop = dataclasses.replace(learner, config=dataclasses.replace(learner.config, training=parts))
    assert not {"speed/hfu", "speed/mfu"} & {*DeviceUse(loop).report(64.0, 32)}


def test_memory_where_devices_tell(monkeypatch):
    use = DeviceUse(small_learner())
    use._device = types.SimpleNamespace(memory_stats=lambda: {"peak_bytes_in_use": 3 * 2**29})
    assert use.report(1.0, 1) == {"speed/device_memory_gib": 1.5}
    use._device = types.SimpleNamespace(memory_stats=lambda: None)
    assert use.report(1.0, 1) == {}


@pytest.mark.slow
def test_what_cannot_be_counted_ends_no_run(monkeypatch, caplog):
    monkeypatch.setattr(chips, "_KINDS", (("cpu", "v5e", 1),))

    def fails(*_):
        raise RuntimeError("no analysis")

    monkeypatch.setattr(device_use, "abstract_batch", fails)
    assert "speed/mfu" not in DeviceUse(small_learner()).report(1.0, 1)
    assert "cannot be counted: no analysis" in caplog.text
