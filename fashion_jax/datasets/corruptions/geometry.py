"""Changes of camera and cloth: rotation, view angle, crumpling, zoom.

Where the moved image does not cover the frame, its edge pixels repeat outwards: a mirrored image
would show the garment several times, which is a corruption of another kind.
"""

import math

import cv2
import numpy as np
from jaxtyping import Float, Float32

from fashion_jax.datasets.corruptions.corruption import Corruption, RgbImage, random_sign
from fashion_jax.datasets.corruptions.light import expose

ROTATION_DEGREES = 45.0
VIEW_DEGREES = 50.0
VIEW_DISTANCE = 1.5  # of the camera, in longest sides of the image
ZOOM_FACTOR = 2.0
CRUMPLE_SHIFT = 0.08  # of the longest side
CRUMPLE_STOPS = 1.5

_BORDER = cv2.BORDER_REPLICATE
_FIELD = 128  # samples along a side of the crumpled surface
_FOLDS = ((5, 1.0), (9, 0.5))  # folds along a side, and their height


def rotate(image: RgbImage, severity: float, rng: np.random.Generator) -> RgbImage:
    """Rotate the image about its centre, to the left or to the right."""
    angle = random_sign(rng) * severity * ROTATION_DEGREES
    return _warp(image, np.vstack([cv2.getRotationMatrix2D(_centre(image), angle, 1), [0, 0, 1]]))


def zoom(image: RgbImage, severity: float, rng: np.random.Generator) -> RgbImage:
    """Multiply or divide the focal length: crop to the centre, or repeat the edge around it."""
    factor = ZOOM_FACTOR ** (random_sign(rng) * severity)
    return _warp(image, np.vstack([cv2.getRotationMatrix2D(_centre(image), 0, factor), [0, 0, 1]]))


def turn_view(image: RgbImage, severity: float, rng: np.random.Generator) -> RgbImage:
    """View the image, as a plane, from a random side."""
    direction = rng.uniform(0, 2 * np.pi)
    tilt = math.radians(severity * VIEW_DEGREES)
    return _warp(image, _homography(image, direction, tilt))


def _homography(image: RgbImage, direction: float, tilt: float) -> Float[np.ndarray, "3 3"]:
    """Pinhole projection of a plane rotated about an axis through its centre.

    With the focal length f equal to the camera's distance, H = K [r₁ r₂ (0, 0, f)] maps points of
    the plane, relative to its centre, to pixels (Hartley and Zisserman 2004, section 8.1.1).
    """
    focal = VIEW_DISTANCE * max(image.shape[:2])
    x, y = _centre(image)
    axis = tilt * np.array([math.cos(direction), math.sin(direction), 0])
    rotation = cv2.Rodrigues(axis)[0]
    pose = np.column_stack([rotation[:, :2], [0, 0, focal]])
    camera = np.array([[focal, 0, x], [0, focal, y], [0, 0, 1]])
    return camera @ pose @ np.array([[1, 0, -x], [0, 1, -y], [0, 0, 1]])


def crumple(image: RgbImage, severity: float, rng: np.random.Generator) -> RgbImage:
    """Crumple the image like cloth: folds shift its parts and shade them.

    Both follow one random surface: each part shifts along the slope there; slopes that face a
    light from a random direction turn lighter, the others darker.
    """
    slope_x, slope_y = _slopes(image, rng)
    light = rng.uniform(0, 2 * np.pi)
    shift = severity * CRUMPLE_SHIFT * max(image.shape[:2])
    y, x = np.indices(image.shape[:2], dtype=np.float32)
    moved = cv2.remap(
        image, x + shift * slope_x, y + shift * slope_y, cv2.INTER_LINEAR, borderMode=_BORDER
    )
    towards = slope_x * math.cos(light) + slope_y * math.sin(light)
    return expose(moved, (severity * CRUMPLE_STOPS * towards)[:, :, None])


def _slopes(
    image: RgbImage, rng: np.random.Generator
) -> tuple[Float32[np.ndarray, "height width"], Float32[np.ndarray, "height width"]]:
    """Slopes of a surface of ridges along x and y; the steepest is 1."""
    surface = np.zeros((_FIELD, _FIELD), np.float32)
    for folds, height in _FOLDS:
        coarse = rng.standard_normal((folds, folds), dtype=np.float32)
        hills = cv2.resize(coarse, (_FIELD, _FIELD), interpolation=cv2.INTER_CUBIC)
        surface -= height * np.sqrt(hills**2 + 0.02)  # a rounded crease along each zero
    along_y, along_x = np.gradient(surface)
    steepest = np.sqrt(along_x**2 + along_y**2).max()
    return _fit(along_x / steepest, image), _fit(along_y / steepest, image)


def _fit(
    field: Float32[np.ndarray, "side side"], image: RgbImage
) -> Float32[np.ndarray, "height width"]:
    """Centre of the field at the image's size, with square samples."""
    height, width = image.shape[:2]
    side = max(height, width)
    field = cv2.resize(field, (side, side), interpolation=cv2.INTER_LINEAR)
    top, left = (side - height) // 2, (side - width) // 2
    return field[top : top + height, left : left + width]


def _centre(image: RgbImage) -> tuple[float, float]:
    return (image.shape[1] - 1) / 2, (image.shape[0] - 1) / 2


def _warp(image: RgbImage, matrix: Float[np.ndarray, "3 3"]) -> RgbImage:
    size = (image.shape[1], image.shape[0])
    return cv2.warpPerspective(image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=_BORDER)


ROTATION = Corruption("rotation", f"rotated by {ROTATION_DEGREES:g}°", rotate)
VIEW_ANGLE = Corruption(
    "view_angle",
    f"seen {VIEW_DEGREES:g}° from the side, at a distance of {VIEW_DISTANCE:g} longest sides",
    turn_view,
)
CRUMPLING = Corruption(
    "crumpling",
    f"folds that shift parts by up to {100 * CRUMPLE_SHIFT:g} % of the longest side and shade "
    f"them by up to {CRUMPLE_STOPS:g} stops",
    crumple,
)
ZOOM = Corruption("zoom", f"focal length times {ZOOM_FACTOR:g} or 1/{ZOOM_FACTOR:g}", zoom)
