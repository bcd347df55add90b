import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fashion_jax.config import LossConfig
from fashion_jax.losses import (
    Objective,
    batch_hard_triplet,
    center,
    label_smoothed_cross_entropy,
)

RNG = np.random.default_rng(0)
FEATURES = jnp.asarray(RNG.normal(size=(8, 4)), dtype=jnp.float32)
LOGITS = jnp.asarray(RNG.normal(size=(8, 5)), dtype=jnp.float32)
CENTERS = jnp.asarray(RNG.normal(size=(5, 4)), dtype=jnp.float32)
IDENTITIES = jnp.array([0, 0, 1, 1, 2, 2, 4, 4])
VALID = jnp.array([True] * 7 + [False])
DEFAULT = LossConfig()


def evaluate(**changes):
    objective = Objective(dataclasses.replace(DEFAULT, **changes))
    return objective(FEATURES, LOGITS, IDENTITIES, CENTERS, VALID)


def test_total_is_the_weighted_sum():
    total, terms = evaluate(identity_weight=2.0, triplet_weight=3.0, center_weight=0.5)
    identity = label_smoothed_cross_entropy(LOGITS, IDENTITIES, 0.1, VALID)
    triplet = batch_hard_triplet(FEATURES, IDENTITIES, 0.3, VALID)
    distance = center(FEATURES, IDENTITIES, CENTERS, VALID)
    np.testing.assert_allclose(total, 2 * identity + 3 * triplet + 0.5 * distance, rtol=1e-6)
    np.testing.assert_array_equal(terms["loss/total"], total)
    np.testing.assert_array_equal(terms["loss/identity"], identity)
    np.testing.assert_array_equal(terms["loss/triplet"], triplet)
    np.testing.assert_array_equal(terms["loss/center"], distance)


@pytest.mark.parametrize("term", ["identity", "triplet", "center"])
def test_weight_0_leaves_a_term_out(term):
    _, terms = evaluate(**{f"{term}_weight": 0.0})
    assert f"loss/{term}" not in terms
    assert ("triplet/active_fraction" in terms) == (term != "triplet")


def test_terms_without_weight_need_no_input():
    config = dataclasses.replace(DEFAULT, identity_weight=0.0, center_weight=0.0)
    total, terms = Objective(config)(FEATURES, None, IDENTITIES, None, VALID)
    np.testing.assert_array_equal(total, terms["loss/triplet"])


@pytest.mark.parametrize(
    ("logits", "centers", "missing"), [(None, CENTERS, "logits"), (LOGITS, None, "centers")]
)
def test_missing_input_is_named(logits, centers, missing):
    with pytest.raises(ValueError, match=missing):
        Objective(DEFAULT)(FEATURES, logits, IDENTITIES, centers, VALID)


def test_nothing_switched_on_is_0():
    total, _ = evaluate(identity_weight=0.0, triplet_weight=0.0, center_weight=0.0)
    assert total == 0


def test_diagnostics_by_hand():
    # Two identities at 0 and 3, 5 and 9 on a line; one row of padding.
    features = jnp.array([[0.0], [3.0], [5.0], [9.0], [jnp.nan]])
    identities = jnp.array([0, 0, 1, 1, 1])
    config = LossConfig(identity_weight=0.0, center_weight=0.0, triplet_margin=0.5)
    _, terms = Objective(config)(features, None, identities, None, jnp.arange(5) < 4)
    assert terms["triplet/positive_distance"] == 3.5
    assert terms["triplet/negative_distance"] == 3.75
    assert terms["triplet/active_fraction"] == 0.5
    assert terms["features/norm"] == 4.25


def test_no_gradient_reaches_the_centers():
    def total(centers):
        return Objective(DEFAULT)(FEATURES, LOGITS, IDENTITIES, centers, VALID)[0]

    np.testing.assert_array_equal(jax.grad(total)(CENTERS), 0)


def test_gradient_is_finite_at_features_of_0():
    def total(features):
        return Objective(DEFAULT)(features, LOGITS, IDENTITIES, CENTERS, VALID)[0]

    assert jnp.isfinite(jax.grad(total)(jnp.zeros_like(FEATURES))).all()


def test_everything_masked_is_0():
    objective = Objective(DEFAULT)
    total, terms = objective(FEATURES, LOGITS, IDENTITIES, CENTERS, jnp.zeros(8, dtype=bool))
    assert total == 0
    assert all(value == 0 for value in terms.values())


def test_bfloat16_network_gives_float32_losses():
    half = FEATURES.astype(jnp.bfloat16), LOGITS.astype(jnp.bfloat16)
    total, terms = Objective(DEFAULT)(*half, IDENTITIES, CENTERS, VALID)
    assert total.dtype == jnp.float32
    assert {value.dtype for value in terms.values()} == {jnp.dtype(jnp.float32)}
