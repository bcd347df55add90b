"""Colours of fashion, RGB in 0..255."""

import numpy as np
from jaxtyping import Float
from PIL import ImageColor

Colour = Float[np.ndarray, "3"]

# fmt: off
NAMES = (  # in CSS
    "white", "beige", "wheat", "silver", "gray", "dimgray", "black", "midnightblue", "steelblue",
    "skyblue", "royalblue", "teal", "mediumaquamarine", "seagreen", "darkolivegreen", "darkkhaki",
    "peru", "saddlebrown", "goldenrod", "khaki", "chocolate", "salmon", "firebrick", "maroon",
    "pink", "mediumvioletred", "plum", "indigo",
)
_SKIN = ("#ffdac4", "#ecbc9e", "#d29a76", "#a67050", "#704a36", "#4e3428")
_HAIR = ("#1e1816", "#4a3020", "#8c6034", "#cea868", "#78321e")
# fmt: on


def colour(name: str) -> Colour:
    """A colour by its CSS name or hexadecimal digits; cloth is never purely black or white."""
    return 28 + 0.83 * np.array(ImageColor.getrgb(name)[:3])


def contrast(first: str, second: str) -> float:
    """Distance of two colours, in units of RGB."""
    return float(np.linalg.norm(colour(first) - colour(second)))


def product_colours(names: tuple[str, str, str], rng: np.random.Generator) -> dict[str, Colour]:
    """Fills of a product: its own shades of base, second and accent, and derived colours."""
    base, second, accent = (
        np.clip(colour(name) * rng.uniform(0.9, 1.1) + rng.uniform(-8, 8, 3), 0, 255)
        for name in names
    )
    own = {"base": base, "second": second, "accent": accent}
    shared = {name: colour(name) for name in ("white", "black", "tan", "sienna", "seagreen")}
    return {**own, "inside": 0.55 * base, "dark": 0.6 * second, **shared}


def scene_colours(rng: np.random.Generator) -> dict[str, Colour]:
    """Fills of one person or one thing in the background."""
    choices = {"skin": _SKIN, "hair": _HAIR, "wear": NAMES, "shoe": NAMES}
    return {fill: colour(str(rng.choice(names))) for fill, names in choices.items()} | {
        "dull": rng.uniform(60, 180) + rng.uniform(-18, 18, 3),
        "pale": rng.uniform(150, 230) + rng.uniform(-18, 18, 3),
        "sky": rng.uniform((140, 170, 200), (200, 215, 235)),
        "green": rng.uniform((30, 80, 30), (110, 170, 80)),
    }
