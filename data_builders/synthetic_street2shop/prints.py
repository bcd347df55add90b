"""What is printed on, or woven into, a garment's cloth."""

import dataclasses
from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from .palette import Colours, darker
from .shapes import ellipse

Texture = UInt8[np.ndarray, "size size 3"]

_SHIFT = 4  # OpenCV draws at 1/16 pixel


@dataclasses.dataclass(frozen=True)
class Cloth:
    """A square of cloth to print on.

    Attributes:
        size: its side, in pixels.
        unit: pixels a garment unit.
        origin: where the garment's own origin lies, in pixels.
        colours: of the product.
        rng: decides on the print's details; the same state gives the same print.
    """

    size: int
    unit: float
    origin: tuple[float, float]
    colours: Colours
    rng: np.random.Generator

    def plain(self) -> Texture:
        """Cloth of the base colour."""
        return np.full((self.size, self.size, 3), self.colours.base, np.uint8)

    def grid(self) -> tuple[Float[np.ndarray, "1 size"], Float[np.ndarray, "size 1"]]:
        """Every pixel's x and y, in garment units."""
        pixels = np.arange(self.size, dtype=np.float32) + 0.5
        x = (pixels - self.origin[0]) / self.unit
        y = (pixels - self.origin[1]) / self.unit
        return x[None, :], y[:, None]

    def mix(self, share: Float[np.ndarray, "height width"], colour: str = "second") -> Texture:
        """The base colour, and another one where `share` is 1."""
        base = np.array(self.colours.base, np.float32)
        other = np.array(self.colours.named(colour), np.float32)
        full = np.broadcast_to(share, (self.size, self.size))[:, :, None]
        return np.rint(base + full * (other - base)).astype(np.uint8)

    def fill(self, texture: Texture, path: np.ndarray, colour: tuple[int, int, int]) -> None:
        """Paints the inside of a path, given in garment units."""
        points = np.rint((path * self.unit + self.origin) * 2**_SHIFT).astype(np.int32)
        cv2.fillPoly(texture, [points], colour, cv2.LINE_AA, _SHIFT)


def plain(cloth: Cloth) -> Texture:
    """One colour."""
    return cloth.plain()


def stripes(cloth: Cloth) -> Texture:
    """Horizontal stripes, as of sailors' shirts."""
    _, y = cloth.grid()
    period = cloth.rng.choice([0.07, 0.1, 0.16])
    return cloth.mix(_bands(y, period, cloth.rng.uniform(0.3, 0.55), cloth.unit))


def pinstripes(cloth: Cloth) -> Texture:
    """Upright stripes."""
    x, _ = cloth.grid()
    period = cloth.rng.choice([0.05, 0.08, 0.13])
    return cloth.mix(_bands(x, period, cloth.rng.uniform(0.2, 0.5), cloth.unit))


def diagonal(cloth: Cloth) -> Texture:
    """Slanting stripes."""
    x, y = cloth.grid()
    period = cloth.rng.choice([0.09, 0.14, 0.2])
    return cloth.mix(_bands((x + y) * 0.707, period, cloth.rng.uniform(0.3, 0.5), cloth.unit))


def gingham(cloth: Cloth) -> Texture:
    """Checks: two sets of bands, mixed where they cross."""
    x, y = cloth.grid()
    period = cloth.rng.choice([0.07, 0.11, 0.17])
    across, along = _bands(y, period, 0.5, cloth.unit), _bands(x, period, 0.5, cloth.unit)
    return cloth.mix((across + along) / 2)


def tartan(cloth: Cloth) -> Texture:
    """Checks with thin lines of a third colour."""
    x, y = cloth.grid()
    period = cloth.rng.choice([0.16, 0.22, 0.3])
    across, along = _bands(y, period, 0.4, cloth.unit), _bands(x, period, 0.4, cloth.unit)
    texture = cloth.mix((across + along) / 2).astype(np.float32)
    thin = np.maximum(
        _bands(y + period / 3, period, 0.07, cloth.unit),
        _bands(x + period / 3, period, 0.07, cloth.unit),
    )
    accent = np.array(cloth.colours.accent, np.float32)
    return np.rint(texture + thin[:, :, None] * (accent - texture)).astype(np.uint8)


def dots(cloth: Cloth) -> Texture:
    """Polka dots."""
    period = cloth.rng.choice([0.07, 0.11, 0.16])
    radius = period * cloth.rng.uniform(0.2, 0.36)
    texture = cloth.plain()
    for x, y in _lattice(period):
        cloth.fill(texture, ellipse(x, y, 2 * radius, 2 * radius), cloth.colours.second)
    return texture


def flowers(cloth: Cloth) -> Texture:
    """Flowers with five petals, scattered."""
    rng, texture = cloth.rng, cloth.plain()
    period = rng.choice([0.13, 0.19, 0.27])
    leaf = darker((86, 140, 74), rng.uniform(0.6, 1.2))
    for x, y in _lattice(period):
        x, y = x + rng.uniform(-0.3, 0.3) * period, y + rng.uniform(-0.3, 0.3) * period
        radius, turn = period * rng.uniform(0.15, 0.24), rng.uniform(0, 2 * np.pi)
        cloth.fill(texture, ellipse(x + 1.7 * radius, y + radius, 1.6 * radius, 0.7 * radius), leaf)
        for petal in range(5):
            angle = turn + petal * 2 * np.pi / 5
            centre = (x + radius * np.cos(angle), y + radius * np.sin(angle))
            cloth.fill(texture, ellipse(*centre, 1.5 * radius, 1.5 * radius), cloth.colours.second)
        cloth.fill(texture, ellipse(x, y, 1.1 * radius, 1.1 * radius), cloth.colours.accent)
    return texture


