"""TFDS builder of a team's own photos, listed in one CSV or Parquet file."""

import dataclasses
import functools
import pathlib
from typing import Any, ClassVar

import pyarrow.compute as pc

from fashion_jax.datasets.building.base import BuildOptions, RetrievalBuilder
from fashion_jax.datasets.building.options import option, text
from fashion_jax.datasets.building.plan import Plan
from fashion_jax.errors import FashionJaxError

from .manifest import Manifest, read_manifest
from .photos import find_photos
from .splits import divide
from .storage import absolute, is_uri, read_file

_THREADS_FOR_STORAGE = 16  # which mostly wait for an answer


class CatalogueError(FashionJaxError):
    """A catalogue that was not said where it is."""


@dataclasses.dataclass(frozen=True)
class CatalogueOptions(BuildOptions):
    """Options of the builder.

    Attributes:
        manifest: the list of photos: a path, or a URI (`gs://`, `s3://`).
        photos: the folder, or the URI, that the names of the photos are relative to.
        test_fraction: of the products that can be asked for; they make up `query` and `gallery`
            where the manifest names no splits.
    """

    manifest: str = text()
    photos: str = text()
    test_fraction: float = option(0.2, most=0.9)


class Catalogue(RetrievalBuilder):
    """Photos of a team's own products."""

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

    def plan(self, manual_dir: pathlib.Path | None) -> Plan:
        """Reads the manifest.

        Raises:
            CatalogueError: there is no manifest, or a manual_dir.
            ManifestError: with everything that is wrong with the manifest.
            StorageError: the manifest or the photos are not where they are said to be.
        """
        if manual_dir is not None:
            raise CatalogueError("catalogue takes --manifest and --photos instead of --manual_dir")
        options = self.options
        rows = self._manifest.rows
        splits = divide(rows, options.test_fraction, options.validation_fraction, options.seed)
        photos = find_photos(options.photos, pc.unique(rows["photo"]).to_pylist())
        categories = sorted(pc.unique(rows["category"]).to_pylist())
        return Plan(splits, photos, categories, self._manifest.problems)

    def option_values(self) -> dict[str, Any]:
        """The options, and the manifest's content: another manifest is another dataset."""
        return {**super().option_values(), "manifest_sha256": self._manifest.sha256}

    @functools.cached_property
    def _manifest(self) -> Manifest:
        place = self.options.manifest
        if not place:
            raise CatalogueError(
                "catalogue needs --manifest, a CSV or Parquet file with the columns photo and "
                "identity; see data_builders/catalogue/README.md"
            )
        return read_manifest(read_file(place), place)
