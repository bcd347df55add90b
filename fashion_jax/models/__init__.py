"""The embedder: an image in, a vector out.

Weights live in Flax NNX modules; nothing here depends on datasets, losses or training.
"""
