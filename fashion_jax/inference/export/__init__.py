"""The embedder for other programs: its preprocessing and weights inside, no classifier."""
