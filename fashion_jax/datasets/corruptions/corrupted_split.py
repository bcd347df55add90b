"""A split whose photos are corrupted when they are read."""

import cv2
import numpy as np
from jaxtyping import Int

from fashion_jax.datasets.corruptions import Corruption, generator
from fashion_jax.datasets.dataset import Split, SplitRows
from fashion_jax.datasets.photos import decode_record


class CorruptedSplit(SplitRows):
    """Some rows of a split, corrupted at their stored size, before they are resized.

    The corruption of a photo depends neither on the other rows nor on the reader.
    """

    def __init__(
        self,
        split: Split,
        rows: Int[np.ndarray, " rows"],
        corruption: Corruption | None = None,
        severity: float = 0.0,
        seed: int = 0,
    ) -> None:
        """Select the given rows of a split, in this order; by default without a corruption."""
        super().__init__(split, rows)
        if corruption is not None:
            self.name = f"{split.name}, {corruption.name} {severity:g}"
        self._corruption = corruption
        self._severity = severity
        self._seed = seed

    def image_bytes(self, row: int) -> bytes:
        """Read the photo in `row`: as stored, or corrupted and encoded without loss."""
        encoded = super().image_bytes(row)
        if self._corruption is None or self._severity == 0:
            return encoded
        rng = generator(self._corruption.name, str(self.photo_id[row]), self._seed)
        corrupted = self._corruption.apply(decode_record(encoded), self._severity, rng)
        bgr = cv2.cvtColor(corrupted, cv2.COLOR_RGB2BGR)
        return cv2.imencode(".bmp", bgr)[1].tobytes()  # uncompressed: it is decoded at once
