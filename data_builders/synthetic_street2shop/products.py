"""The products: families of near-duplicates that differ in colour, print or cut alone."""

import dataclasses
from collections.abc import Callable

import numpy as np

from .bags import BAG_CUTS, bag
from .bottoms import PANTS_CUTS, SKIRT_CUTS, pants, skirt
from .clothes import (
    COAT_CUTS,
    DRESS_CUTS,
    TOP_CUTS,
    Cut,
    Proportions,
    coat,
    dress,
    top,
)
from .footwear import SHOE_CUTS, shoes
from .hats import HAT_CUTS, hat
from .logos import logo
from .paint import CANVAS, ORIGIN, UNIT, Layer, paint
from .palette import NAMED, NAMES, Colours, contrast, jittered
from .prints import PRINTS, Cloth, Texture
from .shapes import Part

FAMILY = 4
"""Products that follow each other form a family of this many."""

_LEAST_CONTRAST = 110.0


@dataclasses.dataclass(frozen=True)
class Kind:
    """A category of garments.

    Attributes:
        draw: gives the parts of one.
        cuts: what its cut may be: values by attribute.
        logo: height of a graphic on it, in garment units; `None` where there is no room.
    """

    draw: Callable[[Cut, Proportions], list[Part]]
    cuts: dict[str, tuple[str, ...]]
    logo: float | None


KINDS: dict[str, Kind] = {
    "bags": Kind(bag, BAG_CUTS, 0.66),
    "dresses": Kind(dress, DRESS_CUTS, None),
    "footwear": Kind(shoes, SHOE_CUTS, None),
    "hats": Kind(hat, HAT_CUTS, 0.47),
    "outerwear": Kind(coat, COAT_CUTS, None),
    "pants": Kind(pants, PANTS_CUTS, None),
    "skirts": Kind(skirt, SKIRT_CUTS, None),
    "tops": Kind(top, TOP_CUTS, 0.36),
}


@dataclasses.dataclass(frozen=True)
class Product:
    """Everything that makes a product what it is.

    Attributes:
        category: a name in `KINDS`.
        cut: its attributes.
        proportions: three numbers in 0..1.
        print_name: `logo`, or a name in `PRINTS`.
        print_seed: of the print's details.
        colour_names: of base, second and accent.
        colour_seed: of their exact shades.
    """

    category: str
    cut: dict[str, str]
    proportions: Proportions
    print_name: str
    print_seed: int
    colour_names: tuple[str, str, str]
    colour_seed: int


def make_product(seed: int, group: int, number: int) -> Product:
    """A pure function of its arguments: other products have no influence on it.

    Args:
        seed: of the whole dataset.
        group: products of different groups (splits) are never of one family.
        number: of the product in its group.
    """
    family, member = divmod(number, FAMILY)
    rng = np.random.default_rng([seed, group, family])
    founder = _founder(_category(seed, group, family), rng)
    changes = rng.permutation(["colour", "print", "cut"])
    return founder if member == 0 else _changed(founder, str(changes[member - 1]), rng)


def _category(seed: int, group: int, family: int) -> str:
    """Every category comes once in as many families as there are categories."""
    block, place = divmod(family, len(KINDS))
    order = np.random.default_rng([seed, group, block, len(KINDS)]).permutation(list(KINDS))
    return str(order[place])


def _founder(category: str, rng: np.random.Generator) -> Product:
    cut = {name: str(rng.choice(values)) for name, values in KINDS[category].cuts.items()}
    fit, length, width = (float(value) for value in rng.random(3))
    return Product(
        category=category,
        cut=cut,
        proportions=(fit, length, width),
        print_name=str(rng.choice(_print_names(category))),
        print_seed=int(rng.integers(2**31)),
        colour_names=_choose_colours(rng),
        colour_seed=int(rng.integers(2**31)),
    )


def _changed(founder: Product, change: str, rng: np.random.Generator) -> Product:
    """A product that differs in nothing but one thing."""
    if change == "colour":
        names = _choose_colours(rng)
        while contrast(NAMED[names[0]], NAMED[founder.colour_names[0]]) < _LEAST_CONTRAST:
            names = _choose_colours(rng)
        return dataclasses.replace(founder, colour_names=names)
    if change == "print":
        others = [name for name in _print_names(founder.category) if name != founder.print_name]
        return dataclasses.replace(founder, print_name=str(rng.choice(others)))
    cuts = KINDS[founder.category].cuts
    attribute = str(rng.choice(list(cuts)))
    others = [value for value in cuts[attribute] if value != founder.cut[attribute]]
    return dataclasses.replace(founder, cut={**founder.cut, attribute: str(rng.choice(others))})


def _print_names(category: str) -> list[str]:
    names = [*PRINTS, "plain", "plain"]
    return names if KINDS[category].logo is None else [*names, "logo", "logo", "logo"]


def _choose_colours(rng: np.random.Generator) -> tuple[str, str, str]:
    """Three colours; each can be told from the others."""
    base, second, accent = (str(name) for name in rng.choice(NAMES, 3, replace=False))
    pairs = ((base, second), (base, accent))
    if any(contrast(NAMED[one], NAMED[other]) < _LEAST_CONTRAST for one, other in pairs):
        return _choose_colours(rng)
    return base, second, accent


def draw_product(product: Product) -> Layer:
    """The garment alone, laid flat, in even light: RGBA."""
    rng = np.random.default_rng(product.colour_seed)
    colours = Colours(*(jittered(name, rng) for name in product.colour_names))
    kind = KINDS[product.category]
    parts = kind.draw(product.cut, product.proportions)
    return paint(parts, _texture(product, colours), colours.named)


def _texture(product: Product, colours: Colours) -> Texture:
    rng = np.random.default_rng(product.print_seed)
    cloth = Cloth(CANVAS, UNIT, ORIGIN, colours, rng)
    height = KINDS[product.category].logo
    if product.print_name == "logo" and height is not None:
        return logo(cloth, height)
    return PRINTS[product.print_name](cloth)
