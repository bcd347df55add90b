import numpy as np
import pytest

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


def test_any_number_of_queries_runs_through_few_programs():
    index = ExactIndex(clustered(101, 9, 20), query_block=64)
    before = exact._search._cache_size()
    for count in range(1, 200, 3):
        index.search(clustered(count, 9, 20), 4)
    assert exact._search._cache_size() - before <= 7


def test_never_holds_all_scores():
    index = ExactIndex(clustered(5000, 8, 20), block_size=100, query_block=64)
    arguments = np.zeros((64, 8), np.float32), index._gallery_gd
    lowered = exact._search.lower(*map(exact.jnp.asarray, arguments), 10, 100)
    floats = lowered.compile().memory_analysis().temp_size_in_bytes / 4
    assert floats < 64 * 5000 / 4
