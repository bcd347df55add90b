"""Photos of a build plan, processed by Apache Beam: on the cores of a machine, or on many machines.

Reading, decoding, cutting out and encoding photos is nearly all of a build's work, and needs no
order. The results go to a folder, one file for each shard; from there, the machine that builds
numbers the products, counts and writes the records, as it does with results of its own threads. So
the records are the same, and in the same files.
"""

import contextlib
import dataclasses
import functools
import pathlib
import shutil
from collections.abc import Iterator, Sequence

import msgspec

from fashion_jax.addresses import is_address, naming_remedy, open_storage
from fashion_jax.datasets.building.crops import (
    CropOptions,
    PhotoResult,
    by_photo,
    process_photo,
    shards,
)
from fashion_jax.datasets.building.plan import BuildPlan, PhotoSource, PlannedItem
from fashion_jax.errors import FashionJaxError, needs_extra
from fashion_jax.files import atomic_write


class BeamError(FashionJaxError):
    """A Beam pipeline that failed, or whose results this machine does not see."""


@dataclasses.dataclass(frozen=True)
class BeamPass:
    """A pass over all photos with Apache Beam.

    Attributes:
        folder: place for the results, which all workers and this machine see: a local or mounted
            folder, or an address.
        options: Beam's pipeline options, such as `runner=FlinkRunner`, or a name without a value;
            by default Beam's own, which run on this machine.
    """

    folder: str
    options: Sequence[str] = ()

    def process(self, plan: BuildPlan, splits: Sequence[str], options: CropOptions) -> None:
        """Process all photos, and store the results for `results`.

        Raises:
            BeamError: the pipeline failed; with what the runner says.
        """
        with needs_extra("beam"):
            import apache_beam as beam
            from apache_beam.options.pipeline_options import PipelineOptions
        tasks = [
            (_name(split, number), items)
            for split in splits
            for number, items in enumerate(shards(plan.items(split)))
        ]
        store = functools.partial(
            _store_results, folder=self.folder, photos=plan.photos, options=options
        )
        try:
            flags = [f"--{option}" for option in self.options]
            with beam.Pipeline(options=PipelineOptions(flags)) as pipeline:
                _ = pipeline | beam.Create(tasks) | beam.Map(lambda task: store(*task))
        except (Exception, SystemExit) as error:  # whatever a runner raises; of a wrong flag
            raise BeamError(
                f"the Beam pipeline failed: {str(error).strip() or repr(error)}"
            ) from error

    def results(self, split: str, number: int) -> Iterator[PhotoResult]:
        """Read the results of a shard, in order, and remove them.

        Raises:
            BeamError: they are not there.
        """
        place = f"{self.folder}/{_name(split, number)}"
        try:
            # Not pickle's: others may write to a shared folder as well.
            results = msgspec.msgpack.decode(_read(place), type=list[PhotoResult])
        except msgspec.MsgspecError as error:
            raise BeamError(
                f"{place} does not have results of Beam's workers: {error}; build again"
            ) from error
        except FileNotFoundError as error:
            raise BeamError(
                f"no results of Beam's workers in {place}: they have to see the same folder as "
                "this machine. Build to a data_dir on a shared disk, or at an address"
            ) from error
        yield from results
        _remove(place)

    def clear(self) -> None:
        """Remove the folder of the results."""
        if not is_address(self.folder):
            shutil.rmtree(self.folder, ignore_errors=True)
            return
        storage = open_storage(self.folder.split(":", 1)[0])
        with naming_remedy(self.folder, "written"), contextlib.suppress(FileNotFoundError):
            storage.invalidate_cache()
            storage.rm(self.folder, recursive=True)


def _store_results(
    name: str,
    items: Sequence[PlannedItem],
    folder: str,
    photos: PhotoSource,
    options: CropOptions,
) -> None:
    """Process a shard's photos on a worker."""
    results = [
        process_photo(group, photos=photos, options=options, encode=True)
        for group in by_photo(items)
    ]
    content = msgspec.msgpack.encode(results)
    place = f"{folder}/{name}"
    if is_address(place):
        open_storage(place.split(":", 1)[0]).pipe_file(place, content)
    else:
        atomic_write(place, content)


def _read(place: str) -> bytes:
    if is_address(place):
        return bytes(open_storage(place.split(":", 1)[0]).cat_file(place))
    return pathlib.Path(place).read_bytes()


def _remove(place: str) -> None:
    if is_address(place):
        open_storage(place.split(":", 1)[0]).rm_file(place)
    else:
        pathlib.Path(place).unlink()


def _name(split: str, number: int) -> str:
    return f"{split}-{number:05d}"
