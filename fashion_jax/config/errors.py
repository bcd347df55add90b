"""The room's error and its hints."""

import difflib
from collections.abc import Sequence

from fashion_jax.errors import FashionJaxError


class ConfigError(FashionJaxError):
    """A config, a field or a value that does not exist or does not fit."""


def did_you_mean(name: str, names: Sequence[str]) -> str:
    """A hint at the name that was meant, or nothing where none is near."""
    last = name.rsplit(".", 1)[-1]
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6) or [
        full for full in names if full.rsplit(".", 1)[-1] == last
    ]
    return f"; did you mean {near[0]!r}?" if near else ""


def nearest(name: str, names: Sequence[str]) -> str:
    """A hint at the name that was meant, or all names where none is near."""
    return did_you_mean(name, names) or f"; choose from {', '.join(names)}"
