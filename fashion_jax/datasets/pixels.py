"""From every mode that Pillow knows to 8-bit RGB."""

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image


def to_rgb(image: Image.Image) -> UInt8[np.ndarray, "height width 3"]:
    """Pixels of an opened image; transparency is laid on white, as shops' pages show it."""
    if image.mode.startswith("I;16"):
        return _gray(np.asarray(image).astype(np.float64) / 257)
    if image.mode in ("I", "F"):
        return _gray(_to_byte_range(np.asarray(image).astype(np.float64)))
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        return _on_white(image)
    return np.array(image.convert("RGB"))


def _gray(values: Float[np.ndarray, "height width"]) -> UInt8[np.ndarray, "height width 3"]:
    levels = np.clip(np.rint(np.nan_to_num(values)), 0, 255).astype(np.uint8)
    return np.repeat(levels[:, :, None], 3, axis=2)


def _to_byte_range(values: Float[np.ndarray, "height width"]) -> Float[np.ndarray, "height width"]:
    """32-bit images do not say where white is: taken to be 1, 255 or 65535, whichever fits."""
    highest = np.nanmax(values, initial=0)
    white = 1 if highest <= 1 else 255 if highest <= 255 else 65535
    return values * (255 / white)


def _on_white(image: Image.Image) -> UInt8[np.ndarray, "height width 3"]:
    if image.mode in ("RGBa", "La"):
        image = image.convert({"RGBa": "RGBA", "La": "LA"}[image.mode])
    rgba = image.convert("RGBA")
    white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
    return np.array(Image.alpha_composite(white, rgba).convert("RGB"))
