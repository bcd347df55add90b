"""One pass over the photos of a build plan."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tqdm.auto import tqdm

from fashion_jax.datasets.building.beam_pass import BeamPass
from fashion_jax.datasets.building.crop_samples import CropSamples
from fashion_jax.datasets.building.crops import (
    CropOptions,
    PhotoResult,
    StoredItem,
    by_photo,
    process_photo,
    shards,
)
from fashion_jax.datasets.building.ordered import map_in_order
from fashion_jax.datasets.building.plan import BuildPlan, Identity, PlannedItem
from fashion_jax.datasets.building.tally import Tally
from fashion_jax.datasets.building.tfds_records import to_example

KeyExample = tuple[int, dict[str, Any]]
ExampleGenerator = Callable[[], Iterator[KeyExample]]


@dataclasses.dataclass(frozen=True)
class BuildRun:
    """A pass over all photos, to check them or to write records.

    Attributes:
        plan: photos and their order.
        options: format of the crops.
        threads: number of decoding threads.
        tally: counts of everything met.
        bar: progress bar.
        beam: pass of Apache Beam that has processed the photos; else threads do it here.
        identities: numbers of the products, in the order of their first records.
    """

    plan: BuildPlan
    options: CropOptions
    threads: int
    tally: Tally
    bar: tqdm
    beam: BeamPass | None = None
    identities: dict[Identity, int] = dataclasses.field(default_factory=dict)

    def check(self, samples: CropSamples) -> None:
        """Decode everything; keep only the names of a few items to look at."""
        for split in self.tally.splits:
            for result in self._processed(self.plan.items(split), encode=False):
                for stored in self._counted(split, result):
                    samples.add(stored)

    def shards(self) -> dict[str, list[ExampleGenerator]]:
        """Make generators of examples, by split and shard, to be run in this order."""
        return {
            split: [
                functools.partial(self._examples, split, number, items)
                for number, items in enumerate(shards(self.plan.items(split)))
            ]
            for split in self.tally.splits
        }

    def _examples(
        self, split: str, number: int, items: Sequence[PlannedItem]
    ) -> Iterator[KeyExample]:
        if self.beam is None:
            results = self._processed(items, encode=True)
        else:
            results = self.beam.results(split, number)
        usable = (stored for result in results for stored in self._counted(split, result))
        for row, stored in enumerate(usable):
            # Numbered as they are first written: dense, whatever photos the raw copy lacks.
            identity = self.identities.setdefault(stored.item.identity, len(self.identities))
            example = to_example(stored, identity)
            yield row, example
            # Already written; but TFDS keeps all examples of a shard in order to count them.
            example.clear()

    def _processed(self, items: Sequence[PlannedItem], *, encode: bool) -> Iterator[PhotoResult]:
        """Decode photos in threads, and yield what became of them in order."""
        process = functools.partial(
            process_photo, photos=self.plan.photos, options=self.options, encode=encode
        )
        return map_in_order(process, by_photo(items), self.threads)

    def _counted(self, split: str, result: PhotoResult) -> Iterator[StoredItem]:
        """Count a photo and everything on it; yield its usable items."""
        result.count(self.tally)
        for stored in result.stored:
            self.tally.add_record(split, stored.item.category, stored.item.identity)
            yield stored
        self.bar.update(len(result.items))
