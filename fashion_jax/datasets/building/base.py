"""Base class of dataset builders: options, records, counts, and the report next to the data.

Your own dataset is a subclass of `RetrievalBuilder` with a `name` and a `plan`:

```python
class MyShop(RetrievalBuilder):  # photos named PRODUCT-NUMBER.jpg, 1 taken by a customer
    name = "my_shop"

    def plan(self, manual_dir):
        splits = {"query": [], "gallery": []}
        for path in sorted(manual_dir.glob("*.jpg")):
            product, number = path.stem.split("-")
            domain = Domain.STREET if number == "1" else Domain.SHOP
            item = PlannedItem(path.name, category="shoes", identity=(product,), domain=domain)
            splits["query" if domain == Domain.STREET else "gallery"].append(item)
        return BuildPlan(splits, photos=PhotoTree(manual_dir), categories=["shoes"])
```

`build(MyShop, "data", "my_photos", splits=("query", "gallery"))` builds it. With an entry point in
your own package, commands and configs find it by name:

```toml
[project.entry-points."fashion_jax.datasets"]
my_shop = "my_package.my_shop:MyShop"
```

Your own options are fields of a subclass of `BuildOptions`, the class attribute `OPTIONS`.
"""

import abc
import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import tensorflow_datasets as tfds
from tqdm.auto import tqdm

from fashion_jax.datasets.building.beam_pass import BeamPass
from fashion_jax.datasets.building.build_report import BuildReport, published_sizes, write_report
from fashion_jax.datasets.building.contact_sheet import require_writable, write_contact_sheet
from fashion_jax.datasets.building.crop_samples import CropSamples
from fashion_jax.datasets.building.crops import CropOptions
from fashion_jax.datasets.building.options import make_options, option
from fashion_jax.datasets.building.ordered import default_threads
from fashion_jax.datasets.building.plan import BuildPlan
from fashion_jax.datasets.building.raw_copy import LayoutError
from fashion_jax.datasets.building.run import BuildRun, ExampleGenerator
from fashion_jax.datasets.building.tally import Tally
from fashion_jax.datasets.building.tfds_records import CanonicalWriter, record_features
from fashion_jax.datasets.built_files import write_products
from fashion_jax.datasets.records import SPLITS
from fashion_jax.errors import FashionJaxError, keeping
from fashion_jax.similar_names import did_you_mean


class EmptySplitError(FashionJaxError):
    """A requested split without any record."""


@dataclasses.dataclass(frozen=True)
class BuildOptions(CropOptions):
    """Options that the records of a dataset depend on.

    Attributes:
        validation_fraction: fraction of the training identities with a query and a match that
            becomes `val_query` and `val_gallery`.
        seed: seed of the choice of validation identities.
    """

    validation_fraction: float = option(0.05, most=0.9)
    seed: int = option(0, most=2**63 - 1)  # JSON readers know no larger number


