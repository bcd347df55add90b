"""One protocol, one set of tests, every index."""

import functools

import jax.numpy as jnp
import numpy as np
import pytest

from fashion_jax.retrieval.exact import ExactIndex
from fashion_jax.retrieval.index import EmbeddingError, Index
from fashion_jax.retrieval.milvus.settings import MilvusSettings
from fashion_jax.retrieval.scann_index import ScannIndex, ScannSettings
from tests.retrieval.milvus_lite import build_milvus, close_all
from tests.retrieval.unit_vectors import clustered, unit

ROWS, DIMENSIONS = 600, 24

BUILDERS = {
    "exact": ExactIndex,
    "exact_blocks": functools.partial(ExactIndex, block_size=37, query_block=8),
    "scann_small": functools.partial(ScannIndex.build, settings=ScannSettings(hashed=False)),
    "scann_hashed": functools.partial(ScannIndex.build, settings=ScannSettings()),
    "scann_partitioned": functools.partial(
        ScannIndex.build, settings=ScannSettings(leaves=12, leaves_to_search=8)
    ),
    "milvus_small": build_milvus,
    "milvus_partitioned": functools.partial(
        build_milvus, settings=MilvusSettings("IVF_FLAT", nlist=12, nprobe=8)
    ),
}
# These compare every row exactly, with a gallery of any size.
EXACT_BUILDERS = {name: BUILDERS[name] for name in ("exact", "exact_blocks")} | {
    "scann_by_size": ScannIndex.build,
    "milvus_by_size": build_milvus,
}


@pytest.fixture(scope="module", autouse=True)
def closed_at_last():
    yield
    close_all()


@pytest.fixture(scope="module")
def gallery():
    return clustered(ROWS, DIMENSIONS, clusters=40)


@pytest.fixture(scope="module")
def queries():
    return clustered(50, DIMENSIONS, clusters=40, seed=1)


@pytest.fixture(scope="module", params=BUILDERS)
def index(request, gallery):
    return BUILDERS[request.param](gallery)


def sorted_rows(queries, gallery, k):
    scores = queries @ gallery.T
    return np.argsort(-scores, axis=1, kind="stable")[:, :k], scores


