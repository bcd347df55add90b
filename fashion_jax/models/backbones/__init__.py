"""Backbones: a photo in, a map of features out. One family a file."""

import difflib

from fashion_jax.errors import FashionJaxError
from fashion_jax.models.backbones import efficientnet_lite, osnet, resnet, vit_specs
from fashion_jax.models.backbones.spec import BackboneSpec


class UnknownBackboneError(FashionJaxError):
    """A backbone's name that is not in the registry."""


BACKBONES: dict[str, BackboneSpec] = {
    **resnet.SPECS,
    **osnet.SPECS,
    **efficientnet_lite.SPECS,
    **vit_specs.SPECS,
}


def backbone_spec(name: str) -> BackboneSpec:
    """Returns the backbone of that name.

    Raises:
        UnknownBackboneError: there is none; the message names the nearest.
    """
    if name in BACKBONES:
        return BACKBONES[name]
    nearest = difflib.get_close_matches(name, BACKBONES, 1, 0)
    raise UnknownBackboneError(
        f"model.backbone is {name!r}; did you mean {nearest[0]!r}? "
        f"There are {', '.join(BACKBONES)}."
    )
