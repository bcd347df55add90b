"""A corruption: a change of an image whose severity grows from 0 to 1."""

import dataclasses
import hashlib
from collections.abc import Callable

import numpy as np
from jaxtyping import UInt8

RgbImage = UInt8[np.ndarray, "height width 3"]

# (image, severity above 0, generator) -> image of the same size. All random numbers are drawn
# before the severity is used, and equally many for every image size: an image is then corrupted in
# the same direction at every severity, and its curve is smooth.
CorruptionFunction = Callable[[RgbImage, float, np.random.Generator], RgbImage]


@dataclasses.dataclass(frozen=True)
class Corruption:
    """A kind of corruption that leaves a garment recognisable.

    Attributes:
        name: name in commands and results.
        full_severity: description of severity 1, in words and physical units.
        function: change of an image; see `CorruptionFunction`.
    """

    name: str
    full_severity: str
    function: CorruptionFunction

    def apply(self, image: RgbImage, severity: float, rng: np.random.Generator) -> RgbImage:
        """Corrupt an RGB image.

        Args:
            image: image of any size; never written to.
            severity: 0 (unchanged) to 1.
            rng: source of directions, signs, positions and colours.

        Raises:
            ValueError: if the severity lies outside 0..1.
        """
        if not 0 <= severity <= 1:
            raise ValueError(f"the severity of {self.name} must lie in 0..1, got {severity}")
        return image.copy() if severity == 0 else self.function(image, severity, rng)


def generator(corruption: str, photo_id: str, seed: int) -> np.random.Generator:
    """Seed the random numbers of one corruption on one photo: the same on every machine."""
    digest = hashlib.blake2b(f"{corruption}\0{photo_id}".encode(), digest_size=8).digest()
    return np.random.default_rng((seed, int.from_bytes(digest, "little")))


def random_sign(rng: np.random.Generator) -> int:
    """Draw 1 or −1 with equal probability."""
    return 1 if rng.random() < 0.5 else -1
