"""From embeddings to answers: exact and approximate indexes, catalogues, searches."""
