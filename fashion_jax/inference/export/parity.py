"""Checks that an export gives the same embeddings as the model."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import UInt8

from fashion_jax.errors import FashionJaxError
from fashion_jax.inference.card import ModelCard

BATCH_SIZES = (1, 2, 5)
# Largest difference of any number of an embedding, which has length 1.
TOLERANCES = {"float32": 1e-5, "bfloat16": 2e-2}

Embed = Callable[[Any], Any]  # photos to embeddings


class ParityError(FashionJaxError):
    """An export that does not embed as the model does."""


@dataclasses.dataclass(frozen=True)
class Parity:
    """Comparison of an export with the model that it was made from.

    Attributes:
        photos: compared, in batches of `BATCH_SIZES`.
        largest_difference: largest difference of any number of an embedding.
        smallest_cosine: smallest cosine between the two embeddings of a photo.
        tolerance: upper bound of the difference.
    """

    photos: int
    largest_difference: float
    smallest_cosine: float
    tolerance: float


def check_parity(model: Embed, exported: Embed, card: ModelCard) -> Parity:
    """Compare the embeddings of drawn photos in several batch sizes.

    Args:
        model: photos [batch, height, width, 3] to embeddings.
        exported: the same function of the export.
        card: card of the model, with its input size and compute dtype.

    Raises:
        ParityError: they differ by more than the tolerance.
    """
    tolerance = TOLERANCES[card.compute_dtype]
    differences, cosines = [], []
    for size in BATCH_SIZES:
        photos = drawn_photos(size, card.image_height, card.image_width)
        expected, found = (np.asarray(each(photos), np.float32) for each in (model, exported))
        differences.append(float(np.abs(expected - found).max()))
        cosines.append(float((expected * found).sum(1).min()))
    parity = Parity(sum(BATCH_SIZES), max(differences), min(cosines), tolerance)
    if not parity.largest_difference <= tolerance:
        raise ParityError(
            f"the export's embeddings differ from the model's by {parity.largest_difference:.2g}, "
            f"more than {tolerance:g} (smallest cosine {parity.smallest_cosine:.6f}); it was not "
            "kept"
        )
    return parity


def drawn_photos(count: int, height: int, width: int) -> UInt8[np.ndarray, "count height width 3"]:
    """Return photos of noise, and every second one a ramp, the same ones each time."""
    photos = np.random.default_rng(count).integers(0, 256, (count, height, width, 3), np.uint8)
    ramp = np.linspace(0, 255, height * width).reshape(height, width, 1).astype(np.uint8)
    photos[1::2] = ramp
    return photos
