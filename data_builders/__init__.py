"""TFDS builders: a raw layout in, the records of `fashion_jax.data.records` out."""
