"""Re-ranking against golden numbers, and against the paper's formulas written with sets."""

import math

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.dense_reranking import dense_reranking
from fashion_jax.errors import FashionJaxError
from fashion_jax.metrics import scores as scores_module
from fashion_jax.metrics.labels import Labels, MetricsError
from fashion_jax.metrics.ranking import rank
from fashion_jax.metrics.scores import RerankedScores
from fashion_jax.retrieval import rerank as rerank_module
from fashion_jax.retrieval.exact import ExactIndex
from fashion_jax.retrieval.index import EmbeddingError, Neighbours
from fashion_jax.retrieval.k_reciprocal import KReciprocalConfig
from fashion_jax.retrieval.memory import available_memory
from fashion_jax.retrieval.rerank import Reranked, memory_need, rerank
from fashion_jax.retrieval.scann_index import ScannIndex
from tests.retrieval.unit_vectors import clustered


@pytest.fixture(scope="module")
def golden(shared):
    with np.load(shared / "goldens" / "reranking.npz") as stored:
        return dict(stored)


def of_golden(golden):
    k1, k2, weight = (golden[name] for name in ("k1", "k2", "lambda_value"))
    chosen = KReciprocalConfig(int(k1), int(k2), float(weight))
    return Reranked(golden["query_features"], golden["gallery_features"], chosen)


def test_golden_distances(golden):
    """The golden numbers were summed up in float16, which moves three of 19,200 by 2.3e-3 or more.

    So the dense algorithm, which gives the golden numbers to the last digit in float16, is run in
    float32 as well; ours has to agree with that far more closely.
    """
    photos = golden["query_features"], golden["gallery_features"]
    half = dense_reranking(*photos)
    np.testing.assert_allclose(half, golden["distances"], atol=1e-6)
    distances = of_golden(golden).distances(np.arange(80))
    np.testing.assert_allclose(distances, dense_reranking(*photos, dtype=np.float32), atol=1e-5)
    apart = np.abs(distances - golden["distances"])
    assert np.mean(apart) < 3e-4
    assert np.mean(apart < 2e-3) > 0.9998


def test_golden_map(golden):
    queries, gallery = Labels(golden["query_ids"]), Labels(golden["gallery_ids"])
    found = rank(RerankedScores(of_golden(golden)), queries, gallery)
    assert found.metrics()["instance/mAP"] == pytest.approx(float(golden["map_after"]), abs=1e-3)


def with_sets(all_nd, queries, chosen):
    """The paper's formulas, photo by photo, for embeddings without ties."""
    count = len(all_nd)
    squared = np.array([[np.sum((a - b) ** 2) for b in all_nd] for a in all_nd], dtype=np.float64)
    squared /= squared.max(axis=1, keepdims=True)
    order = np.argsort(squared, axis=1, kind="stable")

    def neighbours(i, k):
        return set(order[i, : k + 1].tolist())

    def reciprocal(i, k):
        return {j for j in neighbours(i, k) if i in neighbours(j, k)}

    def encoding(i):
        near = reciprocal(i, chosen.k1)
        expanded = set(near)
        for candidate in near:
            half = reciprocal(candidate, chosen.half)
            if 3 * len(half & near) > 2 * len(half):
                expanded |= half
        weights = {j: math.exp(-squared[i, j]) for j in expanded}
        return {j: weight / sum(weights.values()) for j, weight in weights.items()}

    single = [encoding(i) for i in range(count)]
    mean = []
    for i in range(count):
        nearest = order[i, : chosen.k2]
        mean.append(
            {j: sum(single[n].get(j, 0) for n in nearest) / len(nearest) for j in range(count)}
        )
    final = np.empty((queries, count - queries))
    for i in range(queries):
        for g in range(queries, count):
            least = sum(min(mean[i][j], mean[g][j]) for j in range(count))
            most = sum(max(mean[i][j], mean[g][j]) for j in range(count))
            jaccard = 1 - least / most
            weight = chosen.original_weight
            final[i, g - queries] = (1 - weight) * jaccard + weight * squared[i, g]
    return final


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(1, 6),
    st.integers(1, 20),
    st.sampled_from(
        [
            KReciprocalConfig(),
            KReciprocalConfig(1, 1),
            KReciprocalConfig(3, 2, 0.5),
            KReciprocalConfig(7, 8, 0.0),
        ]
    ),
    st.integers(1, 60),
)
def test_against_the_formulas(seed, queries, gallery, chosen, at_once):
    all_nd = clustered(queries + gallery, 6, 4, seed=seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rerank_module, "_MEETINGS_AT_ONCE", at_once)
        patch.setattr(rerank_module, "_SEARCHED_AT_ONCE", 5)
        reranked = Reranked(all_nd[:queries], all_nd[queries:], chosen)
        found = reranked.distances(np.arange(queries))
    np.testing.assert_allclose(found, with_sets(all_nd, queries, chosen), atol=1e-4)