class TestEveryIndex:
    def test_is_an_index(self, index):
        assert isinstance(index, Index)
        assert len(index) == ROWS
        assert index.dimensions == DIMENSIONS

    def test_finds_the_nearest(self, index, queries, gallery):
        found = index.search(queries, 10)
        expected, _ = sorted_rows(queries, gallery, 10)
        hits = [len(set(a) & set(b)) for a, b in zip(found.rows, expected, strict=True)]
        assert np.mean(hits) / 10 >= 0.95

    def test_scores_are_cosines_of_the_rows_best_first(self, index, queries, gallery):
        found = index.search(queries, 10)
        cosines = np.take_along_axis(queries @ gallery.T, found.rows, axis=1)
        np.testing.assert_allclose(found.scores, cosines, atol=1e-5)
        assert (np.diff(found.scores, axis=1) <= 0).all()

    def test_a_row_finds_itself(self, index, gallery):
        found = index.search(gallery[:20], 1)
        assert found.rows[:, 0].tolist() == list(range(20))
        np.testing.assert_allclose(found.scores, 1.0, atol=1e-5)

    @pytest.mark.parametrize("k", [1, 160, ROWS - 1, ROWS])
    def test_any_k_gives_k_distinct_rows(self, index, queries, k):
        found = index.search(queries[:3], k)
        assert found.rows.shape == found.scores.shape == (3, k)
        assert all(len(set(rows)) == k for rows in found.rows)
        assert np.isfinite(found.scores).all()

    def test_all_rows_are_the_exact_ranking(self, index, queries, gallery):
        found = index.search(queries[:3], ROWS)
        expected, scores = sorted_rows(queries[:3], gallery, ROWS)
        np.testing.assert_allclose(
            found.scores, np.take_along_axis(scores, expected, axis=1), atol=1e-5
        )

    def test_k_beyond_the_gallery_is_all_of_it(self, index, queries):
        assert index.search(queries[:2], ROWS + 7).rows.shape == (2, ROWS)

    def test_no_queries_no_neighbours(self, index):
        assert index.search(np.empty((0, DIMENSIONS), np.float32), 5).rows.shape == (0, 5)

    def test_many_queries_are_answered_as_one(self, index, queries):
        many = index.search(np.tile(queries, (6, 1)), 5)
        for repeat in range(6):
            part = slice(50 * repeat, 50 * (repeat + 1))
            np.testing.assert_array_equal(many.rows[part], many.rows[:50])
        one = index.search(queries[:1], 5)
        np.testing.assert_array_equal(one.rows[0], many.rows[0])

    def test_jax_and_half_precision_queries_are_accepted(self, index, queries):
        half = jnp.asarray(queries, dtype=jnp.bfloat16)
        found = index.search(half, 3)
        expected = index.search(np.asarray(half, dtype=np.float32), 3)
        np.testing.assert_array_equal(found.rows, expected.rows)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda q: q[:, :-1], "have 23 dimensions; expected 24"),
            (lambda q: q[0], r"have shape \(24,\)"),
            (lambda q: (100 * q).astype(np.int32), "have dtype int32"),
            (lambda q: q * 2.0, r"50 of 50 queries are not L2-normalised \(lengths 2, "),
            (lambda q: np.where(np.arange(50)[:, None] == 7, np.nan, q), "1 of 50.*rows 7"),
            (lambda q: np.where(np.arange(50)[:, None] == 8, np.inf, q), "1 of 50.*rows 8"),
            (lambda q: np.where(np.arange(50)[:, None] == 9, 0.0, q), "lengths 0.*rows 9"),
        ],
    )
    def test_wrong_queries_are_refused(self, index, queries, change, message):
        with pytest.raises(EmbeddingError, match=message):
            index.search(change(queries), 5)

    @pytest.mark.parametrize("k", [0, -1])
    def test_k_below_1_is_refused(self, index, queries, k):
        with pytest.raises(EmbeddingError, match=f"k = {k}"):
            index.search(queries, k)


@pytest.mark.parametrize("build", EXACT_BUILDERS.values(), ids=EXACT_BUILDERS)
class TestEveryGallery:
    @pytest.mark.parametrize("rows", [1, 2, 15, 16, 17])
    def test_small_galleries(self, build, rows, queries):
        gallery = clustered(rows, DIMENSIONS, clusters=40, seed=2)
        found = build(gallery).search(queries, 5)
        expected, _ = sorted_rows(queries, gallery, 5)
        np.testing.assert_array_equal(found.rows, expected)

    @pytest.mark.parametrize("dimensions", [1, 3])
    def test_narrow_embeddings(self, build, dimensions):
        gallery = unit(np.random.default_rng(0).normal(size=(40, dimensions)))
        found = build(gallery).search(gallery[:4], 40)
        expected, _ = sorted_rows(gallery[:4], gallery, 40)
        np.testing.assert_allclose(found.rows[:, :1], expected[:, :1])

    def test_equal_rows_are_ranked_by_row(self, build):
        # Scores of 1, 0 and -1, each many times over, and in every block.
        gallery = np.array([[1, 0], [0, 1], [-1, 0], [1, 0]] * 30, dtype=np.float32)
        found = build(gallery).search(np.array([[1.0, 0.0]]), 120)
        expected = np.argsort(-gallery[:, 0], kind="stable")
        np.testing.assert_array_equal(found.rows[0], expected)

    @pytest.mark.parametrize(
        ("value", "message"), [(np.nan, "rows 3, 5"), (0.0, "not L2-normalised.*rows 3, 5")]
    )
    def test_wrong_rows_are_named(self, build, gallery, value, message):
        wrong = gallery.copy()
        wrong[[3, 5]] = value
        with pytest.raises(EmbeddingError, match=message):
            build(wrong)

    def test_an_empty_gallery_is_refused(self, build):
        with pytest.raises(EmbeddingError, match="gallery is empty"):
            build(np.empty((0, DIMENSIONS), np.float32))
