"""Columns of the classifier: padded, sampled, and divided over devices."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from fashion_jax.config import ClassifierConfig, LossConfig, MeshConfig
from fashion_jax.losses import (
    Objective,
    label_smoothed_cross_entropy_loss,
    linear_scores,
    proxy_anchor_loss,
)
from fashion_jax.losses.partial_fc import (
    all_columns,
    num_classes,
    num_columns,
    sampled_columns,
    sampled_per_group,
)
from fashion_jax.parallel.mesh import make_mesh

IDENTITIES, WIDTH, BATCH = 21, 6, 8
RNG = np.random.default_rng(0)
EMBEDDING = jnp.asarray(RNG.normal(size=(BATCH, WIDTH)), jnp.float32)
LABELS = jnp.array([0, 1, 5, 8, 8, 13, 16, 20], jnp.int32)  # at most two in a group of three
WHERE = jnp.ones(BATCH, dtype=bool)
GROUPED = ClassifierConfig(pad_classes_to_multiple=8, sample_rate=1.0)
CLASSES = num_classes(GROUPED, IDENTITIES)
KERNEL = jnp.asarray(RNG.normal(size=(WIDTH, CLASSES)), jnp.float32)
OF_CLASSES = ("identity", "arcface", "cosface", "proxy_nca", "proxy_anchor")


def objective(classifier: ClassifierConfig, **weights: float) -> Objective:
    off = dict.fromkeys(("identity_weight", "triplet_weight", "center_weight"), 0.0)
    return Objective(LossConfig(**(off | weights)), classifier=classifier)


def value_and_gradients(objective: Objective, kernel: jax.Array, key=None, place=lambda x: x):
    """`place` lays what belongs to the batch onto devices."""
    batch = place({"identity": LABELS, "domain": jnp.zeros_like(LABELS), "valid": WHERE})

    def total(embedding, kernel):
        features = jnp.zeros((BATCH, 2))
        classifier = {"kernel": kernel}
        return objective(
            features,
            embedding,
            batch,
            classifier=classifier,
            num_identities=IDENTITIES,
            state={},
            key=key,
        )[0]

    return jax.jit(jax.value_and_grad(total, (0, 1)))(place(EMBEDDING), kernel)


def test_counts():
    assert num_classes(ClassifierConfig(), 21) == 21
    assert num_classes(GROUPED, 21) == 24
    assert num_columns(dataclasses.replace(GROUPED, sub_centers=3), 21) == 72
    assert sampled_per_group(dataclasses.replace(GROUPED, sample_rate=0.5), 21) == 2
    assert sampled_per_group(dataclasses.replace(GROUPED, sample_rate=0.1), 21) == 1
    assert sampled_per_group(GROUPED, 21) == 3


@pytest.mark.slow
@pytest.mark.parametrize("term", OF_CLASSES)
def test_columns_that_are_no_identity_change_nothing(term):
    value, gradients = value_and_gradients(objective(GROUPED, **{f"{term}_weight": 1.0}), KERNEL)
    plain, expected = value_and_gradients(
        objective(ClassifierConfig(), **{f"{term}_weight": 1.0}), KERNEL[:, :IDENTITIES]
    )
    np.testing.assert_allclose(value, plain, rtol=1e-6)
    np.testing.assert_allclose(gradients[0], expected[0], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(gradients[1][:, :IDENTITIES], expected[1], rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(gradients[1][:, IDENTITIES:], 0)


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.8, 0.67])
@pytest.mark.parametrize("sub_centers", [1, 2])
def test_a_sample_has_the_batchs_classes_and_others_each_once(share, sub_centers):
    config = ClassifierConfig(pad_classes_to_multiple=4, sample_rate=share, sub_centers=sub_centers)
    classes = num_classes(config, IDENTITIES)
    numbers = jnp.repeat(jnp.arange(classes, dtype=jnp.float32), sub_centers)
    kernel = jnp.tile(numbers[None, :], (WIDTH, 1))
    labels = jnp.array([0, 0, 5, 20, 3, 3, 7, 11], jnp.int32)
    every = all_columns(kernel, None, labels, IDENTITIES, sub_centers)
    per_group = sampled_per_group(config, IDENTITIES)
    drawn = []
    for seed in range(5):
        found = sampled_columns(every, WHERE, config, per_group, jax.random.key(seed))
        columns = np.asarray(found.kernel[0]).reshape(-1, sub_centers)
        assert (columns == columns[:, :1]).all()
        chosen = columns[:, 0].astype(int)
        assert len(set(chosen)) == len(chosen) == 4 * per_group
        np.testing.assert_array_equal(found.classes, chosen < IDENTITIES)
        np.testing.assert_array_equal(chosen[np.asarray(found.identities)], labels)
        drawn.append(tuple(sorted(chosen)))
    assert len(set(drawn)) > 1


@pytest.mark.slow
def test_padding_takes_no_place_in_a_sample():
    config = ClassifierConfig(pad_classes_to_multiple=1, sample_rate=2 / IDENTITIES)
    labels = jnp.array([4, 9, 1, 2, 3, 5, 6, 7], jnp.int32)
    where = jnp.array([True, True] + [False] * 6)
    every = all_columns(KERNEL[:, :IDENTITIES], None, labels, IDENTITIES)
    found = sampled_columns(every, where, config, 2, jax.random.key(0))
    np.testing.assert_array_equal(np.sort(found.kernel, 1), np.sort(KERNEL[:, [4, 9]], 1))


@pytest.mark.slow
@pytest.mark.parametrize("term", OF_CLASSES)
def test_a_share_of_1_is_the_whole_softmax(term):
    """Every column drawn, in another order, in groups: `sample_rate` just below 1."""
    nearly = dataclasses.replace(GROUPED, sample_rate=0.999)
    assert sampled_per_group(nearly, IDENTITIES) == 3
    weights = {f"{term}_weight": 1.0}
    value, gradients = value_and_gradients(objective(nearly, **weights), KERNEL, jax.random.key(0))
    whole, expected = value_and_gradients(objective(GROUPED, **weights), KERNEL)
    np.testing.assert_allclose(value, whole, rtol=1e-6)
    for found, dense in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(found, dense, rtol=1e-5, atol=1e-6 * np.max(np.abs(dense)))


@pytest.mark.slow
def test_a_sample_is_the_softmax_over_what_was_drawn():
    config = dataclasses.replace(GROUPED, sample_rate=0.34)
    every = all_columns(KERNEL, None, LABELS, IDENTITIES)
    key = jax.random.key(3)
    sampled = sampled_columns(every, WHERE, config, sampled_per_group(config, IDENTITIES), key)
    expected = label_smoothed_cross_entropy_loss(
        linear_scores(EMBEDDING, sampled.kernel),
        sampled.identities,
        smoothing=0.1,
        where=WHERE,
        where_classes=sampled.classes,
    )
    value, gradients = value_and_gradients(objective(config, identity_weight=1.0), KERNEL, key)
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    moved = np.flatnonzero(np.abs(gradients[1]).sum(0))
    assert set(np.asarray(LABELS)) <= set(moved)
    assert len(moved) <= 8 * sampled_per_group(config, IDENTITIES)


def test_a_sample_needs_a_key():
    config = dataclasses.replace(GROUPED, sample_rate=0.5)
    with pytest.raises(ValueError, match="a key"):
        value_and_gradients(objective(config, identity_weight=1.0), KERNEL)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("term", "shape", "share"),
    [(term, (2, 4), 1.0) for term in OF_CLASSES]
    + [("identity", (1, 8), 1.0), ("identity", (1, 8), 0.67), ("arcface", (2, 4), 0.67)],
)
def test_divided_over_devices(term, shape, share):
    """Columns over `model`, batch over `data`: the same value and gradients as on one device."""
    config = dataclasses.replace(GROUPED, sample_rate=share)
    chosen = objective(config, **{f"{term}_weight": 1.0})
    key = jax.random.key(0)
    one, expected = value_and_gradients(chosen, KERNEL, key)
    mesh = make_mesh(MeshConfig(*shape), jax.devices()[:8])
    divided = jax.device_put(KERNEL, NamedSharding(mesh, PartitionSpec(None, "model")))
    batch = NamedSharding(mesh, PartitionSpec("data"))
    value, gradients = value_and_gradients(
        chosen, divided, key, lambda arrays: jax.device_put(arrays, batch)
    )
    np.testing.assert_allclose(value, one, rtol=1e-6)
    for found, dense in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(found, dense, rtol=1e-5, atol=1e-6 * np.max(np.abs(dense)))


@pytest.mark.slow
@pytest.mark.parametrize("label", [-1, IDENTITIES])
def test_a_label_without_a_column_is_nan(label):
    labels = LABELS.at[2].set(label)
    classes = jnp.arange(CLASSES) < IDENTITIES
    scores = linear_scores(EMBEDDING, KERNEL)
    for loss in (label_smoothed_cross_entropy_loss, proxy_anchor_loss):
        assert jnp.isnan(loss(scores, labels, where=WHERE, where_classes=classes))
        without = WHERE.at[2].set(False)
        assert jnp.isfinite(loss(scores, labels, where=without, where_classes=classes))
