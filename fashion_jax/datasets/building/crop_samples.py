"""A few items of a check to be looked at, each kind of box defect among them."""

import dataclasses
import hashlib
import heapq
import itertools
from collections.abc import Sequence

from fashion_jax.datasets.building.crops import StoredItem
from fashion_jax.datasets.building.plan import Item
from fashion_jax.datasets.building.tally import BOX_DEFECTS
from fashion_jax.datasets.records import Domain

GOOD_STREET, GOOD_SHOP = "good_street", "good_shop"
WITHOUT_ANY = "without_any"
KINDS = (*BOX_DEFECTS, GOOD_STREET, GOOD_SHOP, WITHOUT_ANY)
"""Kinds of items: by the defect of their box; with a good one; of datasets or domains without."""

# On a street photo the garment is one thing among many: there wrong boxes show.
_KEPT = {GOOD_STREET: 16, GOOD_SHOP: 8}
_KEPT_OF_OTHERS = 4


@dataclasses.dataclass(frozen=True)
class SampleGroup:
    """What is kept of one kind.

    Attributes:
        kind: one of `KINDS`.
        total: items of this kind that were met.
        items: some of them, by photo.
    """

    kind: str
    total: int
    items: Sequence[Item]


class CropSamples:
    """Keeps a few items of each kind, whatever the dataset's size, without their pixels.

    Which ones are kept depends on their names and the seed only, not on the order in which they
    come: those with the smallest hashes.

    Args:
        seed: another one keeps others.
    """

    def __init__(self, seed: int):
        self._seed = seed
        self._totals = dict.fromkeys(KINDS, 0)
        self._kept: dict[str, list[tuple[int, int, Item]]] = {kind: [] for kind in KINDS}
        self._order = itertools.count()  # so that items themselves are never compared

    def add(self, stored: StoredItem) -> None:
        """Takes down an item of a usable photo."""
        kind = stored.box_defect or _kind_without_defect(stored.item)
        self._totals[kind] += 1
        kept = self._kept[kind]
        # The heap's first entry has the largest hash: it is the next to go.
        heapq.heappush(kept, (-self._hash(stored.item), next(self._order), stored.item))
        if len(kept) > _KEPT.get(kind, _KEPT_OF_OTHERS):
            heapq.heappop(kept)

    def groups(self) -> list[SampleGroup]:
        """What was kept, defects first; kinds that were not met are left out."""
        return [
            SampleGroup(kind, total, self._sorted(kind))
            for kind, total in self._totals.items()
            if total
        ]

    def _sorted(self, kind: str) -> list[Item]:
        items = [item for _, _, item in self._kept[kind]]
        return sorted(items, key=lambda item: (item.photo_id, item.identity))

    def _hash(self, item: Item) -> int:
        name = repr((self._seed, item.photo_id, item.identity)).encode()
        return int.from_bytes(hashlib.sha256(name).digest()[:8])


def _kind_without_defect(item: Item) -> str:
    if item.box is None:
        return WITHOUT_ANY
    return GOOD_STREET if item.domain == Domain.STREET else GOOD_SHOP
