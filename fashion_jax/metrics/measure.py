"""Retrieval metrics from embeddings and identities alone."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from fashion_jax.metrics.confidence import Interval
from fashion_jax.metrics.labels import Labels, MetricsError
from fashion_jax.metrics.query_metrics import ACCURACY_RANKS
from fashion_jax.metrics.ranking import Ranking, rank_embeddings
from fashion_jax.retrieval.index import check_embeddings


class RetrievalMetrics(Mapping[str, float]):
    """Metrics by name, such as `instance/mAP`: a read-only mapping.

    Attributes:
        rankings: per-query ranking results by protocol, with ranks, reasons why queries were
            skipped, CMC curves and metrics per category and domain.
    """

    def __init__(self, rankings: Mapping[str, Ranking], depths: Sequence[int]) -> None:
        """Compute the metrics; see `Ranking.metrics`."""
        self.rankings = rankings
        self._depths = tuple(depths)
        self._values: dict[str, float] = {}
        for ranking in rankings.values():
            self._values |= ranking.metrics(self._depths)

    def __getitem__(self, name: str) -> float:
        if name not in self._values:
            raise KeyError(f"{name}; measured are {', '.join(self._values)}")
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        """Number of metrics."""
        return len(self._values)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._values})"

    def per_query(self) -> dict[str, Float[np.ndarray, " queries"]]:
        """Compute each metric for each query, in the order of the queries.

        Returns:
            Values by the mapping's names; NaN for queries without a correct match.
        """
        found = {}
        for protocol, ranking in self.rankings.items():
            for name, values in ranking.per_query(self._depths).items():
                whole = np.full(len(ranking.relevant), np.nan)
                whole[ranking.measured] = values
                found[f"{protocol}/{name}"] = whole
        return found

    def intervals(self) -> dict[str, Interval]:
        """Compute the 95 % bootstrap interval of each metric.

        Products are resampled with all of their queries.

        Returns:
            Lower and upper end by the mapping's names; NaN for fewer than two products.
        """
        found: dict[str, Interval] = {}
        for ranking in self.rankings.values():
            found |= ranking.intervals(self._depths)
        return found


def retrieval_metrics(
    queries: Any,
    gallery: Any,
    query_identity: Any,
    gallery_identity: Any,
    *,
    query_category: Any = None,
    gallery_category: Any = None,
    query_camera: Any = None,
    gallery_camera: Any = None,
    query_photo_id: Any = None,
    gallery_photo_id: Any = None,
    query_domain: Any = None,
    protocol: str | Sequence[str] = "instance",
    depths: Sequence[int] = ACCURACY_RANKS,
    normalise: bool = False,
) -> RetrievalMetrics:
    """Compute exact retrieval metrics over the full ranking of the gallery for each query.

    The gallery is ranked by cosine similarity, ties by row. A query without a correct match is
    skipped and counted. Formulas and sources: `fashion_jax.metrics.query_metrics`.

    Args:
        queries: [queries, dimensions] embeddings, NumPy or JAX, any float dtype.
        gallery: [gallery, dimensions] embeddings.
        query_identity: [queries] products, integers or texts.
        gallery_identity: [gallery] products.
        query_category: [queries] kinds of product, for `in_category` protocols and for
            `rankings[...].per_category()`.
        gallery_category: [gallery] kinds of product, for `in_category` protocols.
        query_camera: [queries] integers, negative where unknown. With cameras, gallery photos of
            the query's product by its camera are left out of its ranking (the ReID convention).
        gallery_camera: [gallery] integers.
        query_photo_id: [queries] integers or texts. With photo ids, gallery photos with the
            query's id are left out of its ranking, whatever product they show. Without photo ids,
            nothing is left out: right if query and gallery share no photo.
        gallery_photo_id: [gallery] integers or texts. Row numbers are not photo ids.
        query_domain: [queries] origins such as `street`, for `rankings[...].per_domain()`.
        protocol: one or several names from `fashion_jax.metrics.protocol.PROTOCOLS`.
        depths: values of k for `Acc@k`, `Recall@k` and `nDCG@k`.
        normalise: scale each embedding to length 1 first; otherwise embeddings of another length
            are refused, as they usually come from the wrong layer.

    Returns:
        Mapping from names such as `instance/mAP` to numbers, with `per_query()` and `intervals()`.

    Raises:
        EmbeddingError: if embeddings are not finite, not L2-normalised, or differ in dimensions or
            number from their identities.
        MetricsError: if labels do not fit together, or the protocol is unknown or needs categories
            that are missing.
        NothingToMeasureError: if no query has a correct match.

    Warns:
        UserWarning: if more than 5 % of the queries lose gallery photos of another product to an
            equal photo id, as happens where row numbers pass for photo ids.

    Examples:
        >>> import numpy as np
        >>> queries = np.array([[1.0, 0.0], [0.0, 1.0]])
        >>> gallery = np.array([[0.8, 0.6], [0.6, 0.8], [1.0, 0.0]])
        >>> found = retrieval_metrics(queries, gallery, ["coat", "hat"], ["coat", "hat", "hat"])
        >>> found["instance/Acc@1"], found.per_query()["instance/mAP"].round(4).tolist()
        (0.5, [0.5, 0.8333])
    """
    queries_qd = check_embeddings(queries, "query embeddings", normalise=normalise)
    dimensions = queries_qd.shape[1]
    gallery_gd = check_embeddings(gallery, "gallery embeddings", dimensions, normalise)
    query_labels = _labels(
        "query", query_identity, query_category, query_camera, query_photo_id, query_domain
    )
    gallery_labels = _labels(
        "gallery", gallery_identity, gallery_category, gallery_camera, gallery_photo_id
    )
    names = [protocol] if isinstance(protocol, str) else protocol
    rankings = {
        name: rank_embeddings(queries_qd, gallery_gd, query_labels, gallery_labels, name)
        for name in names
    }
    return RetrievalMetrics(rankings, depths)


def _labels(side: str, identity: Any, *optional: Any) -> Labels:
    """Labels of one side, from columns in the order of `Labels`; names the side in errors."""
    columns = [None if column is None else np.asarray(column) for column in optional]
    try:
        return Labels(np.asarray(identity), *columns)
    except MetricsError as error:
        raise MetricsError(f"{side} labels: {error}") from error
