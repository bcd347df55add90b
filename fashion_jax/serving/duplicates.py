"""Duplicates in a dataset or a catalogue, and the page to decide on them."""

import dataclasses
import os
import pathlib
from collections.abc import Callable, Hashable, Mapping, Sequence

import numpy as np

from fashion_jax.datasets.dataset import Dataset, Split, products_of
from fashion_jax.datasets.duplicates.decisions import Decision, read_decisions, refuse_to_lose
from fashion_jax.datasets.duplicates.find_pairs import Names, find_pairs
from fashion_jax.datasets.duplicates.fingerprints import read_fingerprints
from fashion_jax.datasets.duplicates.limits import Limits
from fashion_jax.datasets.duplicates.near_pairs import Embedded
from fashion_jax.datasets.duplicates.result import Duplicates
from fashion_jax.datasets.photo_lists.columns import BOX
from fashion_jax.datasets.photos import thumbnail
from fashion_jax.errors import FashionJaxError, keeping
from fashion_jax.files import atomic_write
from fashion_jax.inference.model import EmbeddingModel, Embeddings
from fashion_jax.reports.duplicates_page import PAIRS, write_duplicates
from fashion_jax.retrieval.catalogue import Catalogue
from fashion_jax.retrieval.index import Index
from fashion_jax.retrieval.make_index import make_index

_NEIGHBOURS = 10
_AT_ONCE = 4096

Path = str | os.PathLike[str]


def find_duplicates(
    source: Dataset | Catalogue,
    splits: Sequence[str] | None = None,
    model: EmbeddingModel | None = None,
    decisions: Sequence[Path] = (),
    limits: Limits | None = None,
    report: Path | None = None,
    removal_list: Path | None = None,
    progress: bool = True,
) -> Duplicates:
    """Find photos that are the same or nearly the same under two names, products or splits.

    A catalogue is searched by its thumbnails and embeddings, and by the checksums of the files that
    were added to it.

    Args:
        source: a dataset, or an opened catalogue.
        splits: splits of the dataset; by default all.
        model: model that embeds a dataset's photos; by default they are not embedded.
        decisions: lists of decisions on pairs: CSV with the columns first, second, decision (same
            or different) and comment. Different photos are not found again.
        limits: limits of what is nearly the same; by default `Limits()`.
        report: folder for a page of the pairs, and for the list `pairs.csv` to write decisions
            into; by default none is written.
        removal_list: text file for the ids of photos to remove, so that one stays of all that were
            decided to be the same; by default none is written.
        progress: whether to show bars.

    Raises:
        FashionJaxError: decisions that cannot be read, or that the list in `report` would lose.
        UnwrittenResultError: a file cannot be written; with the result.
    """
    decided = read_decisions(map(pathlib.Path, decisions))
    if report is not None:
        refuse_to_lose(pathlib.Path(report) / PAIRS, decided)
    if isinstance(source, Catalogue):
        if model is not None or splits is not None:
            raise FashionJaxError("a catalogue has embeddings, and no splits: leave out both")
        photos = _of_catalogue(source)
    else:
        photos = _of_dataset(source, splits, model, progress)
    duplicates = photos.find(limits or Limits(), decided, progress)
    with keeping(duplicates, "the report"):
        return _write(duplicates, photos, decided, report, removal_list)


@dataclasses.dataclass(frozen=True)
class _Photos:
    """Photos to compare.

    Attributes:
        source: what they are of, in words.
        names: names of the photos.
        counts: number of photos by split.
        read: reads the encoded photo of a row.
        contents: what stands for the bytes of each photo's file; `None` for those that are read.
        search: embeddings and their index, if there are any.
    """

    source: str
    names: Names
    counts: Mapping[str, int]
    read: Callable[[int], bytes]
    contents: Sequence[Hashable] | None
    search: tuple[Embeddings, Index] | None

    def find(self, limits: Limits, decided: Sequence[Decision], progress: bool) -> Duplicates:
        """Read all photos and find pairs."""
        prints = read_fingerprints(
            self.read, len(self.names.photo_id), self.contents, progress=progress
        )
        embedded = None if self.search is None else find_neighbours(*self.search, limits.cosine)
        found = find_pairs(self.names, prints, limits, decided, embedded)
        return Duplicates(
            self.source,
            self.counts,
            found.pairs,
            found.different,
            int(prints.plain.sum()),
            found.crowded,
            limits,
        )


def _of_dataset(
    dataset: Dataset, splits: Sequence[str] | None, model: EmbeddingModel | None, progress: bool
) -> _Photos:
    opened = [dataset.split(name) for name in (splits or dataset.splits)]
    names = Names(
        [str(name) for split in opened for name in split.photo_id.tolist()],
        [product for split in opened for product in products_of(split)],
        [split.name for split in opened for _ in range(len(split))],
    )
    search = None
    if model is not None:
        embeddings = np.concatenate([model.embed_split(split, progress) for split in opened])
        search = embeddings, make_index(embeddings)
    return _Photos(
        f"{dataset.name} {dataset.version}",
        names,
        {split.name: len(split) for split in opened},
        _reader(opened),
        None,
        search,
    )


def _reader(splits: Sequence[Split]) -> Callable[[int], bytes]:
    """A function that reads a photo by its row among all splits."""
    starts = np.cumsum([0, *map(len, splits)])

    def read(row: int) -> bytes:
        split = int(np.searchsorted(starts, row, side="right")) - 1
        return splits[split].image_bytes(row - int(starts[split]))

    return read


def _of_catalogue(catalogue: Catalogue) -> _Photos:
    items = catalogue.items
    names = Names(
        items.column("photo_id").to_pylist(),
        items.column("product").to_pylist(),
        [""] * len(items),
    )
    # A file with another box is another photo; a file that is not known is like no other.
    columns = [items.column(name).to_pylist() for name in ("sha256", *BOX)]
    files = zip(*columns, strict=True)
    contents = [file if file[0] else row for row, file in enumerate(files)]
    place = catalogue.segments[0].folder.parent if catalogue.segments else "an empty index"
    return _Photos(
        str(place),
        names,
        {"": len(items)},
        catalogue.thumbnail,
        contents,
        (catalogue.embeddings, catalogue.index) if len(items) else None,
    )


def find_neighbours(embeddings: Embeddings, index: Index, cosine: float) -> Embedded:
    """Find the nearest neighbours of each photo, as far as they are close."""
    parts = [np.empty((2, 0), np.int64)]
    for start in range(0, len(embeddings), _AT_ONCE):
        found = index.search(embeddings[start : start + _AT_ONCE], _NEIGHBOURS + 1)
        photo, place = np.nonzero(found.scores >= cosine)
        parts.append(np.stack([photo + start, found.rows[photo, place]]))
    return Embedded(embeddings, *np.concatenate(parts, axis=1))


def _write(
    duplicates: Duplicates,
    photos: _Photos,
    decided: Sequence[Decision],
    report: Path | None,
    removal_list: Path | None,
) -> Duplicates:
    """Write the files that are wanted."""
    if removal_list is not None:
        names = "".join(f"{name}\n" for name in duplicates.to_remove())
        atomic_write(removal_list, names.encode())
    if report is None:
        return duplicates
    folder = str(pathlib.Path(report).resolve())
    write_duplicates(report, duplicates, decided, lambda row: thumbnail(photos.read(row)))
    return dataclasses.replace(duplicates, report=folder)
