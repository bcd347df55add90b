"""Retrieval metrics: embeddings or ranks in, numbers out; independent of models and datasets.

- `measure.retrieval_metrics`: metrics from embeddings and identities.
- `ranking.rank_embeddings`, `ranking.rank_distances`: per-query ranking results.
- `query_metrics.query_metrics`: metrics from ranks alone.
- `confidence.confidence_intervals`: bootstrap intervals of means over queries.
- `protocol.PROTOCOLS`: all protocols by name.
- `suspected_label_errors`: pairs of products the model cannot tell apart.
"""
