"""A split whose photos are disturbed whenever they are read."""

import cv2
import numpy as np
from jaxtyping import Int

from fashion_jax.datasets.corruptions import Nuisance, generator
from fashion_jax.datasets.dataset import Split
from fashion_jax.datasets.loader import decode_at_stored_size


class DisturbedSplit(Split):
    """Some rows of a split; a nuisance works on the stored crops, before they are resized.

    A photo is disturbed in the same way whichever other rows there are, and whoever reads it.
    """

    def __init__(
        self,
        split: Split,
        rows: Int[np.ndarray, " rows"],
        nuisance: Nuisance | None = None,
        strength: float = 0.0,
        seed: int = 0,
    ) -> None:
        """The given rows of a split, in this order; undisturbed by default."""
        self.name = f"{split.name}, {nuisance.name} {strength:g}" if nuisance else split.name
        self.identity = split.identity[rows]
        self.domain = split.domain[rows]
        self.category = split.category[rows]
        self.photo_id = split.photo_id[rows]
        self.camera = split.camera[rows]
        self._split = split
        self._rows = rows
        self._nuisance = nuisance
        self._strength = strength
        self._seed = seed

    def image_bytes(self, row: int) -> bytes:
        """The photo in `row`: as stored, or disturbed and encoded without loss."""
        encoded = self._split.image_bytes(int(self._rows[row]))
        if self._nuisance is None or self._strength == 0:
            return encoded
        rng = generator(self._nuisance.name, str(self.photo_id[row]), self._seed)
        disturbed = self._nuisance.apply(decode_at_stored_size(encoded), self._strength, rng)
        bgr = cv2.cvtColor(disturbed, cv2.COLOR_RGB2BGR)
        return cv2.imencode(".bmp", bgr)[1].tobytes()  # no compression: it is decoded at once
