"""How a collection is indexed and searched in Milvus, by its size.

A cluster gets SCANN: partitions, compressed rows, and candidates compared again with their exact
rows. `milvus-lite` accepts the name SCANN but cannot build such an index (3.2.2 then fails when
the collection is loaded again), so a local file gets IVF_FLAT: the same partitions, rows whole.
"""

import dataclasses
import math
from typing import Any

from fashion_jax.errors import FashionJaxError

CLUSTER_INDEX, LOCAL_INDEX = "SCANN", "IVF_FLAT"

# A cluster indexes each sealed segment on its own; by default one holds at most 1 GiB.
SEGMENT_BYTES = 2**30
# Below, every partition is searched: it is fast, and finds everything.
PARTITIONED_FROM = 10_000
SHARE_OF_LISTS_SEARCHED = 0.2
# k-means wants so many rows a center, or it warns.
ROWS_PER_LIST = 39
MOST_LISTS = 65_536
REORDERED = 150
CANDIDATES_PER_NEIGHBOUR = 4


@dataclasses.dataclass(frozen=True)
class MilvusSettings:
    """How rows are partitioned and searched.

    Attributes:
        index_type: `SCANN`, or `IVF_FLAT` where there is no SCANN.
        nlist: partitions of each segment.
        nprobe: nearest partitions that a query is compared with.
        reorder: candidates whose exact scores are computed, at least; only of SCANN.
    """

    index_type: str = CLUSTER_INDEX
    nlist: int = 128
    nprobe: int = 26
    reorder: int = REORDERED

    def __post_init__(self) -> None:
        """Refuses what Milvus would refuse only after hours of inserting."""
        if self.index_type not in (CLUSTER_INDEX, LOCAL_INDEX):
            raise FashionJaxError(
                f"there is no index of type {self.index_type!r} here, only {CLUSTER_INDEX} and "
                f"{LOCAL_INDEX}"
            )
        if not 1 <= self.nlist <= MOST_LISTS:
            raise FashionJaxError(f"nlist is {self.nlist}; it must lie between 1 and {MOST_LISTS}")
        if not 1 <= self.nprobe <= self.nlist:
            raise FashionJaxError(
                f"nprobe is {self.nprobe}; it must lie between 1 and nlist, which is {self.nlist}"
            )
        if self.reorder < 1:
            raise FashionJaxError(f"reorder is {self.reorder}; it must be at least 1")

    @classmethod
    def for_rows(cls, rows: int, dimensions: int, local: bool) -> "MilvusSettings":
        """Settings for a collection's size.

        Args:
            rows: of the whole collection.
            dimensions: of an embedding.
            local: whether it is milvus-lite's.
        """
        in_segment = rows if local else min(rows, SEGMENT_BYTES // (4 * dimensions))
        nlist = max(1, min(round(math.sqrt(in_segment)), in_segment // ROWS_PER_LIST, MOST_LISTS))
        searched = math.ceil(SHARE_OF_LISTS_SEARCHED * nlist)
        nprobe = nlist if rows < PARTITIONED_FROM else searched
        return cls(LOCAL_INDEX if local else CLUSTER_INDEX, nlist, nprobe)

    def to_build(self) -> dict[str, Any]:
        """Parameters to build the index with."""
        params: dict[str, Any] = {"nlist": self.nlist}
        if self.index_type == CLUSTER_INDEX:
            # Without raw data the scores would be those of the compressed rows.
            params["with_raw_data"] = True
        # pymilvus 3 sends each parameter on its own; milvus-lite 3.2 reads only `params`, the
        # older way that servers read, too.
        return {"params": params}

    def to_search(self, k: int, all_lists: bool) -> dict[str, Any]:
        """Parameters of a search for k rows, in all partitions or the usual share of them."""
        params = {"nprobe": self.nlist if all_lists else self.nprobe}
        if self.index_type == CLUSTER_INDEX:
            params["reorder_k"] = max(self.reorder, CANDIDATES_PER_NEIGHBOUR * k)
        return {"metric_type": "IP", "params": params}
