"""One pass over the photos of a plan."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tqdm.auto import tqdm

from fashion_jax.datasets.building.crop_samples import CropSamples
from fashion_jax.datasets.building.crops import (
    CropOptions,
    StoredItem,
    by_photo,
    process_photo,
    shards,
)
from fashion_jax.datasets.building.features import to_example
from fashion_jax.datasets.building.ordered import map_in_order
from fashion_jax.datasets.building.plan import Identity, Item, Plan
from fashion_jax.datasets.building.tally import Tally

KeyExample = tuple[int, dict[str, Any]]
ExampleGenerator = Callable[[], Iterator[KeyExample]]


@dataclasses.dataclass(frozen=True)
class Run:
    """What a pass needs, and what it takes down.

    Attributes:
        plan: which photos, in which order.
        options: how crops are stored.
        threads: decoding threads.
        tally: counts what the pass meets.
        bar: shows how far it is.
    """

    plan: Plan
    options: CropOptions
    threads: int
    tally: Tally
    bar: tqdm

    def check(self, samples: CropSamples) -> None:
        """Decodes everything, keeps nothing but a few items' names to look at."""
        for split in self.tally.splits:
            for stored in self._stored(split, self.plan.splits[split], encode=False):
                samples.add(stored)

    def shards(self) -> dict[str, list[ExampleGenerator]]:
        """Generators of examples, by split and shard; to be run in this order."""
        identities: dict[Identity, int] = {}
        return {
            split: [
                functools.partial(self._examples, split, items, identities)
                for items in shards(self.plan.splits[split])
            ]
            for split in self.tally.splits
        }

    def _examples(
        self, split: str, items: Sequence[Item], identities: dict[Identity, int]
    ) -> Iterator[KeyExample]:
        for row, stored in enumerate(self._stored(split, items, encode=True)):
            # Numbered as they are first written: dense, whatever photos the raw copy lacks.
            identity = identities.setdefault(stored.item.identity, len(identities))
            example = to_example(stored, identity)
            yield row, example
            # Written by now; but TFDS holds on to all examples of a shard, to count them.
            example.clear()

    def _stored(self, split: str, items: Sequence[Item], *, encode: bool) -> Iterator[StoredItem]:
        """Decodes photos in threads, takes everything down, gives what is usable, in order."""
        process = functools.partial(
            process_photo, photos=self.plan.photos, options=self.options, encode=encode
        )
        for result in map_in_order(process, by_photo(items), self.threads):
            result.count(self.tally)
            for stored in result.stored:
                self.tally.add_record(split, stored.item.category, stored.item.identity)
                yield stored
            self.bar.update(result.items)