def test_copies_and_a_single_photo_are_finite():
    one = np.array([[1.0, 0.0]], dtype=np.float32)
    assert np.isfinite(Reranked(one, one).distances(np.array([0]))).all()
    alike = np.repeat(one, 40, axis=0)
    distances = Reranked(alike[:3], alike).distances(np.arange(3))
    assert np.isfinite(distances).all()
    assert (distances >= 0).all()


@pytest.mark.parametrize(("dimensions", "seed"), [(8, 3), (64, 3), (512, 1), (512, 4)])
def test_a_collapsed_network_s_rounding_errors_are_no_distances(dimensions, seed):
    row = np.random.default_rng(seed).normal(size=dimensions)
    alike = np.repeat((row / np.linalg.norm(row)).astype(np.float32)[None], 60, axis=0)
    distances = Reranked(alike[:5], alike[5:]).distances(np.arange(5))
    assert (distances >= -1e-6).all()
    assert (distances < 0.05).all()


def test_of_copies_the_first_are_among_the_top():
    query, copy, other = np.array([[1, 0, 0], [0.6, 0.8, 0], [0, 0, 1]], dtype=np.float32)
    gallery = np.stack([other, *[copy] * 500, *[query] * 3])
    distances = Reranked(query[None], gallery).distances(np.array([0]), top=7)
    np.testing.assert_array_equal(np.flatnonzero(distances[0] < 1), [1, 2, 3, 4, 501, 502, 503])


class Forgetful:
    """An index that finds every photo but the one that is asked for."""

    def __init__(self, all_nd):
        self.index, self.dimensions, self.asked = ExactIndex(all_nd), all_nd.shape[1], 0

    def __len__(self):
        return len(self.index)

    def search(self, queries, k):
        found = self.index.search(queries, k + 1)
        itself = np.arange(self.asked, self.asked + len(queries))[:, None]
        self.asked += len(queries)
        order = np.argsort(found.rows == itself, axis=1, kind="stable")[:, :k]
        pick = [np.take_along_axis(each, order, axis=1) for each in (found.rows, found.scores)]
        return Neighbours(*pick)


def test_every_photo_is_its_own_neighbour_whatever_the_index_finds():
    all_nd = clustered(60, 8, 6)
    reranked = Reranked(all_nd[:50], all_nd[50:], KReciprocalConfig(2, 2), index=Forgetful(all_nd))
    sums = reranked._encoded_queries.sum(axis=1)
    np.testing.assert_allclose(sums, 1, atol=1e-5)


def test_an_index_of_the_gallery_alone_is_refused():
    all_nd = clustered(60, 8, 6)
    with pytest.raises(EmbeddingError, match="together, of 60 rows; found 55"):
        Reranked(all_nd[:5], all_nd[5:], index=ExactIndex(all_nd[5:]))


def test_nothing_asked_for_is_refused():
    all_nd = clustered(20, 8, 6)
    reranked = Reranked(all_nd[:5], all_nd[5:])
    with pytest.raises(FashionJaxError, match="got top = 0"):
        reranked.distances(np.arange(5), top=0)
    with pytest.raises(EmbeddingError, match="at least 1 neighbour"):
        reranked.search(0)


def test_top_leaves_the_others_behind_in_their_old_order():
    all_nd = clustered(60, 8, 6)
    reranked = Reranked(all_nd[:5], all_nd[5:])
    whole, top = reranked.distances(np.arange(5)), reranked.distances(np.arange(5), top=10)
    old = np.argsort(-(all_nd[:5] @ all_nd[5:].T), axis=1, kind="stable")
    np.testing.assert_array_equal(np.argsort(top, axis=1, kind="stable")[:, 10:], old[:, 10:])
    first = old[:, :10]
    np.testing.assert_array_equal(
        np.take_along_axis(top, first, 1), np.take_along_axis(whole, first, 1)
    )
    np.testing.assert_array_equal(reranked.distances(np.arange(5), top=55), whole)


