"""The embedder: a photo in, a vector out.

Weights live in Flax NNX modules; nothing here knows of datasets, losses or training.
"""
