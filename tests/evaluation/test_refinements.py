"""Refinements of embeddings in `evaluate`."""

import numpy as np
import pytest

from fashion_jax.cli import evaluate, make_parser
from fashion_jax.errors import FashionJaxError
from fashion_jax.evaluation.embedded import EmbeddedTest
from fashion_jax.evaluation.refinements import Refinements, refined_scores
from fashion_jax.retrieval.k_reciprocal import KReciprocalConfig
from fashion_jax.retrieval.query_expansion import augment_database, expand_queries
from fashion_jax.retrieval.rerank import Reranked
from fashion_jax.retrieval.whitening import Whitening
from tests.datasets.fakes import FakeSplit
from tests.retrieval.unit_vectors import clustered

QUERIES, GALLERY = clustered(6, 8, 5), clustered(40, 8, 5, seed=1)
ALL = np.arange(6)


def scores(refinements):
    return refined_scores(QUERIES, GALLERY, refinements).against(np.arange(40))(ALL)


def test_nothing_on_is_nothing():
    assert not Refinements()
    assert Refinements().words() == ""
    np.testing.assert_array_equal(scores(Refinements()), QUERIES @ GALLERY.T)


def test_they_work_in_their_order():
    chosen = KReciprocalConfig(5, 2)
    found = scores(
        Refinements(whiten=5, database_augmentation=2, query_expansion=3, alpha=1.0, rerank=chosen)
    )
    whitening = Whitening.fit(GALLERY, 5)
    gallery = augment_database(whitening.apply(GALLERY), 2, 1.0)
    queries = expand_queries(whitening.apply(QUERIES), gallery, 3, 1.0)
    np.testing.assert_array_equal(found, -Reranked(queries, gallery, chosen).distances(ALL))


def test_only_the_first_are_re_ranked():
    chosen = Refinements(rerank=KReciprocalConfig(), rerank_top=7)
    np.testing.assert_array_equal(scores(chosen), -Reranked(QUERIES, GALLERY).distances(ALL, 7))


def test_words_name_what_is_on():
    everything = Refinements(True, 64, 3, 5, 2.0, KReciprocalConfig(), 100)
    assert everything.words() == (
        "flip averaging, whitening to 64 dimensions, database augmentation (3 neighbours, α = 2), "
        "query expansion (5 neighbours, α = 2), "
        "re-ranking of the first 100 (k1 = 20, k2 = 6, λ = 0.3)"
    )


@pytest.mark.parametrize(
    "wrong",
    [{"whiten": -1}, {"alpha": -1.0}, {"rerank_top": 5}, {"query_expansion": -2}, {"alpha": 3.0}],
)
def test_settings_that_make_no_sense(wrong):
    with pytest.raises(FashionJaxError, match="got"):
        Refinements(**wrong)


def test_a_refinement_below_0_is_named():
    with pytest.raises(FashionJaxError, match="query_expansion is at least 0, got -2"):
        Refinements(query_expansion=-2)


def test_mirrored_embeddings_are_averaged_and_normalised():
    query, gallery = FakeSplit("query", 2), FakeSplit("gallery", 2)
    count = len(query)
    one = np.eye(count, 8, dtype=np.float32)
    other = np.roll(one, 1, axis=1)
    both = EmbeddedTest(query, gallery, one, one).averaged_with(
        EmbeddedTest(query, gallery, other, one)
    )
    np.testing.assert_allclose(both.queries_qd, (one + other) / np.sqrt(2), atol=1e-6)
    np.testing.assert_allclose(both.gallery_gd, one, atol=1e-6)


def test_a_photo_that_its_mirror_image_cancels_out_stays():
    query, gallery = FakeSplit("query", 2), FakeSplit("gallery", 2)
    one = clustered(len(query), 8, 2)
    both = EmbeddedTest(query, gallery, one, one).averaged_with(
        EmbeddedTest(query, gallery, -one, one)
    )
    np.testing.assert_array_equal(both.queries_qd, one)


@pytest.mark.parametrize(
    "chosen",
    [
        Refinements(),
        Refinements(True, 64, 3, 5, 2.5, KReciprocalConfig(7, 3, 0.0), 100),
        Refinements(rerank=KReciprocalConfig()),
    ],
)
def test_flags_switch_the_same_on(chosen):
    flags = make_parser().parse_args(["evaluate", "--workdir", "run", *chosen.flags()])
    assert evaluate._refinements(flags) == chosen


def test_re_ranked_distances_have_no_centroids():
    query, gallery = FakeSplit("query", 2), FakeSplit("gallery", 2)
    rows = clustered(len(gallery), 8, 2)
    test = EmbeddedTest(query, gallery, rows[: len(query)], rows)
    refined = refined_scores(test.queries_qd, rows, Refinements(rerank=KReciprocalConfig()))
    assert list(test.rank_all(refined)) == ["instance", "in_category", "item"]
    expanded = refined_scores(test.queries_qd, rows, Refinements(query_expansion=1))
    assert "centroid" in test.rank_all(expanded)
