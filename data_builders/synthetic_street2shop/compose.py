"""From a canvas to a photo's frame."""

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from .paint import Layer

Cutout = UInt8[np.ndarray, "height width 4"]
Photo = Float[np.ndarray, "height width 3"]
Corners = Float[np.ndarray, "4 2"]


def bounds(layer: Cutout) -> tuple[int, int, int, int]:
    """Left, top, width and height of what is painted."""
    left, top, width, height = cv2.boundingRect(layer[:, :, 3])
    return left, top, width, height


def corners_of(left: float, top: float, width: float, height: float) -> Corners:
    """Corners of a rectangle, clockwise from the upper left."""
    right, bottom = left + width, top + height
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float32)


def rotated(corners: Corners, degrees: float) -> Corners:
    """Corners turned around their middle."""
    middle = corners.mean(axis=0, keepdims=True)
    angle = np.deg2rad(degrees)
    matrix = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return ((corners - middle) @ matrix + middle).astype(np.float32)


def frame_size(width: float, height: float, longest_side: int) -> tuple[int, int]:
    """Height and width of a photo of a thing of this shape; no photo is very long and thin."""
    aspect = min(max(width / height, 0.7), 1.3)
    if aspect > 1:
        return round(longest_side / aspect), longest_side
    return longest_side, round(longest_side * aspect)


def place(layer: Layer, source: Corners, target: Corners, size: tuple[int, int]) -> Cutout:
    """Maps four corners on the canvas to four corners in a frame of `size` (height, width)."""
    matrix = cv2.getPerspectiveTransform(source.astype(np.float32), target.astype(np.float32))
    return cv2.warpPerspective(layer, matrix, size[::-1], flags=cv2.INTER_LINEAR)


def over(photo: Photo, layer: Cutout) -> Photo:
    """A layer on top of a photo."""
    left, top, width, height = bounds(layer)
    if not width:
        return photo
    window = (slice(top, top + height), slice(left, left + width))
    share = layer[window][:, :, 3:].astype(np.float32) / 255
    merged = photo.copy()
    merged[window] += (layer[window][:, :, :3] - merged[window]) * share
    return merged