def test_search_is_the_order_of_the_distances():
    all_nd = clustered(60, 8, 6)
    reranked = Reranked(all_nd[:5], all_nd[5:])
    found = reranked.search(7, block=2)
    distances = reranked.distances(np.arange(5))
    order = np.argsort(distances, axis=1, kind="stable")[:, :7]
    np.testing.assert_array_equal(found.rows, order)
    np.testing.assert_allclose(found.scores, -np.take_along_axis(distances, order, 1), atol=1e-6)


def test_rerank_is_the_search_of_re_ranked_photos():
    all_nd = clustered(60, 8, 6)
    config = KReciprocalConfig(5, 2)
    found = rerank(jnp.asarray(all_nd[:5]), jnp.asarray(all_nd[5:]), 7, config, top=10)
    expected = Reranked(all_nd[:5], all_nd[5:], config).search(7, top=10)
    np.testing.assert_array_equal(found.rows, expected.rows)
    np.testing.assert_array_equal(found.scores, expected.scores)


def test_distances_are_those_of_all_queries_unless_some_are_named():
    all_nd = clustered(60, 8, 6)
    reranked = Reranked(all_nd[:5], all_nd[5:])
    np.testing.assert_array_equal(reranked.distances(), reranked.distances(np.arange(5)))


@pytest.mark.scann
def test_an_index_finds_the_neighbours():
    all_nd = clustered(300, 16, 12)
    expected = Reranked(all_nd[:20], all_nd[20:]).distances(np.arange(20))
    given_exact = Reranked(all_nd[:20], all_nd[20:], index=ExactIndex(all_nd))
    np.testing.assert_array_equal(given_exact.distances(np.arange(20)), expected)
    scann = Reranked(all_nd[:20], all_nd[20:], index=ScannIndex.build(all_nd))
    # So few rows are compared with exactly, and the sample has all of them.
    np.testing.assert_allclose(scann.distances(np.arange(20)), expected, atol=1e-4)


def test_scores_of_some_gallery_rows_in_their_order():
    all_nd = clustered(60, 8, 6)
    reranked = Reranked(all_nd[:5], all_nd[5:])
    some = np.array([40, 3, 11])
    found = RerankedScores(reranked).against(some)(np.array([4, 1]))
    np.testing.assert_array_equal(found, -reranked.distances(np.array([4, 1]))[:, some])
    with pytest.raises(MetricsError, match="means of embeddings"):
        RerankedScores(reranked).centroids(some, np.array([0]))


def test_scores_of_few_rows_are_made_for_few_queries_at_a_time(monkeypatch):
    all_nd = clustered(60, 8, 6)
    reranked = Reranked(all_nd[:20], all_nd[20:])
    whole = reranked.distances(np.arange(20))
    asked, distances = [], reranked.distances
    monkeypatch.setattr(scores_module, "_DISTANCES_AT_ONCE", 3 * 40 + 1)
    monkeypatch.setattr(
        reranked, "distances", lambda q, top: asked.append(len(q)) or distances(q, top)
    )
    found = RerankedScores(reranked).against(np.array([7, 2]))(np.arange(20))
    np.testing.assert_allclose(found, -whole[:, [7, 2]], atol=1e-6)
    assert asked == [3] * 6 + [2]


def test_what_cannot_fit_is_refused_before_it_begins(monkeypatch):
    monkeypatch.setattr("fashion_jax.retrieval.memory.available_memory", lambda: 2**20)
    queries = clustered(5, 8, 6)
    with pytest.raises(FashionJaxError, match=r"re-ranking of 10 photos .* 0\.0 GiB are available"):
        Reranked(queries, queries)


def test_the_need_grows_with_the_photos_and_not_with_their_square():
    chosen = KReciprocalConfig()
    fixed = memory_need(0, 512, chosen)
    one, four = (memory_need(count, 512, chosen) - fixed for count in (100_000, 400_000))
    assert four == 4 * one
    assert memory_need(100_000, 512, chosen) < 6 * 2**30
    assert 2**20 < available_memory() < 2**50


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ((0, 1), "k1 of at least 1"),
        ((5, 7), "k2 from 1 to k1"),
        ((5, 0), "k2 from 1 to k1"),
        ((5, 2, 1.5), "original_weight between 0 and 1, got 1.5"),
    ],
)
def test_settings_that_make_no_sense(wrong, message):
    with pytest.raises(FashionJaxError, match=message):
        KReciprocalConfig(*wrong)
