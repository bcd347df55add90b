import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fashion_jax.config import LossConfig, MiningConfig
from fashion_jax.losses import (
    Objective,
    batch_hard_triplet_loss,
    center_gradient,
    center_loss,
    label_smoothed_cross_entropy_loss,
)

RNG = np.random.default_rng(0)
FEATURES = jnp.asarray(RNG.normal(size=(8, 4)), dtype=jnp.float32)
EMBEDDING = jnp.asarray(RNG.normal(size=(8, 4)), dtype=jnp.float32)
KERNEL = jnp.asarray(RNG.normal(size=(4, 5)), dtype=jnp.float32)
CENTERS = jnp.asarray(RNG.normal(size=(5, 4)), dtype=jnp.float32)
IDENTITIES = jnp.array([0, 0, 1, 1, 2, 2, 4, 4])
DOMAINS = jnp.array([0, 1] * 4)
VALID = jnp.array([True] * 7 + [False])
BATCH = {"identity": IDENTITIES, "domain": DOMAINS, "valid": VALID}
DEFAULT = LossConfig()
EVERY_TERM = [name.removesuffix("_weight") for name in vars(DEFAULT) if name.endswith("_weight")]
ANY = MiningConfig()
NOTHING = LossConfig(**{f"{name}_weight": 0.0 for name in EVERY_TERM})


def initial_state(objective):
    return objective.initial_state(
        jax.random.key(0), batch_size=8, feature_width=4, num_identities=5
    )


def evaluate(loss=DEFAULT, features=FEATURES, batch=BATCH, mining=ANY, extra_terms=None, **changes):
    objective = Objective(
        dataclasses.replace(loss, **changes), mining, extra_terms=extra_terms or {}
    )
    embedding = EMBEDDING.astype(features.dtype)
    state = initial_state(objective) | {"centers": CENTERS}
    return objective(
        features, embedding, batch, classifier={"kernel": KERNEL}, num_identities=5, state=state
    )


@pytest.mark.slow
def test_total_is_the_weighted_sum():
    total, terms = evaluate(identity_weight=2.0, triplet_weight=3.0, center_weight=0.5)
    identity = label_smoothed_cross_entropy_loss(
        EMBEDDING @ KERNEL, IDENTITIES, smoothing=0.1, where=VALID
    )
    triplet = batch_hard_triplet_loss(FEATURES, IDENTITIES, margin=0.3, where=VALID)
    distance = center_loss(FEATURES, IDENTITIES, CENTERS, where=VALID)
    np.testing.assert_allclose(total, 2 * identity + 3 * triplet + 0.5 * distance, rtol=1e-6)
    np.testing.assert_allclose(terms["loss/identity"], identity, rtol=1e-6)
    np.testing.assert_array_equal(terms["loss/triplet"], triplet)
    np.testing.assert_array_equal(terms["loss/center"], distance)
    assert [terms[f"weight/{name}"] for name in ("identity", "triplet", "center")] == [2, 3, 0.5]


@pytest.mark.slow
@pytest.mark.parametrize("term", EVERY_TERM)
def test_every_term_alone(term):
    total, terms = evaluate(NOTHING, **{f"{term}_weight": 2.0})
    assert [name for name in terms if name.startswith("loss/")] == [f"loss/{term}"]
    np.testing.assert_allclose(total, 2 * terms[f"loss/{term}"])
    assert terms[f"loss/{term}"] > 0


def test_terms_without_weight_need_no_input():
    objective = Objective(dataclasses.replace(DEFAULT, identity_weight=0.0, center_weight=0.0))
    total, terms = objective(FEATURES, EMBEDDING, BATCH)
    np.testing.assert_array_equal(total, terms["loss/triplet"])


@pytest.mark.parametrize(
    ("classifier", "state", "missing"),
    [(None, {"centers": CENTERS}, "the classifier"), ({"kernel": KERNEL}, {}, "centers")],
)
def test_missing_input_is_named(classifier, state, missing):
    with pytest.raises(ValueError, match=missing):
        Objective(DEFAULT)(FEATURES, EMBEDDING, BATCH, classifier=classifier, state=state)


