"""One interface for all losses: names, order of arguments, `where`, `reduction`."""

import inspect
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fashion_jax import losses
from fashion_jax.config import MiningConfig
from fashion_jax.versions import enable_x64
from tests.losses.every_loss import CLASSES, LOSSES

PUBLIC = [name for name in losses.__all__ if name.endswith("_loss")]
SCORES = ("features", "logits", "cosines")
OPTIONS = {"domains", "memory", "mining"}, {"where_classes"}, set()
# Means over something else than rows.
NO_ROWS = {
    "batch_all": "a mean over triplets",
    "batch_all_soft_cosine": "a mean over triplets",
    "proxy_anchor": "a mean over proxies",
}
ROWS = [name for name in LOSSES if name not in NO_ROWS]
# Losses whose anchors `mining` can choose: a row's value is that of a batch with one anchor.
MINED = {
    "triplet": lambda x, y, **r: losses.batch_hard_triplet_loss(x, y, margin=0.3, **r),
    "triplet_soft": lambda x, y, **r: losses.batch_hard_triplet_loss(x, y, margin=None, **r),
    "quadruplet": lambda x, y, **r: losses.quadruplet_loss(
        x, y, margin=0.9, second_margin=0.7, **r
    ),
    "multi_similarity": lambda x, y, **r: losses.multi_similarity_loss(x, y, **r),
    "supervised_contrastive": lambda x, y, **r: losses.supervised_contrastive_loss(
        x, y, temperature=0.2, **r
    ),
    "circle": lambda x, y, **r: losses.circle_loss(x, y, margin=0.25, scale=16.0, **r),
}
ALONE = ("center", "label_smoothing", "arcface", "cosface", "proxy_nca", "sub_center_arcface")

RNG = np.random.default_rng(0)
IDENTITIES = np.array([3, 0, 1, 2, 1, 1, 0, 5, 4])  # identity 1 has a photo more than 0
WHERE = np.array([True] * 3 + [False] + [True] * 4 + [False])
FEATURES = RNG.normal(size=(9, 5))
KERNEL = RNG.normal(size=(5, CLASSES))


def arrays():
    return tuple(jnp.asarray(array) for array in (FEATURES, IDENTITIES, WHERE, KERNEL))


def test_every_loss_is_public_by_its_name():
    assert set(PUBLIC) == {
        "arcface_loss",
        "batch_all_triplet_loss",
        "batch_hard_triplet_loss",
        "center_loss",
        "centroid_triplet_loss",
        "circle_loss",
        "cosface_loss",
        "label_smoothed_cross_entropy_loss",
        "multi_similarity_loss",
        "proxy_anchor_loss",
        "proxy_nca_loss",
        "quadruplet_loss",
        "supervised_contrastive_loss",
    }
    assert all(hasattr(losses, name) for name in losses.__all__)


