"""What a nuisance is: a disturbance of a photo that grows from nothing to full strength."""

import dataclasses
import hashlib
from collections.abc import Callable

import numpy as np
from jaxtyping import UInt8

Photo = UInt8[np.ndarray, "height width 3"]

# (photo, strength above 0, generator) -> photo of the same size. What is random is drawn before
# the strength is looked at, and the same number of times whatever the photo's size: a photo is
# then disturbed in the same direction at every strength, and its curve is smooth.
Disturbance = Callable[[Photo, float, np.random.Generator], Photo]


@dataclasses.dataclass(frozen=True)
class Nuisance:
    """A kind of disturbance that leaves a garment the same garment.

    Attributes:
        name: in commands and results.
        full_strength: what strength 1 is, in words and physical units.
        disturb: see `Disturbance`.
    """

    name: str
    full_strength: str
    disturb: Disturbance

    def apply(
        self,
        image: UInt8[np.ndarray, "height width 3"],
        strength: float,
        rng: np.random.Generator,
    ) -> UInt8[np.ndarray, "height width 3"]:
        """Disturbs an RGB photo.

        Args:
            image: of any size; it is not written to.
            strength: 0, which changes nothing, to 1.
            rng: decides on directions, signs, places and colours.

        Raises:
            ValueError: if the strength lies outside 0..1.
        """
        if not 0 <= strength <= 1:
            raise ValueError(f"the strength of {self.name} has to lie in 0..1, got {strength}")
        return image.copy() if strength == 0 else self.disturb(image, strength, rng)


def generator(nuisance: str, photo_id: str, seed: int) -> np.random.Generator:
    """The random numbers of one nuisance on one photo: the same on every machine."""
    digest = hashlib.blake2b(f"{nuisance}\0{photo_id}".encode(), digest_size=8).digest()
    return np.random.default_rng((seed, int.from_bytes(digest, "little")))


def either_way(rng: np.random.Generator) -> int:
    """1 or −1, as likely as each other."""
    return 1 if rng.random() < 0.5 else -1
