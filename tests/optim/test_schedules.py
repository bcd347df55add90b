import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fashion_jax.config import OptimizerConfig
from fashion_jax.optim import epoch_learning_rate, warmup_multistep
from fashion_jax.versions import enable_x64

STRONG_BASELINE = OptimizerConfig()
SHORT = OptimizerConfig(
    learning_rate=1.0, warmup_epochs=3.0, milestones=(8.0, 10.8), schedule_granularity="step"
)


def test_golden_schedule(shared):
    with np.load(shared / "goldens" / "schedules.npz") as arrays:
        golden = arrays["warmup_multistep_strong_baseline"]
    rates = [epoch_learning_rate(STRONG_BASELINE, epoch) for epoch in range(1, 121)]
    np.testing.assert_allclose(rates, golden, rtol=1e-9, atol=0)


def test_golden_schedule_as_traced(shared):
    with np.load(shared / "goldens" / "schedules.npz") as arrays:
        golden = arrays["warmup_multistep_strong_baseline"]
    with enable_x64(True):
        schedule = jax.jit(jax.vmap(warmup_multistep(STRONG_BASELINE, steps_per_epoch=7)))
        rates = np.asarray(schedule(jnp.arange(120 * 7, dtype=jnp.int32)))
    np.testing.assert_allclose(rates, np.repeat(golden, 7), rtol=1e-9, atol=0)


@pytest.mark.parametrize(
    ("epoch", "rate"),
    [(1, 3.815e-5), (9, 3.1535e-4), (10, 3.5e-4), (39, 3.5e-4), (40, 3.5e-5), (70, 3.5e-6)],
)
def test_by_hand(epoch, rate):
    assert epoch_learning_rate(STRONG_BASELINE, epoch) == pytest.approx(rate, rel=1e-12)


def test_rate_is_held_through_an_epoch():
    schedule = warmup_multistep(STRONG_BASELINE, steps_per_epoch=3)
    rates = np.array([schedule(step) for step in range(9)]).reshape(3, 3)
    np.testing.assert_array_equal(rates, np.repeat(rates[:, :1], 3, axis=1))
    np.testing.assert_allclose(rates[:, 0], [3.815e-5, 7.28e-5, 1.0745e-4], rtol=1e-6)


def test_fractional_milestone_waits_for_the_next_epoch_when_held():
    config = dataclasses.replace(SHORT, schedule_granularity="epoch")
    rates = [float(warmup_multistep(config, 10)(epoch * 10)) for epoch in range(20)]
    np.testing.assert_allclose(rates[6:12], [1, 0.1, 0.1, 0.1, 0.01, 0.01], rtol=1e-6)


def test_per_step_follows_the_line():
    schedule = warmup_multistep(SHORT, steps_per_epoch=10)
    np.testing.assert_allclose(schedule(0), 0.01 * (1 - 1 / 30) + 1 / 30, rtol=1e-6)
    np.testing.assert_allclose(schedule(14), 0.01 * 0.5 + 0.5, rtol=1e-6)
    np.testing.assert_allclose([schedule(s) for s in (29, 30, 78)], 1.0, rtol=1e-6)


def test_per_step_drops_on_the_very_step():
    schedule = warmup_multistep(SHORT, steps_per_epoch=10)
    rates = [float(schedule(step)) for step in (78, 79, 106, 107, 10_000)]
    np.testing.assert_allclose(rates, [1, 0.1, 0.1, 0.01, 0.01], rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("steps_per_epoch", [1, 7, 30, 154])
def test_per_step_meets_the_held_schedule_at_every_epochs_end(steps_per_epoch):
    held = warmup_multistep(STRONG_BASELINE, steps_per_epoch)
    follow = warmup_multistep(
        dataclasses.replace(STRONG_BASELINE, schedule_granularity="step"), steps_per_epoch
    )
    ends = jnp.arange(1, 121) * steps_per_epoch - 1
    np.testing.assert_allclose(jax.vmap(follow)(ends), jax.vmap(held)(ends), rtol=1e-5)


@pytest.mark.parametrize("granularity", ["epoch", "step"])
def test_no_warmup_and_no_milestones_is_constant(granularity):
    config = OptimizerConfig(
        learning_rate=0.5, warmup_epochs=0.0, milestones=(), schedule_granularity=granularity
    )
    schedule = warmup_multistep(config, 4)
    np.testing.assert_array_equal([schedule(step) for step in (0, 3, 4, 1000)], 0.5)


def test_an_epoch_without_steps_is_refused():
    with pytest.raises(ValueError, match="steps_per_epoch is 0"):
        warmup_multistep(STRONG_BASELINE, 0)
