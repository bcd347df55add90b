"""Pillow's images as 8-bit RGB pixels, upright and without warnings."""

import contextlib
import threading
import warnings
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageOps

_lock = threading.Lock()
_inside = 0
_swap = contextlib.ExitStack()


@contextlib.contextmanager
def ignore_pillow_warnings() -> Iterator[None]:
    """Ignore warnings from Pillow's modules about odd files, in any number of threads.

    `warnings.catch_warnings` swaps a list that all threads share: two overlapping threads would
    restore the wrong one. Here the first to enter swaps, and the last to leave restores.
    """
    global _inside
    with _lock:
        if _inside == 0:
            _swap.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", module=r"PIL\b")
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _swap.close()


def upright(image: Image.Image) -> Image.Image:
    """Turn an image upright in place, as its EXIF says."""
    image.load()
    # Damaged EXIF is no reason to lose the photo. Pillow turns the pixels before it rewrites the
    # EXIF, so that a photo whose orientation can be read is turned even if the rest cannot.
    with contextlib.suppress(Exception):
        ImageOps.exif_transpose(image, in_place=True)
    return image


def to_rgb(image: Image.Image) -> UInt8[np.ndarray, "height width 3"]:
    """Convert an image of any mode; transparency becomes white, the background of shops' pages."""
    if image.mode.startswith("I;16"):
        return _gray(np.asarray(image).astype(np.float64) / 257)  # 65535 / 255
    if image.mode in ("I", "F"):
        return _gray(_to_byte_range(np.asarray(image).astype(np.float64)))
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        return _on_white(image)
    return np.array(image.convert("RGB"))


def _gray(values: Float[np.ndarray, "height width"]) -> UInt8[np.ndarray, "height width 3"]:
    levels = np.clip(np.rint(np.nan_to_num(values)), 0, 255).astype(np.uint8)
    return np.repeat(levels[:, :, None], 3, axis=2)


def _to_byte_range(values: Float[np.ndarray, "height width"]) -> Float[np.ndarray, "height width"]:
    """Scale a 32-bit image, which does not record its white level: 1, 255 or 65535 by its range."""
    highest = np.nanmax(values, initial=0)
    white = 1 if highest <= 1 else 255 if highest <= 255 else 65535
    return values * (255 / white)


def _on_white(image: Image.Image) -> UInt8[np.ndarray, "height width 3"]:
    if image.mode in ("RGBa", "La"):  # Pillow converts these only to their own kind
        image = image.convert({"RGBa": "RGBA", "La": "LA"}[image.mode])
    rgba = image.convert("RGBA")
    white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
    return np.array(Image.alpha_composite(white, rgba).convert("RGB"))
