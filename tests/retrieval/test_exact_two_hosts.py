"""Two processes divide a gallery and find what one finds."""

import numpy as np
import pytest

from fashion_jax.retrieval.exact import ExactIndex
from tests.processes import run_hosts
from tests.retrieval.unit_vectors import clustered

SEARCH = """
import sys
import jax, numpy as np
from jax.sharding import AxisType
from fashion_jax.parallel.joining import join_job
from fashion_jax.retrieval.exact import ExactIndex
join_job()
mesh = jax.make_mesh((4,), ("data",), (AxisType.Auto,))
folder = sys.argv[1]
index = ExactIndex(np.load(f"{folder}/gallery.npy", mmap_mode="r"), block_size=7, mesh=mesh)
found, lowest = index.search_with_lowest(np.load(f"{folder}/queries.npy"), 9)
own = [shard.data.shape for shard in index._gallery_gd.addressable_shards]
assert own == [(26, 8)] * 2, own
np.savez(f"{folder}/{jax.process_index()}.npz", rows=found.rows, lowest=lowest)
"""


@pytest.mark.slow
def test_two_hosts_find_what_one_finds(tmp_path):
    gallery, queries = clustered(101, 8, 20), clustered(5, 8, 20, seed=1)
    np.save(tmp_path / "gallery.npy", gallery)
    np.save(tmp_path / "queries.npy", queries)
    run_hosts(2, 4, SEARCH, str(tmp_path))
    expected, lowest = ExactIndex(gallery).search_with_lowest(queries, 9)
    for host in range(2):
        with np.load(tmp_path / f"{host}.npz") as found:
            np.testing.assert_array_equal(found["rows"], expected.rows)
            np.testing.assert_allclose(found["lowest"], lowest, atol=1e-6)