def test_nothing_switched_on_is_0():
    total, _ = evaluate(NOTHING)
    assert total == 0


@pytest.mark.slow
def test_diagnostics_by_hand():
    # Two identities at 0 and 3, 5 and 9 on a line; one row of padding.
    features = jnp.array([[0.0], [3.0], [5.0], [9.0], [jnp.nan]])
    identity, domain = jnp.array([0, 0, 1, 1, 1]), jnp.zeros(5, int)
    batch = {"identity": identity, "domain": domain, "valid": jnp.arange(5) < 4}
    objective = Objective(dataclasses.replace(NOTHING, triplet_weight=1.0, triplet_margin=0.5))
    _, terms = objective(features, features, batch)
    assert terms["triplet/positive_distance"] == 3.5
    assert terms["triplet/negative_distance"] == 3.75
    assert terms["triplet/active_fraction"] == 0.5
    assert terms["features/norm"] == 4.25
    np.testing.assert_allclose(terms["pairs/positive_distance"], 3.5, rtol=1e-6)
    np.testing.assert_allclose(terms["pairs/negative_distance"], (5 + 9 + 2 + 6) / 4, rtol=1e-6)


@pytest.mark.slow
def test_no_gradient_reaches_centers_and_memory():
    objective = Objective(DEFAULT, MiningConfig(memory_batches=1))
    state = initial_state(objective)
    state["memory"]["identities"] = IDENTITIES

    def total(floats):
        filled = {
            **state,
            "centers": floats[0],
            "memory": {**state["memory"], "features": floats[1]},
        }
        classifier = {"kernel": KERNEL}
        return objective(FEATURES, EMBEDDING, BATCH, classifier=classifier, state=filled)[0]

    gradients = jax.grad(total)((state["centers"], FEATURES + 1))
    assert all((gradient == 0).all() for gradient in gradients)


@pytest.mark.slow
def test_gradient_is_finite_at_features_of_0():
    gradient = jax.grad(lambda features: evaluate(features=features)[0])(jnp.zeros_like(FEATURES))
    assert jnp.isfinite(gradient).all()


def test_everything_masked_is_0():
    total, terms = evaluate(batch=BATCH | {"valid": jnp.zeros(8, dtype=bool)})
    assert total == 0
    assert all(value == 0 for name, value in terms.items() if not name.startswith("weight/"))


def test_bfloat16_network_gives_float32_losses():
    total, terms = evaluate(features=FEATURES.astype(jnp.bfloat16))
    assert total.dtype == jnp.float32
    assert {value.dtype for value in terms.values()} == {jnp.dtype(jnp.float32)}


def test_the_mining_reaches_the_losses():
    across = MiningConfig(anchors="street", positives="other_domain", negatives="other_domain")
    plain, restricted = (
        evaluate(NOTHING, triplet_weight=1.0, mining=mining)[0]
        for mining in (MiningConfig(), across)
    )
    assert plain != restricted


def test_state_is_what_the_terms_keep():
    assert initial_state(Objective(NOTHING)) == {}
    state = initial_state(Objective(DEFAULT, MiningConfig(memory_batches=3)))
    assert state["centers"].shape == (5, 4)
    assert state["memory"]["features"].shape == (24, 4)


def test_next_state_moves_centers_and_enqueues_from_the_asked_step_on():
    mining = MiningConfig(memory_batches=2, memory_start_step=1)
    objective = Objective(DEFAULT, mining, center_learning_rate=0.5)
    state = initial_state(objective) | {"centers": CENTERS}
    first = objective.next_state(state, FEATURES, BATCH, step=jnp.array(0))
    pull = center_gradient(FEATURES, IDENTITIES, CENTERS, where=VALID)
    np.testing.assert_allclose(first["centers"], CENTERS - 0.5 * pull, rtol=1e-6)
    assert (first["memory"]["identities"] == -1).all()
    second = objective.next_state(first, FEATURES, BATCH, step=jnp.array(1))
    np.testing.assert_array_equal(
        second["memory"]["identities"], [-1] * 8 + [0, 0, 1, 1, 2, 2, 4, -1]
    )
    np.testing.assert_array_equal(second["memory"]["features"][8:15], FEATURES[:7])
