"""TFDS builders: a raw layout in, the records of `fashion_jax.datasets.records` out."""
