"""TFDS builder of a team's own photos, listed in one CSV or Parquet file."""

import dataclasses
import functools
import pathlib
from typing import Any, ClassVar

import pyarrow.compute as pc

from fashion_jax.datasets.boxes import UNITS
from fashion_jax.datasets.building.base import BuildOptions, RetrievalBuilder
from fashion_jax.datasets.building.options import OptionError, choice, option
from fashion_jax.datasets.building.plan import BuildPlan
from fashion_jax.datasets.building.tally import Tally
from fashion_jax.datasets.photo_lists.fields import FIELD
from fashion_jax.datasets.photo_lists.photo_list import PhotoList, read_photo_list
from fashion_jax.datasets.photo_lists.problems import PhotoListError

from .photos import open_photos
from .splits import assign_splits
from .storage import absolute, is_address, read_file

_THREADS_FOR_STORAGE = 16  # they mostly wait for answers
# On so many photos, one garment lies beyond this part of its photo.
_ENOUGH_PHOTOS = 10
_MIDDLE = 0.5


@dataclasses.dataclass(frozen=True)
class CatalogueOptions(BuildOptions):
    """Options of the builder.

    Attributes:
        manifest: list of photos: a path, or a URI (`gs://`, `s3://`).
        photos: directory, or URI, that the names of the photos are relative to.
        test_fraction: fraction of the products with a query and a match that becomes `query` and
            `gallery` if the manifest names no splits.
        box_unit: unit of the boxes: `pixels`, or `fraction` or `percent` of the photo. `auto`
            takes boxes that are all below a pixel for fractions, and refuses those that cannot
            be in pixels.
    """

    manifest: str = ""
    photos: str = ""
    test_fraction: float = option(0.2, most=0.9)
    box_unit: str = choice("auto", *UNITS)


class CatalogueBuilder(RetrievalBuilder):
    """Builder of a team's own photos, listed in a manifest."""

    name = "catalogue"
    OPTIONS: ClassVar[type[BuildOptions]] = CatalogueOptions
    DESCRIPTION = "Photos of a team's own products, as listed in a manifest."
    options: CatalogueOptions

    def __init__(self, **arguments: Any):
        super().__init__(**arguments)
        self.options = dataclasses.replace(
            self.options,
            manifest=absolute(self.options.manifest),
            photos=absolute(self.options.photos),
        )
        if arguments.get("threads") is None and is_address(self.options.photos):
            self._threads = _THREADS_FOR_STORAGE

    def plan(self, manual_dir: pathlib.Path | None) -> BuildPlan:
        """Read the manifest.

        Raises:
            OptionError: if --manifest is missing, or --manual_dir is given.
            PhotoListError: if the manifest is invalid; with all its problems.
            FileAccessError: if the manifest or the photos cannot be found.
        """
        if manual_dir is not None:
            raise OptionError("catalogue takes --manifest and --photos instead of --manual_dir")
        options = self.options
        rows = self._manifest.rows
        splits = assign_splits(
            rows, options.test_fraction, options.validation_fraction, options.seed
        )
        names = pc.unique(rows["photo"]).to_pylist()
        photos = open_photos(options.photos, names, self._box_unit)
        categories = sorted(pc.unique(rows["category"]).to_pylist())
        fields = [name.removeprefix(FIELD) for name in rows.column_names if name.startswith(FIELD)]
        problems = {**self._manifest.problems, "column_not_in_records": fields}
        return BuildPlan(splits, photos, categories, problems)

    def check_counts(self, tally: Tally) -> None:
        """Refuse boxes that cannot be in the unit that they were taken for.

        Raises:
            PhotoListError: no box of many photos reaches beyond the middle of its photo.
        """
        if self.options.box_unit != "auto" or self._box_unit != "pixels":
            return
        reach = tally.box_reach
        if len(reach.photos) >= _ENOUGH_PHOTOS and max(reach.across, reach.down) < _MIDDLE:
            raise PhotoListError(
                f"{self.options.manifest}: on none of {len(reach.photos):,} photos does a box "
                f"reach beyond {reach.across:.0%} of the width and {reach.down:.0%} of the height. "
                "Are they per cent (--option.box_unit=percent), or of thumbnails? If they are in "
                "pixels of these photos, say so: --option.box_unit=pixels"
            )

    def option_values(self) -> dict[str, Any]:
        """Return the options and a hash of the manifest: another manifest is another dataset."""
        return {**super().option_values(), "manifest_sha256": self._manifest.sha256}

    @property
    def _box_unit(self) -> str:
        unit = self.options.box_unit
        return self._manifest.box_unit if unit == "auto" else unit

    @functools.cached_property
    def _manifest(self) -> PhotoList:
        place = self.options.manifest
        if not place:
            raise OptionError(
                "catalogue needs --manifest, a CSV or Parquet file with the columns photo and "
                "product; see data_builders/catalogue/README.md"
            )
        return read_photo_list(read_file(place), place)
