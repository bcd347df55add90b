"""What must not change a garment's identity (Wieczorek et al. 2020, arXiv:2003.04094).

Each nuisance is a pure function of a photo, a strength in 0..1 and random numbers that depend on
nothing but the nuisance, the photo's name and a seed. Its parameters at full strength are the
constants at the top of its file: hard, but a person still knows the garment again.
"""

import difflib
from collections.abc import Sequence

from fashion_jax.datasets.corruptions import detail, geometry, light, occlusion
from fashion_jax.datasets.corruptions.corruption import Nuisance, generator
from fashion_jax.errors import FashionJaxError

__all__ = ["NUISANCES", "Nuisance", "NuisanceError", "find_nuisances", "generator"]

NUISANCES: dict[str, Nuisance] = {
    nuisance.name: nuisance
    for nuisance in (
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
        occlusion.OCCLUSION,
    )
}


class NuisanceError(FashionJaxError):
    """A nuisance that does not exist, or is asked for twice."""


def find_nuisances(names: Sequence[str] | None = None) -> tuple[Nuisance, ...]:
    """Nuisances by name; all of them by default.

    Raises:
        NuisanceError: naming the nearest right name.
    """
    names = list(NUISANCES) if names is None else names
    for name in names:
        if name not in NUISANCES:
            near = difflib.get_close_matches(name, NUISANCES, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise NuisanceError(f"there is no nuisance {name!r}, only {', '.join(NUISANCES)}{hint}")
    if not names or len(set(names)) < len(names):
        raise NuisanceError(f"name each nuisance once; got {', '.join(names) or 'none'}")
    return tuple(NUISANCES[name] for name in names)
