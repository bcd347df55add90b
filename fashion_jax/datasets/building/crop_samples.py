"""Samples of a check for visual inspection, including every kind of box defect."""

import dataclasses
import hashlib
import heapq
import itertools
from collections.abc import Sequence

from fashion_jax.datasets.building.crops import StoredItem
from fashion_jax.datasets.building.plan import PlannedItem
from fashion_jax.datasets.building.tally import BOX_DEFECTS
from fashion_jax.datasets.records import Domain

GOOD_STREET, GOOD_SHOP = "good_street", "good_shop"
WITHOUT_ANY = "without_any"
KINDS = (*BOX_DEFECTS, GOOD_STREET, GOOD_SHOP, WITHOUT_ANY)
"""Kinds of items: by defect of the box; with a good box; of datasets or domains without boxes."""

# On a street photo the garment is one thing among many: wrong boxes are most visible there.
_KEPT = {GOOD_STREET: 16, GOOD_SHOP: 8}
_KEPT_OF_OTHERS = 4


@dataclasses.dataclass(frozen=True)
class SampleGroup:
    """Samples of one kind.

    Attributes:
        kind: one of `KINDS`.
        total: number of items of this kind.
        items: samples of them, by photo.
    """

    kind: str
    total: int
    items: Sequence[PlannedItem]


class CropSamples:
    """Collector of a few items per kind, in bounded memory and without their pixels.

    The items with the smallest hashes of seed and name are kept, in whatever order they come.

    Args:
        seed: seed of the choice.
    """

    def __init__(self, seed: int):
        self._seed = seed
        self._totals = dict.fromkeys(KINDS, 0)
        self._kept: dict[str, list[tuple[int, int, PlannedItem]]] = {kind: [] for kind in KINDS}
        self._order = itertools.count()  # breaks ties, so that items are never compared

    def add(self, stored: StoredItem) -> None:
        """Add an item of a usable photo."""
        kind = stored.box_defect or _kind_without_defect(stored.item)
        self._totals[kind] += 1
        kept = self._kept[kind]
        # The heap's first entry has the largest hash: it is the next one dropped.
        heapq.heappush(kept, (-self._hash(stored.item), next(self._order), stored.item))
        if len(kept) > _KEPT.get(kind, _KEPT_OF_OTHERS):
            heapq.heappop(kept)

    def groups(self) -> list[SampleGroup]:
        """Return the samples of all kinds met, defects first."""
        return [
            SampleGroup(kind, total, self._sorted(kind))
            for kind, total in self._totals.items()
            if total
        ]

    def _sorted(self, kind: str) -> list[PlannedItem]:
        items = [item for _, _, item in self._kept[kind]]
        return sorted(items, key=lambda item: (item.photo_id, item.identity))

    def _hash(self, item: PlannedItem) -> int:
        name = repr((self._seed, item.photo_id, item.identity)).encode()
        return int.from_bytes(hashlib.sha256(name).digest()[:8])


def _kind_without_defect(item: PlannedItem) -> str:
    if item.box is None:
        return WITHOUT_ANY
    return GOOD_STREET if item.domain == Domain.STREET else GOOD_SHOP
