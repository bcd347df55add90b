"""Published weights: untrusted files, names of other frameworks, loading, checksums."""

from fashion_jax.errors import FashionJaxError

_SHOWN = 150


class WeightsError(FashionJaxError):
    """Weights that cannot be read, whose names are unknown, or that do not fit the network."""


def shown(value: object) -> str:
    """Show text of an untrusted file: short, and without control characters."""
    text = str(value) if type(value) in (str, int) else type(value).__name__
    if not text or not text.isprintable():
        text = ascii(text)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
