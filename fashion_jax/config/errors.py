"""The room's error and its hint."""

from collections.abc import Sequence

from fashion_jax.errors import FashionJaxError
from fashion_jax.similar_names import did_you_mean


class ConfigError(FashionJaxError):
    """A config, a field or a value that does not exist or does not fit."""


def nearest(name: str, names: Sequence[str]) -> str:
    """A hint at the name that was meant, or all names where none is near."""
    return did_you_mean(name, names) or f"; choose from {', '.join(names)}"
