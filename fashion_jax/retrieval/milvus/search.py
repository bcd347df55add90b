"""Complete searches: in batches, repeated in all partitions for queries with too few answers."""

from typing import Any

import numpy as np
from jaxtyping import Float32

from fashion_jax.retrieval.index import Neighbours
from fashion_jax.retrieval.milvus.rows import EMBEDDING
from fashion_jax.retrieval.milvus.server import MilvusConnection
from fashion_jax.retrieval.milvus.settings import MilvusSettings

# Servers refuse answers above 100 MiB and batches above 16,384 queries.
_BATCH_ANSWERS = 2**20
_BATCH_QUERIES = 1024


def search_batches(
    connection: MilvusConnection,
    name: str,
    settings: MilvusSettings,
    queries_qd: Float32[np.ndarray, "queries dimensions"],
    k: int,
    where: str,
) -> Neighbours | None:
    """Find exactly k rows for each query.

    Args:
        connection: connection to the server.
        name: internal name of the collection.
        settings: settings of the index.
        queries_qd: checked queries.
        k: number of neighbours, at most the number of rows.
        where: filter; empty for none.

    Returns:
        The neighbours, or `None` if all partitions together hold fewer for some query.

    Raises:
        MilvusError: Milvus fails.
    """
    rows = np.empty((len(queries_qd), k), np.int32)
    scores = np.empty((len(queries_qd), k), np.float32)
    step = max(1, min(_BATCH_QUERIES, _BATCH_ANSWERS // max(k, 1)))
    for start in range(0, len(queries_qd) if k else 0, step):
        open_queries = np.arange(start, min(start + step, len(queries_qd)))
        for all_lists in (False, True):
            params = settings.to_search(k, all_lists)
            hits = _ask(connection, name, queries_qd[open_queries], k, where, params)
            full = np.array([len(hit.ids) == k for hit in hits])
            for query, hit in zip(open_queries[full], np.flatnonzero(full), strict=True):
                rows[query], scores[query] = hits[hit].ids, hits[hit].distances
            open_queries = open_queries[~full]
            if not len(open_queries):
                break
        else:
            return None
    return Neighbours(rows=rows, scores=scores)


def _ask(
    connection: MilvusConnection,
    name: str,
    queries_qd: np.ndarray,
    k: int,
    where: str,
    params: dict[str, Any],
) -> Any:
    with connection.errors("search"):
        return connection.client.search(
            name,
            data=list(queries_qd),
            filter=where,
            limit=k,
            anns_field=EMBEDDING,
            output_fields=[],
            search_params=params,
            timeout=connection.place.timeout,
        )
