"""Published weights: untrusted files, names of other frameworks, loading, checksums."""

from fashion_jax.errors import FashionJaxError

_SHOWN = 150


class WeightsError(FashionJaxError):
    """Weights that cannot be read, whose names are unknown, or that do not fit the network."""


def printable(text: object) -> str:
    """Show text of an untrusted file: short, and without control characters."""
    shown = str(text) if type(text) in (str, int) else type(text).__name__
    if not shown or not shown.isprintable():
        shown = ascii(shown)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
