"""What every part of the config room raises and says."""

import difflib

from fashion_jax.errors import FashionJaxError


class ConfigError(FashionJaxError):
    """A config field or value that does not exist or does not fit."""


def nearest(name: str, names: list[str]) -> str:
    """A hint at the name that was meant, or all of them where none is near."""
    last = name.rsplit(".", 1)[-1]
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6) or [
        full for full in names if full.rsplit(".", 1)[-1] == last
    ]
    return f"; did you mean {near[0]!r}?" if near else f"; there are: {', '.join(names)}"
