"""Settings of ScaNN: compression and partitions of a gallery, and their limits."""

import dataclasses
import math

from fashion_jax.errors import FashionJaxError

# With fewer rows, comparing all of them is fast, and too few to train the codebooks.
HASHED_FROM = 2_000
# With fewer rows, exact search is as fast (measured at 512 dimensions on two CPU cores).
FASTER_FROM = 10_000
# With fewer rows, comparing all codes is fast, and has a higher recall than partitions.
PARTITIONED_FROM = 100_000
SHARE_OF_LEAVES_SEARCHED = 0.2
# ScaNN's codebooks have 16 centers, which it cannot train from fewer rows.
FEWEST_ROWS_TO_HASH = 16


class ScannError(FashionJaxError):
    """Raised for settings that ScaNN cannot handle, and when ScaNN is missing."""


class ScannMissingError(ScannError):
    """Raised when ScaNN is not installed."""


@dataclasses.dataclass(frozen=True)
class ScannSettings:
    """Compression and partitioning of a gallery.

    Attributes:
        hashed: whether queries are compared with compressed rows first; otherwise every row is
            compared exactly, and the other settings do not apply.
        reorder: number of candidates whose exact scores are computed.
        leaves: number of partitions of the gallery; 0 for none.
        leaves_to_search: number of nearest partitions that are searched.
    """

    hashed: bool = True
    reorder: int = 150
    leaves: int = 0
    leaves_to_search: int = 0

    @classmethod
    def for_rows(cls, rows: int) -> "ScannSettings":
        """Return settings for a gallery of this size: exact, hashed, or hashed and partitioned."""
        if rows < HASHED_FROM:
            return cls(hashed=False)
        if rows < PARTITIONED_FROM:
            return cls()
        leaves = round(math.sqrt(rows))
        searched = math.ceil(SHARE_OF_LEAVES_SEARCHED * leaves)
        return cls(leaves=leaves, leaves_to_search=searched)

    def check(self, rows: int) -> None:
        """Check that ScaNN can build an index of this many rows.

        Raises:
            ScannError: if it cannot; names the setting.
        """
        if not self.hashed:
            return
        if rows < FEWEST_ROWS_TO_HASH:
            raise ScannError(
                f"{rows} rows are too few to hash; ScaNN needs at least {FEWEST_ROWS_TO_HASH}. "
                f"Use ScannSettings(hashed=False)"
            )
        if self.reorder < 1:
            raise ScannError(f"reorder is {self.reorder}; it must be at least 1")
        if not 0 <= self.leaves <= rows:
            raise ScannError(f"leaves is {self.leaves}; it must be between 0 and {rows} rows")
        fewest = min(1, self.leaves)
        if not fewest <= self.leaves_to_search <= self.leaves:
            raise ScannError(
                f"leaves_to_search is {self.leaves_to_search}; it must be between {fewest} and "
                f"the number of leaves, {self.leaves}"
            )
