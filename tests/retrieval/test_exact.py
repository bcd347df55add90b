import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.sharding import AxisType

from fashion_jax.retrieval import exact
from fashion_jax.retrieval.exact import ExactIndex
from tests.retrieval.unit_vectors import clustered


@pytest.mark.parametrize("block_size", [1, 7, 50, 99, 100, 101, 1000])
@pytest.mark.parametrize("query_block", [1, 3, 64])
def test_blocks_change_nothing(block_size, query_block):
    gallery, queries = clustered(100, 8, 20), clustered(5, 8, 20, seed=1)
    found = ExactIndex(gallery, block_size, query_block).search(queries, 30)
    expected = np.argsort(-(queries @ gallery.T), axis=1, kind="stable")[:, :30]
    np.testing.assert_array_equal(found.rows, expected)


@pytest.mark.parametrize("order", ["as they are", "the best first", "the best last"])
@pytest.mark.parametrize("k", [1, 30, 100])
def test_large_blocks_whatever_the_order(order, k):
    """Blocks of 128 chunks, a part of which are looked into; every row is there three times."""
    gallery = np.tile(clustered(4000, 8, 400), (3, 1))
    queries = clustered(20, 8, 400, seed=1)
    if order != "as they are":
        by_score = np.argsort(gallery @ queries[0])
        gallery = gallery[by_score if order == "the best last" else by_score[::-1]]
    found = ExactIndex(gallery, block_size=4096).search(queries, k)
    scores = queries @ gallery.T
    np.testing.assert_allclose(found.scores, -np.sort(-scores, axis=1)[:, :k], atol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(scores, found.rows, 1), found.scores, atol=1e-6)
    tied = found.scores[:, 1:] == found.scores[:, :-1]
    assert tied.any() or k == 1
    assert np.all(found.rows[:, 1:][tied] > found.rows[:, :-1][tied])
    assert all(len(set(each)) == k for each in found.rows)


@pytest.mark.slow
def test_any_number_of_queries_runs_through_few_programs():
    index = ExactIndex(clustered(101, 9, 20), query_block=64)
    before = exact._search._cache_size()
    for count in range(1, 200, 3):
        index.search(clustered(count, 9, 20), 4)
    assert exact._search._cache_size() - before <= 10  # 1, 2, 4 … 64, and 40, 48, 56


def test_never_holds_all_scores():
    index = ExactIndex(clustered(5000, 8, 20), block_size=100, query_block=64)
    queries = exact.jnp.zeros((64, 8), np.float32)
    lowered = exact._search.lower(queries, index._gallery_gd, 0, 10, 100, index._mesh, True)
    floats = lowered.compile().memory_analysis().temp_size_in_bytes / 4
    assert floats < 64 * 5000 / 4


def mesh_of(*shape):
    axes = ("data", "model")[: len(shape)]
    kinds = (AxisType.Auto,) * len(shape)
    devices = jax.devices()[: int(np.prod(shape))]
    return jax.make_mesh(shape, axes, kinds, devices=devices)


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(
    st.integers(1, 70),
    st.integers(1, 5),
    st.integers(1, 80),
    st.integers(1, 20),
    st.sampled_from([(1,), (3,), (8,), (4, 2)]),
)
def test_a_divided_gallery_with_ties(rows, queries, k, block_size, shape):
    """Rows are unit axes, so that most scores tie; some devices may have no row at all."""
    rng = np.random.default_rng(rows * 100 + k)
    gallery = np.eye(4, dtype=np.float32)[rng.integers(0, 4, rows)]
    asked = np.eye(4, dtype=np.float32)[rng.integers(0, 4, queries)]
    index = ExactIndex(gallery, block_size, 4, mesh_of(*shape))
    found, lowest = index.search_with_lowest(asked, k)
    scores = asked @ gallery.T
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(found.rows, order)
    np.testing.assert_array_equal(found.scores, np.take_along_axis(scores, order, axis=1))
    np.testing.assert_array_equal(lowest, scores.min(axis=1))


def test_each_device_has_its_share_of_the_gallery():
    index = ExactIndex(clustered(100, 8, 20), mesh=mesh_of(8))
    shards = index._gallery_gd.addressable_shards
    assert {shard.data.shape for shard in shards} == {(13, 8)}
    assert len({shard.device for shard in shards}) == 8
