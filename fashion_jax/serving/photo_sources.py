"""Where the photos of a catalogue lie: in files, and in built datasets."""

import contextlib
import hashlib
import pathlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pyarrow as pa

from fashion_jax.datasets.dataset import BuiltDataset, BuiltSplit
from fashion_jax.datasets.photos import decode_photo, decode_record, photo_bytes
from fashion_jax.errors import FashionJaxError
from fashion_jax.files import is_file
from fashion_jax.inference.model import Photo
from fashion_jax.retrieval.catalogue.item_table import ItemTable

DATASET = "dataset:"
"""Start of the source of a photo in a built dataset; folder, `#`, split, `/` and row follow."""


class LostPhotoError(FashionJaxError):
    """A photo that is not where it was.

    Attributes:
        defect: what is wrong, in a few words that many photos share.
    """

    def __init__(self, defect: str) -> None:
        super().__init__(f"the photo is {defect}")
        self.defect = defect


class FileFacts(NamedTuple):
    """What is known of a photo's file: SHA-256, size in bytes, time of its last change.

    A photo in a dataset has no time.
    """

    sha256: str
    size: int
    mtime_ns: int | None


def with_facts(photos: ItemTable, facts: Sequence[FileFacts | None]) -> ItemTable:
    """Put facts of files into a table of photos, one per row; `None` where nothing is known."""
    sha256, size, mtime_ns = (
        [None if each is None else getattr(each, name) for each in facts]
        for name in FileFacts._fields
    )
    return photos.with_columns(
        {
            "sha256": pa.array(sha256, pa.string()),
            "size": pa.array(size, pa.int64()),
            "mtime_ns": pa.array(mtime_ns, pa.int64()),
        }
    )


def dataset_source(folder: str, split: str, row: int) -> str:
    """Source of a photo in a built dataset."""
    return f"{DATASET}{folder}#{split}/{row}"


def read_content(source: str) -> tuple[bytes, FileFacts]:
    """Read a photo's file, and its facts.

    Raises:
        UndecodablePhotoError: the file cannot be read, or is larger than any photo.
    """
    path = pathlib.Path(source)
    changed = 0
    with contextlib.suppress(OSError, ValueError):  # which reading explains
        changed = path.stat().st_mtime_ns  # before it is read: later changes count as changes
    content = photo_bytes(path)
    return content, _facts(content, changed)


class PhotoSources:
    """Reads photos from their sources; opens each split of a dataset once."""

    def __init__(self) -> None:
        self._splits: dict[str, BuiltSplit | None] = {}

    def look(self, source: str, photo_id: str) -> None:
        """Look whether a photo is where it was, without reading it.

        Args:
            source: see `fashion_jax.retrieval.catalogue.items.Origin`.
            photo_id: name of the photo.

        Raises:
            LostPhotoError: it is not.
        """
        if source.startswith(DATASET):
            self._row(source, photo_id)
        elif not source:
            raise LostPhotoError("of unknown origin")
        elif not is_file(source):
            raise LostPhotoError("not at its place")

    def read(self, source: str, photo_id: str) -> tuple[Photo, FileFacts]:
        """Read the RGB pixels of a photo, and the facts of its file; see `look`.

        Raises:
            LostPhotoError: it is not where it was.
            UndecodablePhotoError: its file cannot be read, or holds no usable photo.
        """
        if source.startswith(DATASET):
            split, row = self._row(source, photo_id)
            with _counted_as_defect():
                content = split.image_bytes(row)
                return decode_record(content), _facts(content, None)
        if not source:
            raise LostPhotoError("of unknown origin")
        content, facts = read_content(source)
        return decode_photo(content), facts

    def _row(self, source: str, photo_id: str) -> tuple[BuiltSplit, int]:
        place, _, number = source.removeprefix(DATASET).rpartition("/")
        folder, _, name = place.rpartition("#")
        split = self._split(folder, name)
        row = int(number) if number.isdecimal() else -1
        if split is None:
            raise LostPhotoError(f"in {folder}, whose split {name} cannot be opened")
        if not 0 <= row < len(split) or split.photo_id[row] != photo_id:
            raise LostPhotoError(f"no longer in its row of {folder}")
        return split, row

    def _split(self, folder: str, name: str) -> BuiltSplit | None:
        place = f"{folder}#{name}"
        if place not in self._splits:
            self._splits[place] = None
            with contextlib.suppress(FashionJaxError):
                dataset = BuiltDataset(pathlib.Path(folder).parent.name, folder)
                self._splits[place] = dataset.split(name)
        return self._splits[place]


def _facts(content: bytes, mtime_ns: int | None) -> FileFacts:
    return FileFacts(hashlib.sha256(content).hexdigest(), len(content), mtime_ns)


@contextlib.contextmanager
def _counted_as_defect() -> Iterator[None]:
    """Count a damaged record as a defect of its photo."""
    try:
        yield
    except FashionJaxError as error:
        raise LostPhotoError("damaged in its dataset") from error
