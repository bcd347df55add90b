"""Camera and cloth in other places: rotation, view angle, crumpling, zoom.

Where the moved photo does not cover the frame, its edge goes on outwards: a mirrored photo would
show the garment several times, which is another nuisance.
"""

import math

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8

from fashion_jax.datasets.corruptions.corruption import Nuisance, either_way
from fashion_jax.datasets.corruptions.linear_light import expose

ROTATION_DEGREES = 45.0
VIEW_DEGREES = 50.0
VIEW_DISTANCE = 1.5  # of the camera, in longest sides of the photo
ZOOM_FACTOR = 2.0
CRUMPLE_SHIFT = 0.08  # of the longest side
CRUMPLE_STOPS = 1.5

_BORDER = cv2.BORDER_REPLICATE
_FIELD = 128  # samples along a side of the crumpled surface
_FOLDS = ((5, 1.0), (9, 0.5))  # folds along a side, and their height


def disturb_rotation(
    image: UInt8[np.ndarray, "height width 3"], strength: float, rng: np.random.Generator
) -> UInt8[np.ndarray, "height width 3"]:
    """Turns the photo about its middle, to the left or to the right; its edge goes on outwards."""
    angle = either_way(rng) * strength * ROTATION_DEGREES
    return _warp(image, np.vstack([cv2.getRotationMatrix2D(_middle(image), angle, 1), [0, 0, 1]]))


def disturb_zoom(
    image: UInt8[np.ndarray, "height width 3"], strength: float, rng: np.random.Generator
) -> UInt8[np.ndarray, "height width 3"]:
    """Multiplies or divides the focal length: the middle alone, or a drawn-out edge around."""
    factor = ZOOM_FACTOR ** (either_way(rng) * strength)
    return _warp(image, np.vstack([cv2.getRotationMatrix2D(_middle(image), 0, factor), [0, 0, 1]]))


def disturb_view_angle(
    image: UInt8[np.ndarray, "height width 3"], strength: float, rng: np.random.Generator
) -> UInt8[np.ndarray, "height width 3"]:
    """Looks at the photo from a random side: perspective of a plane; its edge goes on."""
    direction = rng.uniform(0, 2 * np.pi)
    tilt = math.radians(strength * VIEW_DEGREES)
    return _warp(image, _homography(image, direction, tilt))


def _homography(
    image: UInt8[np.ndarray, "height width 3"], direction: float, tilt: float
) -> Float[np.ndarray, "3 3"]:
    """Pinhole image of a plane that is turned about an axis through its middle.

    With focal length f = the camera's distance, H = K [r₁ r₂ (0, 0, f)] moves points of the plane,
    measured from its middle, to pixels (Hartley and Zisserman 2004, section 8.1.1).
    """
    focal = VIEW_DISTANCE * max(image.shape[:2])
    x, y = _middle(image)
    axis = tilt * np.array([math.cos(direction), math.sin(direction), 0])
    rotation = cv2.Rodrigues(axis)[0]
    pose = np.column_stack([rotation[:, :2], [0, 0, focal]])
    camera = np.array([[focal, 0, x], [0, focal, y], [0, 0, 1]])
    return camera @ pose @ np.array([[1, 0, -x], [0, 1, -y], [0, 0, 1]])


def disturb_crumpling(
    image: UInt8[np.ndarray, "height width 3"], strength: float, rng: np.random.Generator
) -> UInt8[np.ndarray, "height width 3"]:
    """Crumples the photo like cloth: folds move it and shade it; its edge goes on.

    Both follow one random surface: every part moves along the surface's slope there, and the
    slopes that face a light from a random direction turn lighter, the others darker.
    """
    slope_x, slope_y = _slopes(image, rng)
    light = rng.uniform(0, 2 * np.pi)
    shift = strength * CRUMPLE_SHIFT * max(image.shape[:2])
    y, x = np.indices(image.shape[:2], dtype=np.float32)
    moved = cv2.remap(
        image, x + shift * slope_x, y + shift * slope_y, cv2.INTER_LINEAR, borderMode=_BORDER
    )
    towards = slope_x * math.cos(light) + slope_y * math.sin(light)
    return expose(moved, (strength * CRUMPLE_STOPS * towards)[:, :, None])


def _slopes(
    image: UInt8[np.ndarray, "height width 3"], rng: np.random.Generator
) -> tuple[Float32[np.ndarray, "height width"], Float32[np.ndarray, "height width"]]:
    """Slopes of a surface of ridges, along x and y; the steepest is 1."""
    surface = np.zeros((_FIELD, _FIELD), np.float32)
    for folds, height in _FOLDS:
        coarse = rng.standard_normal((folds, folds), dtype=np.float32)
        hills = cv2.resize(coarse, (_FIELD, _FIELD), interpolation=cv2.INTER_CUBIC)
        surface -= height * np.sqrt(hills**2 + 0.02)  # a rounded crease along each zero
    along_y, along_x = np.gradient(surface)
    steepest = np.sqrt(along_x**2 + along_y**2).max()
    return _fit(along_x / steepest, image), _fit(along_y / steepest, image)


def _fit(
    field: Float32[np.ndarray, "side side"], image: UInt8[np.ndarray, "height width 3"]
) -> Float32[np.ndarray, "height width"]:
    """The field's middle, at the photo's size and with square samples."""
    height, width = image.shape[:2]
    side = max(height, width)
    field = cv2.resize(field, (side, side), interpolation=cv2.INTER_LINEAR)
    top, left = (side - height) // 2, (side - width) // 2
    return field[top : top + height, left : left + width]


def _middle(image: UInt8[np.ndarray, "height width 3"]) -> tuple[float, float]:
    return (image.shape[1] - 1) / 2, (image.shape[0] - 1) / 2


def _warp(
    image: UInt8[np.ndarray, "height width 3"], matrix: Float[np.ndarray, "3 3"]
) -> UInt8[np.ndarray, "height width 3"]:
    size = (image.shape[1], image.shape[0])
    return cv2.warpPerspective(image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=_BORDER)


ROTATION = Nuisance("rotation", f"turned by {ROTATION_DEGREES:g}°", disturb_rotation)
VIEW_ANGLE = Nuisance(
    "view_angle",
    f"seen from {VIEW_DEGREES:g}° aside, from {VIEW_DISTANCE:g} longest sides away",
    disturb_view_angle,
)
CRUMPLING = Nuisance(
    "crumpling",
    f"folds that move parts by up to {100 * CRUMPLE_SHIFT:g} % of the longest side and shade "
    f"them by up to {CRUMPLE_STOPS:g} stops",
    disturb_crumpling,
)
ZOOM = Nuisance(
    "zoom", f"{ZOOM_FACTOR:g} times the focal length, or 1/{ZOOM_FACTOR:g} of it", disturb_zoom
)
