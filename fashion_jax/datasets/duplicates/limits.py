"""Limits of what is nearly the same."""

import dataclasses
import math

from fashion_jax.errors import FashionJaxError


@dataclasses.dataclass(frozen=True)
class Limits:
    """Limits of what is nearly the same; docs/duplicates.md has the measurements behind them.

    Attributes:
        hash_distance: most bits of 64 that differ between perceptual hashes; they are even numbers.
        colour_difference: largest difference between cells of the colour grids (CIE 1976 ΔE).
        cosine: least cosine similarity of photos that are similar by their embeddings.
        similar_hash_distance: `hash_distance` of similar photos.
        similar_colour_difference: `colour_difference` of similar photos.
        pairs: most pairs kept of a photo that is close to very many others.
    """

    hash_distance: int = 8
    colour_difference: float = 10.0
    cosine: float = 0.95
    similar_hash_distance: int = 16
    similar_colour_difference: float = 20.0
    pairs: int = 10

    def __post_init__(self) -> None:
        if not 0 <= self.hash_distance <= 64:
            raise FashionJaxError(
                f"hash_distance must be in 0..64, the bits of a hash; got {self.hash_distance}"
            )
        if not (self.colour_difference >= 0 and math.isfinite(self.colour_difference)):
            raise FashionJaxError(
                f"colour_difference must be 0 or larger; got {self.colour_difference}"
            )
        if not -1 <= self.cosine <= 1:
            raise FashionJaxError(f"cosine must be in -1..1; got {self.cosine}")
        if self.pairs < 1:
            raise FashionJaxError(f"pairs must be 1 or more; got {self.pairs}")
