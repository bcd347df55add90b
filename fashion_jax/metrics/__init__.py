"""Retrieval metrics: embeddings or ranks in, numbers out."""