class RetrievalBuilder(tfds.core.ShardBasedBuilder):
    """A TFDS builder of street and shop photos, in array_record files.

    A subclass defines `name` and `plan`; this class reads, crops, counts and writes the planned
    photos. Records keep the order of the plan: two builds of the same raw copy are equal, byte by
    byte.

    Args:
        manual_dir: directory of the raw copy; by default the one in TFDS's `DownloadConfig`.
        splits: names of the splits to write; by default all.
        threads: number of decoding threads; by default one per core.
        progress: whether to show a progress bar.
        beam: how to process the photos with Apache Beam; by default this machine's threads do it.
        file_format: TFDS file format of the records; must allow random access.
        data_dir: directory of built datasets; records go to `<name>/<version>/` below it.
        config: unused; part of TFDS's signature.
        version: version to build; by default the newest.
        **options: fields of `OPTIONS`.
    """

    VERSION = tfds.core.Version("1.0.0")
    OPTIONS: ClassVar[type[BuildOptions]] = BuildOptions
    # Sizes published by the dataset's authors, by name; a plan's `listed` uses the same names.
    PUBLISHED: ClassVar[Mapping[str, int]] = {}
    DESCRIPTION: ClassVar[str] = ""
    HOMEPAGE: ClassVar[str | None] = None
    CITATION: ClassVar[str | None] = None
    # `(manual_dir) -> LinkList`: links for `data download`; or None.
    read_links: ClassVar[Any] = None

    def __init__(
        self,
        *,
        manual_dir: str | os.PathLike[str] | None = None,
        splits: Sequence[str] | None = None,
        threads: int | None = None,
        progress: bool = True,
        beam: BeamPass | None = None,
        file_format: str = "array_record",
        data_dir: str | os.PathLike[str] | None = None,
        config: Any = None,
        version: Any = None,
        **options: Any,
    ):
        self.options = make_options(self.OPTIONS, options)
        self.chosen_splits = choose_splits(splits)
        self._manual_dir = manual_dir
        self._threads = threads or default_threads()
        self._progress = progress
        self._beam = beam
        super().__init__(file_format=file_format, data_dir=data_dir, config=config, version=version)

    @abc.abstractmethod
    def plan(self, manual_dir: Any) -> BuildPlan:
        """Read the raw dataset's lists, without opening any photo.

        Args:
            manual_dir: directory of the raw copy, a `pathlib.Path`; may be None for a builder
                without `MANUAL_DOWNLOAD_INSTRUCTIONS`.
        """

    def check(self, contact_sheet: str | os.PathLike[str] | None = None) -> BuildReport:
        """Decode every photo and count; write only the contact sheet.

        Args:
            contact_sheet: PNG file for a few photos with their boxes and crops, including every
                kind of defect; `None` for none.
        """
        if contact_sheet is not None:
            require_writable(contact_sheet)
        plan = self._plan(self._manual_dir)
        samples = CropSamples(self.options.seed)
        with self._run(plan, "checking photos") as run:
            run.check(samples)
        self.check_counts(run.tally)
        report = self._report(run.tally, plan)
        if contact_sheet is not None:
            groups, margin = samples.groups(), self.options.margin
            with keeping(report, "the contact sheet"):
                write_contact_sheet(contact_sheet, groups, plan.photos, margin, self._title())
        return report

    def check_counts(self, tally: Tally) -> None:
        """Refuse a dataset for its counts, after all its photos; by default none is refused."""

    def option_values(self) -> dict[str, Any]:
        """Return the options that the records depend on, as plain values for the report."""
        return {**dataclasses.asdict(self.options), "splits": list(self.chosen_splits)}

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.DESCRIPTION,
            features=record_features(),
            homepage=self.HOMEPAGE,
            citation=self.CITATION,
            disable_shuffling=True,
        )

    def _download_and_prepare(self, dl_manager: Any, download_config: Any = None) -> None:
        """Write all splits and the report into TFDS's hidden directory."""
        manual_dir = self._manual_dir
        if manual_dir is None and self.MANUAL_DOWNLOAD_INSTRUCTIONS:
            manual_dir = dl_manager.manual_dir
        plan = self._plan(manual_dir)
        self._refuse_empty(
            [split for split in self.chosen_splits if not plan.items(split)],
            "has no photo in the raw dataset's lists",
        )
        if self._beam is not None:
            self._beam.process(plan, self.chosen_splits, self.options)
        with self._run(plan, "building") as run:
            self._shards = run.shards()
            super()._download_and_prepare(dl_manager, download_config)
        self._refuse_empty(run.tally.empty_splits(), "has no usable photo")
        self.check_counts(run.tally)
        write_products(str(self.data_dir), run.identities)
        write_report(self._report(run.tally, plan), pathlib.Path(self.data_dir))

    def _example_writer(self) -> CanonicalWriter:
        return CanonicalWriter(self.info.file_format)

    def _shard_iterators_per_split(self, dl_manager: Any) -> dict[str, list[ExampleGenerator]]:
        return self._shards

    def _plan(self, manual_dir: str | os.PathLike[str] | None) -> BuildPlan:
        folder = None if manual_dir is None else pathlib.Path(manual_dir).expanduser().resolve()
        if folder is None and self.MANUAL_DOWNLOAD_INSTRUCTIONS:
            raise LayoutError(f"{self.name} needs --manual_dir, the directory of its raw copy")
        self._manual_dir = folder
        return self.plan(folder)

    @contextlib.contextmanager
    def _run(self, plan: BuildPlan, what: str) -> Iterator[BuildRun]:
        tally = Tally(self.chosen_splits, plan.categories)
        for kind, names in plan.problems.items():
            for name in names:
                tally.add_problem(kind, name)
        with tqdm(
            total=sum(len(plan.items(split)) for split in self.chosen_splits),
            desc=f"{self.name}: {what}",
            unit=" photos",
            disable=not self._progress,
            mininterval=0.5,
        ) as bar:
            yield BuildRun(plan, self.options, self._threads, tally, bar, self._beam)

    def _title(self) -> str:
        """Name the dataset and its options that differ from the defaults."""
        default = dataclasses.asdict(self.OPTIONS())
        values = dataclasses.asdict(self.options)
        other = [f"{name}={values[name]}" for name in values if values[name] != default[name]]
        return f"{self.name} {', '.join(other)}".strip()

    def _refuse_empty(self, splits: Sequence[str], reason: str) -> None:
        if not splits:
            return
        rest = [split for split in self.chosen_splits if split not in splits]
        others = f", or build the others with --splits {' '.join(rest)}" if rest else ""
        source = f" (in {self._manual_dir})" if self._manual_dir else ""
        raise EmptySplitError(
            f"{self.name}{source}: split {', '.join(splits)} {reason}; "
            f"complete the raw copy{others}"
        )

    def _report(self, tally: Tally, plan: BuildPlan) -> BuildReport:
        return BuildReport.from_tally(
            tally,
            dataset=self.name,
            version=str(self.version),
            manual_dir=None if self._manual_dir is None else str(self._manual_dir),
            options=self.option_values(),
            published=published_sizes(self.PUBLISHED, plan.listed, plan.found),
        )


def choose_splits(splits: Sequence[str] | None) -> tuple[str, ...]:
    """Bring the requested splits into their usual order; all by default."""
    if splits is None:
        return SPLITS
    wrong = [split for split in splits if split not in SPLITS]
    if wrong or not splits:
        found = f"unknown split {', '.join(wrong)}" if wrong else "no split named"
        hint = did_you_mean(wrong[0], SPLITS) if wrong else ""
        raise FashionJaxError(f"{found}; the splits are {', '.join(SPLITS)}{hint}")
    return tuple(split for split in SPLITS if split in splits)
