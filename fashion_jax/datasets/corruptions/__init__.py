"""Corruptions that keep a garment's identity (Wieczorek et al. 2020, arXiv:2003.04094).

Each corruption is a pure function of an image, a severity in 0..1 and random numbers that depend
only on the corruption, the photo's name and a seed. The constants at the top of each file define
severity 1: hard, but a person still recognises the garment.
"""

from collections.abc import Sequence

from fashion_jax.datasets.corruptions import detail, geometry, light
from fashion_jax.datasets.corruptions.corruption import Corruption, generator
from fashion_jax.errors import FashionJaxError
from fashion_jax.similar_names import did_you_mean

__all__ = ["CORRUPTIONS", "Corruption", "CorruptionError", "find_corruptions", "generator"]

CORRUPTIONS: dict[str, Corruption] = {
    corruption.name: corruption
    for corruption in (
        light.LIGHT,
        light.BRIGHTNESS,
        light.CONTRAST,
        light.COLOUR,
        geometry.ROTATION,
        geometry.VIEW_ANGLE,
        geometry.CRUMPLING,
        geometry.ZOOM,
        detail.RESOLUTION,
        detail.BLUR,
        detail.JPEG,
        detail.OCCLUSION,
    )
}


class CorruptionError(FashionJaxError):
    """An unknown corruption, or one requested twice."""


def find_corruptions(names: Sequence[str] | None = None) -> tuple[Corruption, ...]:
    """Look up corruptions by name; by default all of them.

    Raises:
        CorruptionError: if a name is unknown (the nearest known one is given) or occurs twice.
    """
    names = list(CORRUPTIONS) if names is None else names
    for name in names:
        if name not in CORRUPTIONS:
            known, hint = ", ".join(CORRUPTIONS), did_you_mean(name, CORRUPTIONS)
            raise CorruptionError(f"unknown corruption {name!r}; known are {known}{hint}")
    if not names or len(set(names)) < len(names):
        raise CorruptionError(f"name each corruption once; got {', '.join(names) or 'none'}")
    return tuple(CORRUPTIONS[name] for name in names)
