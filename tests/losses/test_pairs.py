"""Pairs that count: domains, weights and the memory, against the formulas written out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fashion_jax.config import MiningConfig
from fashion_jax.losses import Memory, batch_hard_triplet_loss, empty_memory, enqueue
from fashion_jax.losses.pairs import make_pairs
from fashion_jax.versions import enable_x64
from tests.losses import reference

STREET, SHOP = 0, 1
IDENTITIES = np.array([0, 0, 0, 1, 1, 2, 2, 3, 3])
DOMAINS = np.array([STREET, SHOP, SHOP, STREET, SHOP, STREET, STREET, SHOP, SHOP])
FEATURES = np.random.default_rng(0).normal(size=(9, 4))


def across(anchor: int, other: int) -> bool:
    return DOMAINS[anchor] != DOMAINS[other]


def in_street(anchor: int) -> bool:
    return DOMAINS[anchor] == STREET


def weight(anchor: int, other: int) -> float:
    return 3.0 if across(anchor, other) else 1.0


CASES = {
    "all pairs": (MiningConfig(), {}),
    "street anchors": (MiningConfig(anchors="street"), {"anchor": in_street}),
    "positives of the other domain": (
        MiningConfig(positives="other_domain"),
        {"positive": across, "itself": False},
    ),
    "street to shop": (
        MiningConfig(anchors="street", positives="other_domain", negatives="other_domain"),
        {"anchor": in_street, "positive": across, "negative": across, "itself": False},
    ),
    "weighted": (MiningConfig(cross_domain_weight=3.0), {"weight": weight}),
    "weight of 0": (
        MiningConfig(cross_domain_weight=0.0),
        {"positive": lambda a, b: not across(a, b), "negative": lambda a, b: not across(a, b)},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_mining_by_domain(case):
    mining, allowed = CASES[case]
    with enable_x64(True):
        found = batch_hard_triplet_loss(
            jnp.asarray(FEATURES),
            jnp.asarray(IDENTITIES),
            margin=0.5,
            domains=jnp.asarray(DOMAINS),
            mining=mining,
        )
    expected = reference.batch_hard(FEATURES, IDENTITIES, 0.5, **allowed)
    assert expected > 0
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.slow
def test_an_identity_of_one_domain_is_no_anchor_across_domains():
    """Identities 2 and 3 have no positive in the other domain."""
    mining = MiningConfig(positives="other_domain")
    pairs = make_pairs(
        jnp.asarray(FEATURES),
        jnp.asarray(IDENTITIES),
        domains=jnp.asarray(DOMAINS),
        mining=mining,
    )
    has_positive = np.asarray(pairs.positives.any(1) | pairs.itself.any(1))
    np.testing.assert_array_equal(has_positive, IDENTITIES < 2)


def test_domains_are_asked_for():
    with pytest.raises(ValueError, match="domains"):
        make_pairs(
            jnp.asarray(FEATURES),
            jnp.asarray(IDENTITIES),
            mining=MiningConfig(anchors="street"),
        )


@pytest.mark.slow
def test_memory_gives_further_candidates_without_a_gradient():
    kept = np.random.default_rng(1).normal(size=(5, 4))
    names = np.array([0, 1, 2, 7, 7])
    with enable_x64(True):
        memory = Memory(jnp.asarray(kept), jnp.asarray(names), jnp.zeros(5, int))

        def loss(features, remembered):
            filled = memory._replace(features=remembered)
            identities = jnp.asarray(IDENTITIES)
            return batch_hard_triplet_loss(features, identities, margin=0.5, memory=filled)

        value, gradients = jax.value_and_grad(loss, (0, 1))(jnp.asarray(FEATURES), memory.features)
    rows, labels = np.concatenate([FEATURES, kept]), np.concatenate([IDENTITIES, names])
    expected = reference.batch_hard(rows, labels, 0.5, batch=len(IDENTITIES))
    np.testing.assert_allclose(value, expected, rtol=1e-9)
    assert np.any(np.asarray(gradients[0]))
    np.testing.assert_array_equal(gradients[1], 0)


@pytest.mark.slow
def test_an_empty_memory_changes_nothing():
    features, identities = jnp.asarray(FEATURES, jnp.float32), jnp.asarray(IDENTITIES)
    memory = empty_memory(12, 4, jnp.float32)
    found = batch_hard_triplet_loss(features, identities, margin=0.5, memory=memory)
    expected = batch_hard_triplet_loss(features, identities, margin=0.5)
    np.testing.assert_array_equal(found, expected)


def test_memory_forgets_the_oldest_and_keeps_padding_out():
    memory = empty_memory(5, 2, jnp.float32)
    for number in range(3):
        memory = enqueue(
            memory,
            jnp.full((2, 2), number, jnp.float32),
            jnp.array([number, 10 + number]),
            jnp.array([0, 1]),
            jnp.array([True, number != 1]),
        )
    np.testing.assert_array_equal(memory.identities, [10, 1, -1, 2, 12])
    np.testing.assert_array_equal(memory.features[:, 0], [0, 1, 0, 2, 2])
    np.testing.assert_array_equal(memory.domains, [1, 0, 1, 0, 1])
