"""How a gallery is compressed and divided for ScaNN, and which settings it would not survive."""

import dataclasses
import math

from fashion_jax.errors import FashionJaxError

# Below, comparing with every row is fast, and codebooks have too little to learn from.
HASHED_FROM = 2_000
# Below, exact search on a CPU is as fast (measured at 512 dimensions on two cores).
FASTER_FROM = 10_000
# Below, comparing with every row's code is fast, and finds more than any partition does.
PARTITIONED_FROM = 100_000
SHARE_OF_LEAVES_SEARCHED = 0.2
# The codebooks have 16 centers, and ScaNN refuses to place them among fewer rows.
FEWEST_ROWS_TO_HASH = 16


class ScannError(FashionJaxError):
    """Settings that ScaNN cannot work with, or no ScaNN at all."""


class ScannMissingError(ScannError):
    """ScaNN is not installed here."""


@dataclasses.dataclass(frozen=True)
class ScannSettings:
    """How a gallery is compressed and divided.

    Attributes:
        hashed: compare with compressed rows first; without, every row is compared exactly.
        reorder: candidates whose exact scores are computed, where rows are hashed.
        leaves: partitions of the gallery; 0 for none. Only where rows are hashed.
        leaves_to_search: nearest partitions that a query is compared with.
    """

    hashed: bool = True
    reorder: int = 150
    leaves: int = 0
    leaves_to_search: int = 0

    @classmethod
    def for_rows(cls, rows: int) -> "ScannSettings":
        """Settings for a gallery's size: exact, then hashed, then partitioned, too."""
        if rows < HASHED_FROM:
            return cls(hashed=False)
        if rows < PARTITIONED_FROM:
            return cls()
        leaves = round(math.sqrt(rows))
        searched = math.ceil(SHARE_OF_LEAVES_SEARCHED * leaves)
        return cls(leaves=leaves, leaves_to_search=searched)

    def check(self, rows: int) -> None:
        """Refuses what ScaNN cannot build for so many rows.

        Raises:
            ScannError: naming the setting.
        """
        if not self.hashed:
            return
        if rows < FEWEST_ROWS_TO_HASH:
            raise ScannError(
                f"{rows} rows are too few to hash, ScaNN needs {FEWEST_ROWS_TO_HASH}; "
                f"use ScannSettings(hashed=False)"
            )
        if self.reorder < 1:
            raise ScannError(f"reorder is {self.reorder}; it must be at least 1")
        if not 0 <= self.leaves <= rows:
            raise ScannError(f"leaves is {self.leaves}; it must lie between 0 and the {rows} rows")
        fewest = min(1, self.leaves)
        if not fewest <= self.leaves_to_search <= self.leaves:
            raise ScannError(
                f"leaves_to_search is {self.leaves_to_search}; it must lie between {fewest} "
                f"and leaves, which is {self.leaves}"
            )
