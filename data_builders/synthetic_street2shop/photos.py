"""Photos of a drawn garment: clean ones of a shop, bad ones of the street."""

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from .paint import CANVAS, Layer, empty
from .parts import Path
from .scenery import OBSTACLES, SCENES, scatter, wearer

VIEWS = ("front", "flat_lay", "model", "close_up")

Photo = UInt8[np.ndarray, "_ _ 3"]
Pixels = Float[np.ndarray, "_ _ 3"]
Relief = Float[np.ndarray, "size size"]
Matrix = Float[np.ndarray, "3 3"]

_Y, _X = np.mgrid[0:CANVAS, 0:CANVAS].astype(np.float32)
_CORNERS = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], np.float32)


def shop_photo(
    garment: Layer, category: str, view: str, side: int, rng: np.random.Generator
) -> Photo:
    """A photo as in a shop.

    Args:
        garment: as `draw_product` gives it.
        category: decides which part of a model is visible.
        view: one of `VIEWS`.
        side: longest side of the photo, in pixels.
        rng: source of all other choices.
    """
    flat, model = view == "flat_lay", view == "model"
    garment = _folded(garment, _relief(rng, 6), rng.uniform(0.06, 0.14))
    margin = -rng.uniform(0.1, 0.2) if view == "close_up" else rng.uniform(0.05, 0.11)
    turn = rng.uniform(-14, 14) if flat else rng.uniform(-2, 2)
    photo, matrix = _frame(garment, side, turn, margin)
    height, width = photo.shape[:2]
    if flat:
        paper = rng.uniform(205, 240, 3) + rng.normal(0, 2.5, (height, 1, 1))
    else:
        paper = rng.uniform(240, 255) - rng.uniform(0, 9) * np.linspace(0, 1, height)[:, None, None]
    photo[:, :, :3] = paper
    if model:
        photo = _over(photo, wearer(category, rng), matrix)
    shadow = empty()  # black, where it is not transparent
    shadow[:, :, 3] = cv2.GaussianBlur(garment[:, :, 3], (0, 0), 4) * (0.05 if model else 0.22)
    shift = np.array([[1, 0, 0.015 * width], [0, 1, 0.025 * height], [0, 0, 1]])
    photo = _over(_over(photo, shadow, shift @ matrix), garment, matrix)
    return _developed(photo[:, :, :3] * rng.uniform(0.97, 1.03, 3))


def street_photo(garment: Layer, category: str, side: int, rng: np.random.Generator) -> Photo:
    """A customer's photo, cut out by a box that was drawn by hand; see `shop_photo`."""
    insets, stretch = rng.uniform(-0.05, 0.14, (4, 2)), rng.uniform(0.85, 1.15)
    photo, matrix = _frame(garment, side, rng.uniform(-16, 16), insets, stretch)
    photo = _background(photo, rng)
    body = _relief(rng, 5), _relief(rng, 5), rng.uniform(2.0, 5.0)
    if rng.random() < 0.65:
        person = _folded(wearer(category, rng), body[0], 0.3)
        photo = _over(photo, _displaced(person, *body), matrix)
    worn = _folded(garment, _relief(rng, 8), rng.uniform(0.2, 0.5))
    photo = _over(photo, _displaced(worn, *body), matrix)
    for _ in range(rng.choice(3, p=[0.5, 0.35, 0.15])):
        photo = scatter(photo, OBSTACLES, rng)
    photo = photo[:, :, :3].astype(np.float32)
    for effect in (_light, _cast_shadow, _focus, _noise):
        photo = effect(photo, rng).astype(np.float32)
    return _developed(photo)


