"""TFDS builder of a team's own photos, listed in one CSV or Parquet file."""

import dataclasses
import functools
import pathlib
from typing import Any, ClassVar

import pyarrow.compute as pc

from fashion_jax.datasets.building.base import BuildOptions, RetrievalBuilder
from fashion_jax.datasets.building.options import OptionError, option
from fashion_jax.datasets.building.plan import BuildPlan

from .manifest import ManifestTable, read_manifest
from .photos import open_photos
from .splits import assign_splits
from .storage import absolute, is_uri, read_file

_THREADS_FOR_STORAGE = 16  # they mostly wait for answers


@dataclasses.dataclass(frozen=True)
class CatalogueOptions(BuildOptions):
    """Options of the builder.

    Attributes:
        manifest: list of photos: a path, or a URI (`gs://`, `s3://`).
        photos: directory, or URI, that the names of the photos are relative to.
        test_fraction: fraction of the products with a query and a match that becomes `query` and
            `gallery` if the manifest names no splits.
    """

    manifest: str = ""
    photos: str = ""
    test_fraction: float = option(0.2, most=0.9)


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
        if arguments.get("threads") is None and is_uri(self.options.photos):
            self._threads = _THREADS_FOR_STORAGE

    def plan(self, manual_dir: pathlib.Path | None) -> BuildPlan:
        """Read the manifest.

        Raises:
            OptionError: if --manifest is missing, or --manual_dir is given.
            ManifestError: if the manifest is invalid; with all its problems.
            FileAccessError: if the manifest or the photos cannot be found.
        """
        if manual_dir is not None:
            raise OptionError("catalogue takes --manifest and --photos instead of --manual_dir")
        options = self.options
        rows = self._manifest.rows
        splits = assign_splits(
            rows, options.test_fraction, options.validation_fraction, options.seed
        )
        photos = open_photos(options.photos, pc.unique(rows["photo"]).to_pylist())
        categories = sorted(pc.unique(rows["category"]).to_pylist())
        return BuildPlan(splits, photos, categories, self._manifest.problems)

    def option_values(self) -> dict[str, Any]:
        """Return the options and a hash of the manifest: another manifest is another dataset."""
        return {**super().option_values(), "manifest_sha256": self._manifest.sha256}

    @functools.cached_property
    def _manifest(self) -> ManifestTable:
        place = self.options.manifest
        if not place:
            raise OptionError(
                "catalogue needs --manifest, a CSV or Parquet file with the columns photo and "
                "identity; see data_builders/catalogue/README.md"
            )
        return read_manifest(read_file(place), place)
