"""Index and search settings of a Milvus collection, by its size.

A cluster gets SCANN: partitions, compressed rows, and exact scores for the best candidates.
`milvus-lite` accepts the name SCANN but cannot build such an index (3.2.2 fails when the collection
is loaded again), so that a local file gets IVF_FLAT: the same partitions with uncompressed rows.
"""

import dataclasses
import math
from typing import Any

from fashion_jax.errors import FashionJaxError
from fashion_jax.similar_names import did_you_mean

CLUSTER_INDEX, LOCAL_INDEX = "SCANN", "IVF_FLAT"

# A cluster indexes each sealed segment by itself; by default a segment has at most 1 GiB.
SEGMENT_BYTES = 2**30
# Smaller collections search every partition, which is fast and exact.
PARTITIONED_FROM = 10_000
SHARE_OF_LISTS_SEARCHED = 0.2
# k-means warns below this number of rows per centre.
ROWS_PER_LIST = 39
MOST_LISTS = 65_536
REORDERED = 150
CANDIDATES_PER_NEIGHBOUR = 4


@dataclasses.dataclass(frozen=True)
class MilvusSettings:
    """Partitions of an index, and the share of them that a search visits.

    Attributes:
        index_type: `SCANN`, or `IVF_FLAT` for milvus-lite.
        nlist: number of partitions of each segment.
        nprobe: number of nearest partitions compared with a query.
        reorder: least number of candidates whose exact scores are computed; for SCANN only.
    """

    index_type: str = CLUSTER_INDEX
    nlist: int = 128
    nprobe: int = 26
    reorder: int = REORDERED

    def __post_init__(self) -> None:
        """Refuses settings that Milvus would refuse only after hours of inserting."""
        if self.index_type not in (CLUSTER_INDEX, LOCAL_INDEX):
            raise FashionJaxError(
                f"unknown index type {self.index_type!r}; choose {CLUSTER_INDEX} or {LOCAL_INDEX}"
                f"{did_you_mean(self.index_type, (CLUSTER_INDEX, LOCAL_INDEX))}"
            )
        if not 1 <= self.nlist <= MOST_LISTS:
            raise FashionJaxError(f"nlist is {self.nlist}; expected 1 to {MOST_LISTS}")
        if not 1 <= self.nprobe <= self.nlist:
            raise FashionJaxError(
                f"nprobe is {self.nprobe}; expected 1 to nlist, which is {self.nlist}"
            )
        if self.reorder < 1:
            raise FashionJaxError(f"reorder is {self.reorder}; expected at least 1")

    @classmethod
    def for_rows(cls, rows: int, dimensions: int, local: bool) -> "MilvusSettings":
        """Chooses settings by the size of a collection.

        Args:
            rows: number of rows of the whole collection.
            dimensions: length of an embedding.
            local: whether it is a local file of milvus-lite.
        """
        in_segment = rows if local else min(rows, SEGMENT_BYTES // (4 * dimensions))
        nlist = max(1, min(round(math.sqrt(in_segment)), in_segment // ROWS_PER_LIST, MOST_LISTS))
        searched = math.ceil(SHARE_OF_LISTS_SEARCHED * nlist)
        nprobe = nlist if rows < PARTITIONED_FROM else searched
        return cls(LOCAL_INDEX if local else CLUSTER_INDEX, nlist, nprobe)

    def to_build(self) -> dict[str, Any]:
        """Return the parameters of the index."""
        params: dict[str, Any] = {"nlist": self.nlist}
        if self.index_type == CLUSTER_INDEX:
            # Without raw data, scores would be those of the compressed rows.
            params["with_raw_data"] = True
        # pymilvus 3 sends each parameter by itself; milvus-lite 3.2 reads only `params`, the older
        # form, which servers still read.
        return {"params": params}

    def to_search(self, k: int, all_lists: bool) -> dict[str, Any]:
        """Return the parameters of a search for k rows, in `nprobe` or in all partitions."""
        params = {"nprobe": self.nlist if all_lists else self.nprobe}
        if self.index_type == CLUSTER_INDEX:
            params["reorder_k"] = max(self.reorder, CANDIDATES_PER_NEIGHBOUR * k)
        return {"metric_type": "IP", "params": params}
