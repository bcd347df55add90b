"""Reads photos that are to be embedded, and keeps what a catalogue stores of them."""

import collections
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from tqdm import tqdm

from fashion_jax.datasets.boxes import BoxError, crop, to_pixels
from fashion_jax.datasets.photos import UndecodablePhotoError, encode_thumbnail
from fashion_jax.inference.model import Photo
from fashion_jax.retrieval.catalogue.item_table import ItemTable
from fashion_jax.serving.photo_sources import FileFacts, LostPhotoError, PhotoSources, with_facts

_AT_ONCE = 4096
UNUSABLE = (UndecodablePhotoError, LostPhotoError, BoxError)
"""Errors of `read_pixels`."""
Thumbnails = Callable[[int], bytes]


class PhotoReader:
    """Reads photos one by one, each once.

    Attributes:
        rows: rows of the usable photos read since the last `forget`.
        thumbnails: their thumbnails.
        defects: defects of the others, by row.
    """

    def __init__(
        self,
        photos: ItemTable,
        progress: bool,
        done: int = 0,
        thumbnails: Thumbnails | None = None,
    ) -> None:
        """Prepare to read the photos; see `pixels`.

        Args:
            photos: items with their origins.
            progress: whether to show a bar.
            done: number of photos that the bar counts as done at first.
            thumbnails: thumbnails by row, of photos whose bytes have not changed; by default all
                are made.
        """
        self._photos = photos
        self._progress = progress
        self._done = done
        self._known_thumbnail = thumbnails
        self._facts: list[FileFacts] = []
        self.rows: list[int] = []
        self.thumbnails: list[bytes] = []
        self.defects: dict[int, str] = {}

    @property
    def bad(self) -> dict[str, list[str]]:
        """Names of unusable photos, by defect."""
        return names_by_defect(self._photos, self.defects)

    def pixels(self) -> Iterator[Photo]:
        """RGB pixels of what is in the box of each usable photo."""
        sources = PhotoSources()
        for row in tqdm(
            range(len(self._photos)),
            "embed",
            initial=self._done,
            total=self._done + len(self._photos),
            unit="photo",
            disable=not self._progress,
            leave=False,
        ):
            try:
                pixels, facts = read_pixels(self._photos, row, sources)
            except UNUSABLE as error:
                self.defects[row] = defect_of(error)
                continue
            self._facts.append(facts)
            self.rows.append(row)
            self.thumbnails.append(self._thumbnail(row, pixels, facts.sha256))
            yield pixels

    def items(self) -> ItemTable:
        """Items and origins of the photos in `rows`, with the facts of their files."""
        return with_facts(self._photos.take(self.rows), self._facts)

    def forget(self) -> None:
        """Forget the photos in `rows`, whose thumbnails take memory, before more are read."""
        self.rows, self.thumbnails, self._facts = [], [], []

    def _thumbnail(self, row: int, pixels: Photo, sha256: str) -> bytes:
        known = self._photos.column("sha256")[row].as_py()
        if self._known_thumbnail is not None and known in (None, sha256):
            return self._known_thumbnail(row)
        return encode_thumbnail(pixels)


def read_pixels(photos: ItemTable, row: int, sources: PhotoSources) -> tuple[Photo, FileFacts]:
    """Read what is in the box of a photo, and the facts of its file.

    Raises:
        UndecodablePhotoError: the file cannot be read, or holds no usable photo.
        LostPhotoError: the photo is not where it was.
        BoxError: nothing of the photo is in its box.
    """
    origin, name = photos.origin(row), photos.column("photo_id")[row].as_py()
    pixels, facts = sources.read(origin.source, name)
    if origin.box is not None:
        height, width = pixels.shape[:2]
        pixels = crop(pixels, to_pixels(origin.box, origin.box_unit, height, width))
    return pixels, facts


def defect_of(error: UndecodablePhotoError | LostPhotoError | BoxError) -> str:
    """Name the defect of an unusable photo, for counting."""
    if isinstance(error, BoxError):
        return "without anything in its box"
    return error.defect if isinstance(error, LostPhotoError) else error.kind.replace("_", " ")


def names_by_defect(photos: ItemTable, defects: Mapping[int, str]) -> dict[str, list[str]]:
    """Name unusable photos by defect.

    Args:
        photos: items.
        defects: defects by row.
    """
    names = collections.defaultdict(list)
    for row, defect in defects.items():
        names[defect].append(photos.column("photo_id")[row].as_py())
    return dict(names)


def find_defects(photos: ItemTable, progress: bool) -> Sequence[str]:
    """Read and decode photos to find unusable ones, before others are embedded in vain.

    Returns:
        The defect of each photo; empty for a usable one.
    """
    sources, defects = PhotoSources(), list[str]()
    bar = tqdm(total=len(photos), desc="check", unit="photo", disable=not progress, leave=False)
    with bar, ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="check") as pool:
        for start in range(0, len(photos), _AT_ONCE):
            rows = range(start, min(start + _AT_ONCE, len(photos)))
            for defect in pool.map(lambda row: _defect(photos, row, sources), rows):
                defects.append(defect)
                bar.update()
    return defects


def _defect(photos: ItemTable, row: int, sources: PhotoSources) -> str:
    try:
        read_pixels(photos, row, sources)
    except UNUSABLE as error:
        return defect_of(error)
    return ""
