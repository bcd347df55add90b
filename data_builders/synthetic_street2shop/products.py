"""The products: families of near-duplicates that differ in colour, print or cut alone."""

import dataclasses
import functools

import numpy as np

from .paint import Layer, empty, paint
from .palette import NAMES, contrast, product_colours
from .parts import DRAWINGS, Grade, Part
from .prints import PRINTS, print_cloth

FAMILY = 4
"""Number of consecutive products that form a family."""

PATTERNS: dict[str, dict[str, dict[str, list[Part | Grade]]]] = DRAWINGS["garments"]
"""Parts and grades by category, cut and value, bottom first; a grade changes all later parts."""

_LOGOS = {"bags": 0.66, "hats": 0.47, "tops": 0.36}  # height of a graphic, where there is room
_PLACES = {"footwear": [(0.06, -0.2), (-0.05, 0.06)]}  # a pair, one behind the other
_LEAST_CONTRAST = 110.0


@dataclasses.dataclass(frozen=True)
class Product:
    """Description of a product.

    Attributes:
        category: a name in `PATTERNS`.
        cut: value of each cut of the pattern.
        print_name: `logo`, or one of `PRINTS`.
        colour_names: names of base, second and accent.
        seed: seed of shades, proportions and the print's details.
    """

    category: str
    cut: dict[str, str]
    print_name: str
    colour_names: tuple[str, str, str]
    seed: int


def make_product(seed: int, group: int, number: int) -> Product:
    """Make a product: a pure function of the arguments, independent of other products.

    Args:
        seed: seed of the whole dataset.
        group: number of the split; families do not span groups.
        number: number of the product in its group.
    """
    family, member = divmod(number, FAMILY)
    # Every category comes once in as many families as there are categories.
    block, place = divmod(family, len(PATTERNS))
    order = np.random.default_rng([seed, group, block, len(PATTERNS)]).permutation(list(PATTERNS))
    category, rng = str(order[place]), np.random.default_rng([seed, group, family])
    cut = {name: str(rng.choice(list(values))) for name, values in PATTERNS[category].items()}
    print_name, colours = str(rng.choice(_prints(category))), _choose_colours(rng)
    founder = Product(category, cut, print_name, colours, int(rng.integers(2**31)))
    changes = rng.permutation(["colours", "print", "cut"])
    return founder if member == 0 else _changed(founder, str(changes[member - 1]), rng)


def _changed(founder: Product, change: str, rng: np.random.Generator) -> Product:
    """A product that differs from the founder in one respect."""
    if change == "colours":
        names = founder.colour_names
        while contrast(names[0], founder.colour_names[0]) < _LEAST_CONTRAST:
            names = _choose_colours(rng)
        return dataclasses.replace(founder, colour_names=names)
    if change == "print":
        others = [name for name in _prints(founder.category) if name != founder.print_name]
        return dataclasses.replace(founder, print_name=str(rng.choice(others)))
    cut = str(rng.choice(list(founder.cut)))
    others = [value for value in PATTERNS[founder.category][cut] if value != founder.cut[cut]]
    return dataclasses.replace(founder, cut={**founder.cut, cut: str(rng.choice(others))})


def _prints(category: str) -> list[str]:
    """Prints to choose from; repeated ones are more likely."""
    return [*PRINTS, "plain", "plain", *["logo"] * (3 * (category in _LOGOS))]


def _choose_colours(rng: np.random.Generator) -> tuple[str, str, str]:
    """Base, second and accent colour; both others contrast with the base."""
    while True:
        base, second, accent = (str(name) for name in rng.choice(NAMES, 3, replace=False))
        if min(contrast(base, second), contrast(base, accent)) >= _LEAST_CONTRAST:
            return base, second, accent


def draw_product(product: Product) -> Layer:
    """The garment alone, laid flat, in even light."""
    rng = np.random.default_rng(product.seed)
    colours = product_colours(product.colour_names, rng)
    parts = cut_out(product, rng)
    cloth = print_cloth(product.print_name, colours, _LOGOS.get(product.category, 0), rng)
    # A cut such as the sole's may be a colour.
    chosen = {cut: colours[value] for cut, value in product.cut.items() if value in colours}
    return paint(empty(), parts, {**colours, **chosen, "cloth": cloth}, seams=True)


def cut_out(product: Product, rng: np.random.Generator) -> list[Part]:
    """Parts of a product in its own proportions, bottom first."""
    flare, size = rng.uniform(0.95, 1.05), rng.uniform((0.92, 0.94), (1.08, 1.06))
    parts, grades = [], [Grade(0, middle=flare**0.5, end=flare)]
    for cut, value in product.cut.items():
        for each in PATTERNS[product.category][cut][value]:
            if isinstance(each, Grade):
                grades.append(each)
            else:
                parts.append(functools.reduce(lambda part, grade: grade.apply(part), grades, each))
    places = _PLACES.get(product.category, [(0, 0)])
    return [part.placed([place], [size]) for place in places for part in parts]
