import numpy as np
import pytest

from fashion_jax.metrics.confidence import confidence_intervals


def test_equal_values_have_an_interval_of_no_width():
    found = confidence_intervals({"mAP": np.full(10, 0.7)}, np.arange(10))
    assert found["mAP"] == pytest.approx((0.7, 0.7))


def test_one_product_has_no_interval():
    found = confidence_intervals({"mAP": np.array([0.1, 0.9])}, np.array([4, 4]))
    assert np.isnan(found["mAP"]).all()
    assert np.isnan(confidence_intervals({"mAP": np.empty(0)}, np.empty(0, int))["mAP"]).all()


def test_a_mean_of_many_has_the_width_of_the_normal_approximation():
    values = np.random.default_rng(0).normal(0.5, 0.1, 2000)
    low, high = confidence_intervals({"mAP": values}, np.arange(2000))["mAP"]
    half = 1.96 * values.std() / np.sqrt(2000)
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=5e-4)


def test_queries_of_one_product_are_drawn_together():
    """Each value ten times, under one product: no more is known than from one of them."""
    values = np.random.default_rng(1).normal(0.5, 0.1, 100)
    once = confidence_intervals({"mAP": values}, np.arange(100))["mAP"]
    tenfold = confidence_intervals({"mAP": values.repeat(10)}, np.arange(100).repeat(10))["mAP"]
    assert tenfold == pytest.approx(once)
    apart = confidence_intervals({"mAP": values.repeat(10)}, np.arange(1000))["mAP"]
    assert apart[1] - apart[0] < 0.5 * (once[1] - once[0])


def test_the_same_seed_draws_the_same():
    values, identity = {"mAP": np.linspace(0, 1, 20)}, np.arange(20)
    assert confidence_intervals(values, identity) == confidence_intervals(values, identity)
    assert confidence_intervals(values, identity) != confidence_intervals(values, identity, seed=1)