@pytest.mark.parametrize("name", PUBLIC)
def test_order_of_arguments(name):
    parameters = inspect.signature(getattr(losses, name)).parameters
    positional = [p.name for p in parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    keywords = [p.name for p in parameters.values() if p.kind is p.KEYWORD_ONLY]
    assert len(positional) + len(keywords) == len(parameters)
    assert positional[0] in SCORES
    assert positional[1:] == (["identities", "centers"] if "center_" in name else ["identities"])
    settings, (where, reduction, *options) = (
        keywords[: keywords.index("where")],
        keywords[keywords.index("where") :],
    )
    assert (where, reduction) == ("where", "reduction")
    assert set(options) in OPTIONS
    assert all(parameters[setting].default is not inspect.Parameter.empty for setting in settings)
    assert (parameters["where"].default, parameters["reduction"].default) == (None, "mean")


@pytest.mark.parametrize("name", PUBLIC)
def test_docstring_has_formula_example_and_reference(name):
    text = inspect.getdoc(getattr(losses, name))
    for part in ("Reference: ", "Examples:\n    >>> ", "Args:", "Returns:", "where: rows that"):
        assert part in text
    assert "arXiv" in text or "2016" in text


@pytest.mark.slow
@pytest.mark.parametrize("name", LOSSES)
def test_all_rows_count_by_default(name):
    features, identities, _, kernel = arrays()
    loss, _ = LOSSES[name]
    by_default = jax.jit(lambda: loss(features, identities, None, kernel))
    every = jax.jit(lambda: loss(features, identities, jnp.ones(len(identities), bool), kernel))
    np.testing.assert_array_equal(by_default(), every())


def rows_that_count(name: str) -> np.ndarray:
    """Rows that the mean goes over, by the losses' definitions."""
    count = Counter(IDENTITIES[WHERE].tolist())
    positive = WHERE & np.array([count[identity] > 1 for identity in IDENTITIES.tolist()])
    if "centroid" in name:  # the third photo of identity 1 has a round of its own
        earlier = [np.sum(IDENTITIES[:i] == y) for i, y in enumerate(IDENTITIES)]
        return positive & (np.array(earlier) < 2)
    return positive if name in ("circle", "supervised_contrastive") else WHERE


@pytest.mark.slow
@pytest.mark.parametrize("name", ROWS)
def test_none_averages_to_the_mean(name):
    loss, _ = LOSSES[name]
    counts = rows_that_count(name)
    assert counts.any()
    assert not counts.all()
    with enable_x64(True):
        mean = jax.jit(loss)(*arrays())
        rows = jax.jit(lambda *arguments: loss(*arguments, reduction="none"))(*arrays())
    assert rows.shape == (len(IDENTITIES),)
    np.testing.assert_array_equal(rows[~counts], 0)
    np.testing.assert_allclose(np.mean(np.asarray(rows)[counts]), mean, rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("name", MINED)
def test_a_rows_value_is_that_of_a_batch_with_this_anchor(name):
    street = MiningConfig(anchors="street")
    with enable_x64(True):
        features, identities, where, _ = arrays()
        rows = MINED[name](features, identities, where=where, reduction="none")
        alone = jax.jit(
            lambda row: MINED[name](
                features,
                identities,
                where=where,
                domains=(jnp.arange(len(identities)) != row).astype(jnp.int32),
                mining=street,
            )
        )
        expected = [alone(row) for row in range(len(IDENTITIES))]
    assert len(set(np.asarray(rows).tolist())) > 2
    np.testing.assert_allclose(rows, expected, rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("name", ALONE)
def test_a_rows_value_is_that_of_the_row_alone(name):
    loss, _ = LOSSES[name]
    with enable_x64(True):
        features, identities, where, kernel = arrays()
        rows = loss(features, identities, where, kernel, reduction="none")
        alone = jax.jit(
            lambda row: loss(features, identities, where & (jnp.arange(9) == row), kernel)
        )
        expected = [alone(row) for row in range(len(IDENTITIES))]
    assert len(set(np.asarray(rows).tolist())) > 2
    np.testing.assert_allclose(rows, expected, rtol=1e-12)


@pytest.mark.slow
def test_centroid_triplet_of_each_photo_by_hand():
    # Identity 0 at 0 and 2, identity 1 at 3 and 7 on a line. Round 0: queries 0 and 3, centroids
    # 2 and 7; round 1 the other way round. Each term is d(a, p) − d(a, n) + 0.5 where above 0.
    features, identities = jnp.array([[0.0], [2.0], [3.0], [7.0]]), jnp.array([0, 0, 1, 1])
    rows = losses.centroid_triplet_loss(features, identities, margin=0.5, reduction="none")
    query_0, centroid_2 = 2 - 3 + 0.5, 2 - 1 + 0.5
    query_3, centroid_7 = 4 - 1 + 0.5, 4 - 5 + 0.5
    query_2, centroid_0 = centroid_2, query_0
    query_7, centroid_3 = centroid_7, query_3
    terms = [(query_0, centroid_2), (query_2, centroid_0), (query_3, centroid_7)]
    expected = [np.maximum(pair, 0).mean() for pair in [*terms, (query_7, centroid_3)]]
    np.testing.assert_allclose(rows, expected, rtol=1e-6)


@pytest.mark.slow
def test_pairs_weights_are_the_means_weights():
    """A pair across domains counts three times; the values of rows stay as they are."""
    domains = jnp.array([0, 1, 1, 0, 1])
    features, identities = jnp.asarray(FEATURES[:5], jnp.float32), jnp.array([0, 0, 1, 2, 2])
    options = {"domains": domains, "mining": MiningConfig(cross_domain_weight=3.0)}
    mean = losses.batch_hard_triplet_loss(features, identities, margin=None, **options)
    rows = losses.batch_hard_triplet_loss(
        features, identities, margin=None, reduction="none", **options
    )
    weights = [3, 3, 1, 3, 3]  # row 2 is alone: its own positive, of its own domain
    np.testing.assert_allclose(np.average(rows, weights=weights), mean, rtol=1e-6)


@pytest.mark.parametrize("name", NO_ROWS)
def test_none_is_refused_where_rows_have_no_value(name):
    with pytest.raises(ValueError, match=NO_ROWS[name]):
        LOSSES[name][0](*arrays(), reduction="none")


@pytest.mark.slow
@pytest.mark.parametrize("name", LOSSES)
def test_an_unknown_reduction_is_refused(name):
    with pytest.raises(ValueError, match=r"reduction is 'sum'.*\"mean\" or \"none\""):
        LOSSES[name][0](*arrays(), reduction="sum")


@pytest.mark.parametrize("name", [name for name in PUBLIC if "plet" in name])
def test_an_unknown_distance_is_refused(name):
    features, identities, where, _ = arrays()
    with pytest.raises(ValueError, match=r"distance is 'manhattan'.*'cosine'"):
        getattr(losses, name)(features, identities, where=where, distance="manhattan")
