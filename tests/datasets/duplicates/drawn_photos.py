"""Drawn garments, and what becomes of a photo on its way from shop to shop."""

import cv2
import numpy as np

from fashion_jax.datasets.photos import decode_record, encode_jpeg

RED, BLUE = (190, 40, 50), (40, 60, 190)


def garment(seed, colour=RED, size=(240, 180)):
    """A garment on a white ground: a shape and stripes that the seed decides."""
    rng = np.random.default_rng(seed)
    height, width = size
    photo = np.full((height, width, 3), 245, np.uint8)
    corners = rng.integers((20, 20), (width - 20, height - 20), (6, 2))
    cv2.fillPoly(photo, [cv2.convexHull(corners.astype(np.int32))], colour)
    for _ in range(5):
        top, left = rng.integers(20, height - 60), rng.integers(20, width - 60)
        shade = tuple(int(channel * rng.uniform(0.2, 0.8)) for channel in colour)
        cv2.rectangle(photo, (left, top), (left + 30, top + 40), shade, -1)
    return photo


def reencoded(photo, quality=40):
    return decode_record(encode_jpeg(photo, quality))


def resized(photo, scale=0.5):
    return cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def cropped(photo, share=0.02):
    return photo[: len(photo) - round(share * len(photo))]


def brighter(photo, factor=1.05):
    return np.clip(photo * factor, 0, 255).astype(np.uint8)


def marked(photo):
    photo = photo.copy()
    place = 10, len(photo) // 2
    cv2.putText(photo, "SHOP", place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (150, 150, 150), 1)
    return photo


def mirrored(photo):
    return np.ascontiguousarray(photo[:, ::-1])


def encoded(photo):
    """Bytes of a photo, without loss."""
    return cv2.imencode(".png", photo[:, :, ::-1])[1].tobytes()