def zigzag(cloth: Cloth) -> Texture:
    """Chevrons."""
    x, y = cloth.grid()
    period = cloth.rng.choice([0.09, 0.14, 0.2])
    wave = np.abs((x / period) % 1.0 - 0.5) * period
    return cloth.mix(_bands(y + wave, period, 0.45, cloth.unit))


def diamonds(cloth: Cloth) -> Texture:
    """Argyle: diamonds, and thin lines across them."""
    x, y = cloth.grid()
    period = cloth.rng.choice([0.18, 0.26])
    u, v = x / period + y / (1.5 * period), x / period - y / (1.5 * period)
    share = _bands(u, 1.0, 0.5, cloth.unit * period) * _bands(v, 1.0, 0.5, cloth.unit * period)
    texture = cloth.mix(share).astype(np.float32)
    shifted = (
        _bands(u + 0.25, 1.0, 0.06, cloth.unit * period),
        _bands(v + 0.25, 1.0, 0.06, cloth.unit * period),
    )
    thin = np.maximum(*shifted)[:, :, None]
    accent = np.array(cloth.colours.accent, np.float32)
    return np.rint(texture + thin * (accent - texture)).astype(np.uint8)


def camouflage(cloth: Cloth) -> Texture:
    """Blots of three colours."""
    texture = cloth.mix(_blots(cloth, 0.12, 0.55))
    share = _blots(cloth, 0.1, 0.66)[:, :, None]
    third = np.array(darker(cloth.colours.base, 0.5), np.float32)
    return np.rint(texture + share * (third - texture)).astype(np.uint8)


def leopard(cloth: Cloth) -> Texture:
    """Dark rings around spots."""
    rng, texture = cloth.rng, cloth.plain()
    period = rng.choice([0.07, 0.1])
    dark = darker(cloth.colours.second, 0.6)
    for x, y in _lattice(period):
        x, y = x + rng.uniform(-0.25, 0.25) * period, y + rng.uniform(-0.25, 0.25) * period
        width, height = period * rng.uniform(0.5, 0.8, size=2)
        cloth.fill(texture, ellipse(x, y, width, height), dark)
        cloth.fill(
            texture, ellipse(x + 0.06 * width, y, 0.5 * width, 0.5 * height), cloth.colours.accent
        )
    return texture


def block(cloth: Cloth) -> Texture:
    """Two or three wide bands of colour."""
    _, y = cloth.grid()
    first = cloth.rng.uniform(0.25, 0.5)
    texture = cloth.mix((y > first).astype(np.float32) + np.zeros((1, cloth.size), np.float32))
    second = first + cloth.rng.uniform(0.06, 0.25)
    rows = ((y > first) & (y < second))[:, 0]
    if cloth.rng.random() < 0.6:
        texture[rows] = cloth.colours.accent
    return texture


def gradient(cloth: Cloth) -> Texture:
    """Dip-dyed: one colour fades into another."""
    _, y = cloth.grid()
    start = cloth.rng.uniform(0.0, 0.4)
    share = np.clip((y - start) / cloth.rng.uniform(0.25, 0.6), 0, 1)
    return cloth.mix(share + np.zeros((1, cloth.size), np.float32))


def _bands(
    position: Float[np.ndarray, "height width"], period: float, share: float, unit: float
) -> Float[np.ndarray, "height width"]:
    """1 inside stripes that take a share of each period, 0 outside; edges one pixel soft."""
    distance = (share / 2 - np.abs((position / period) % 1.0 - 0.5)) * period * unit
    return np.clip(distance + 0.5, 0, 1).astype(np.float32)


def _lattice(period: float) -> list[tuple[float, float]]:
    """Points over the whole cloth, every other row shifted."""
    rows = range(int(-0.35 / period), int(1.4 / period) + 1)
    columns = range(int(-0.75 / period), int(0.75 / period) + 1)
    return [
        ((column + 0.5 * (row % 2)) * period, row * period * 0.9)
        for row in rows
        for column in columns
    ]


def _blots(cloth: Cloth, grain: float, level: float) -> Float[np.ndarray, "size size"]:
    cells = max(4, round(1.6 / grain))
    noise = cloth.rng.random((cells, cells), dtype=np.float32)
    smooth = cv2.resize(noise, (cloth.size, cloth.size), interpolation=cv2.INTER_CUBIC)
    return np.clip((smooth - level) * 14 + 0.5, 0, 1)


PRINTS: dict[str, Callable[[Cloth], Texture]] = {
    "plain": plain,
    "stripes": stripes,
    "pinstripes": pinstripes,
    "diagonal": diagonal,
    "gingham": gingham,
    "tartan": tartan,
    "dots": dots,
    "flowers": flowers,
    "zigzag": zigzag,
    "diamonds": diamonds,
    "camouflage": camouflage,
    "leopard": leopard,
    "block": block,
    "gradient": gradient,
}
