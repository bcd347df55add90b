"""Published weights: untrusted files, names of other frameworks, loading, checksums."""

from fashion_jax.errors import FashionJaxError


class WeightsError(FashionJaxError):
    """Weights that cannot be read, whose names are unknown, or that do not fit the network."""