def _relief(rng: np.random.Generator, cells: int) -> Relief:
    """A hilly surface, about 0 on average, with about so many hills across."""
    coarse = rng.standard_normal((cells, cells), np.float32)
    small = cv2.resize(coarse, (CANVAS // 4, CANVAS // 4), interpolation=cv2.INTER_CUBIC)
    return cv2.resize(small, (CANVAS, CANVAS))


def _folded(layer: Layer, surface: Relief, strength: float) -> Layer:
    """Light a layer from the upper left, as if the surface were its folds; edges turn darker."""
    slope = cv2.filter2D(surface, -1, np.array([[-1, 0], [0, 1]], np.float32))
    inside = cv2.blur(layer[:, :, 3], (23, 23)) / 510
    light = np.clip(1 + strength * (14 * slope + inside - 0.5), 0.5, 1.4)
    factors = cv2.merge([light, light, light, np.ones_like(light)])
    return cv2.multiply(layer, factors, dtype=cv2.CV_8U)


def _displaced(layer: Layer, across: Relief, along: Relief, pixels: float) -> Layer:
    """Move every part of a layer by up to about so many pixels: a body inside."""
    return cv2.remap(layer, _X + pixels * across, _Y + pixels * along, cv2.INTER_LINEAR)


def _frame(
    garment: Layer, side: int, degrees: float, insets: Path | float, stretch: float = 1.0
) -> tuple[Layer, Matrix]:
    """An empty photo of a turned garment, and the perspective from the canvas to the photo.

    `insets` are those of the garment's corners, in shares of the photo; `stretch` widens it.
    """
    left, top, width, height = cv2.boundingRect((garment[:, :, 3] > 0).astype(np.uint8))
    aspect = min(max(stretch * width / height, 0.7), 1.3)  # no photo is very long and thin
    size = np.rint(side * np.minimum([1, 1], [aspect, 1 / aspect])).astype(int)
    turn = cv2.getRotationMatrix2D((0, 0), degrees, max((width, height) / size))[:, :2]
    seen = (_CORNERS - 0.5) * size @ turn + (left + width / 2, top + height / 2)
    target = (_CORNERS + insets * (1 - 2 * _CORNERS)) * size
    matrix = cv2.getPerspectiveTransform(seen.astype(np.float32), target.astype(np.float32))
    return empty(int(size[1]), int(size[0])), matrix


def _over(photo: Layer, layer: Layer, matrix: Matrix) -> Layer:
    """A layer on top of a photo."""
    placed = cv2.warpPerspective(layer, matrix, photo.shape[1::-1], flags=cv2.INTER_LINEAR)
    return cv2.add(placed, (photo * (1 - placed[:, :, 3:] / np.float32(255))).astype(np.uint8))


def _background(photo: Layer, rng: np.random.Generator) -> Layer:
    """A street, a room, a park or a brick wall, more or less out of focus."""
    photo = cv2.GaussianBlur(scatter(photo, SCENES, rng), (0, 0), rng.uniform(0.4, 2.5))
    spots = cv2.resize(rng.normal(0, 14, (4, 4)), photo.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    return cv2.add(photo, cv2.merge([spots, spots, spots, 0 * spots]), dtype=cv2.CV_8U)


def _light(photo: Pixels, rng: np.random.Generator) -> Pixels:
    """Exposure, contrast, colour of the light, and its fall across the photo."""
    height, width = photo.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    angle = rng.uniform(0, 2 * np.pi)
    fall = 1 + rng.uniform(0, 0.35) * (x * np.cos(angle) + y * np.sin(angle))
    light = rng.uniform(0.5, 1.2) * rng.uniform(0.86, 1.14, 3) * fall[:, :, None]
    return np.clip(photo / 255, 0, 1) ** rng.uniform(0.8, 1.25) * 255 * light


def _cast_shadow(photo: Pixels, rng: np.random.Generator) -> Pixels:
    if rng.random() > 0.35:
        return photo
    mask = np.ones(photo.shape[:2], np.float32)
    points = rng.uniform(-0.2, 1.2, (4, 2)) * photo.shape[1::-1]
    cv2.fillConvexPoly(mask, cv2.convexHull(points.astype(np.int32)), rng.uniform(0.45, 0.75))
    return photo * cv2.GaussianBlur(mask, (0, 0), 2.0)[:, :, None]


def _focus(photo: Pixels, rng: np.random.Generator) -> Pixels:
    """Motion or defocus."""
    if rng.random() > 0.3:
        return cv2.GaussianBlur(photo, (0, 0), rng.uniform(0.3, 1.4))
    last = int(rng.integers(2, 6))
    kernel = cv2.line(
        np.zeros((last + 1, last + 1)), (0, 0), (last, int(rng.integers(last + 1))), 1
    )
    return cv2.filter2D(photo, -1, np.rot90(kernel, int(rng.integers(4))) / kernel.sum())


def _noise(photo: Pixels, rng: np.random.Generator) -> Pixels:
    return photo + rng.uniform(1.5, 9.0) * rng.standard_normal(photo.shape, np.float32)


def _developed(photo: Pixels) -> Photo:
    return np.clip(np.rint(photo), 0, 255).astype(np.uint8)
