"""Another model on a live catalogue: all photos embedded again beside the present embeddings."""

import dataclasses
import functools
import itertools
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from fashion_jax.addresses import at_addresses
from fashion_jax.datasets.photos import find_file
from fashion_jax.errors import FashionJaxError, named
from fashion_jax.files import is_folder
from fashion_jax.inference.model import EmbeddingModel, load_model
from fashion_jax.retrieval.catalogue import next_generation
from fashion_jax.retrieval.catalogue.changes import open_for_change
from fashion_jax.retrieval.catalogue.contents import Contents
from fashion_jax.retrieval.catalogue.generations import photo_keys
from fashion_jax.retrieval.catalogue.item_table import ItemTable
from fashion_jax.retrieval.catalogue.items import named_by_defect
from fashion_jax.retrieval.catalogue.manifest import Manifest
from fashion_jax.retrieval.catalogue.matching import Rows
from fashion_jax.serving.build_index import index_folder
from fashion_jax.serving.photo_reader import PhotoReader, names_by_defect
from fashion_jax.serving.photo_sources import LostPhotoError, PhotoSources

PHOTOS_AT_ONCE = 4096
"""Photos that are stored together: the most that a killed process has embedded in vain."""

State = Literal["exchanged", "prepared", "unchanged"]


@dataclasses.dataclass(frozen=True)
class ReembeddedIndex:
    """An index after its photos were embedded again.

    Attributes:
        directory: absolute path of the index.
        state: `exchanged` (it is the new model's now), `prepared` (it answers queries of both
            models), or `unchanged` (it was the new model's already).
        photos: number of photos with an embedding of the new model.
        embedded: number of photos embedded by this call; the others by earlier ones.
        changed_files: names of photos whose files had other bytes than the index knew.
        left_out: names of photos that could not be read again, by defect.
        damaged: names of parts of an earlier call that were damaged and embedded again.
    """

    directory: str
    state: State
    photos: int
    embedded: int = 0
    changed_files: Sequence[str] = ()
    left_out: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    damaged: Sequence[str] = ()

    def to_table(self) -> str:
        """A few lines for people."""
        done = {
            "exchanged": "the index is the new model's now",
            "prepared": "the index answers queries of both models; run the same command without "
            "--prepare to exchange them",
            "unchanged": "nothing to do, the index is this model's already",
        }
        lines = [f"{self.embedded:,} photos embedded, {self.photos:,} in all: {self.directory}"]
        lines.append(done[self.state])
        if self.changed_files:
            names = named(self.changed_files)
            lines.append(f"{len(self.changed_files):,} photos have changed files: {names}")
        if self.left_out:
            lines.append(f"left out: {named_by_defect(self.left_out)}")
        if self.damaged:
            lines.append(f"damaged parts, embedded again: {named(self.damaged)}")
        return "\n".join(lines)


@at_addresses("workdir", "index", must_exist=("workdir",))
def reembed_index(
    workdir: str | os.PathLike[str],
    index: str | os.PathLike[str] | None = None,
    photos: str | os.PathLike[str] | None = None,
    prepare: bool = False,
    skip_bad: bool = False,
    discard: bool = False,
    progress: bool = True,
) -> ReembeddedIndex:
    """Embeds all photos of an index again, with another run's best model.

    Photos are read from where they lie. The present embeddings answer until they are exchanged, in
    one step. Safe to interrupt; the same call resumes.

    Args:
        workdir: workdir of the other run.
        index: folder of the index; by default `index` in the workdir.
        photos: folder of the photos, by their ids; by default each photo's own place.
        prepare: exchange nothing; queries of both models are answered afterwards.
        skip_bad: leave out photos that cannot be read again; otherwise nothing is exchanged then.
        discard: remove the unfinished or prepared embeddings of a third model.
        progress: whether to show a bar.

    Raises:
        InUseError: another process embeds the index again.
        FashionJaxError: no run, no index, photos that cannot be read again (all of them are
            counted and named), or embeddings of a third model.
    """
    root = _checked(photos)
    model = load_model(workdir)
    folder = index_folder(workdir, index).absolute()
    with next_generation.sole_reembed(folder):
        if not Manifest.read(folder).card.difference(model.card):
            next_generation.remove_left_overs(folder)
            return ReembeddedIndex(str(folder), "unchanged", len(Contents(folder)))
        place = next_generation.begin(folder, model.card, discard)
        damaged = next_generation.drop_damaged(place)
        work = _Reembedding(model, place, root, skip_bad, progress)
        result = _prepared(folder, work) if prepare else _exchanged(folder, work)
        return dataclasses.replace(result, damaged=damaged)


def _prepared(folder: pathlib.Path, work: "_Reembedding") -> ReembeddedIndex:
    """Embed until no photo was added or changed meanwhile."""
    present = next_generation.open_present(folder)
    while work.embed(present):
        present = next_generation.open_present(folder)
    work.refuse_unusable(present)
    work.place = next_generation.prepare(folder, present)
    return work.result("prepared", folder, present)


def _exchanged(folder: pathlib.Path, work: "_Reembedding") -> ReembeddedIndex:
    _prepared(folder, work)
    with open_for_change(folder) as change:
        work.embed(change.contents)
        work.refuse_unusable(change.contents)
        result = work.result("exchanged", folder, change.contents)
        next_generation.change_over(folder, change)
        return result


@dataclasses.dataclass
class _Reembedding:
    """The work of one call of `reembed_index`.

    Attributes:
        model: the new model.
        place: folder of its embeddings.
        root: folder of the photos, instead of their own places.
        skip_bad: whether photos that cannot be read are left out.
        progress: whether to show a bar.
        embedded: number of photos embedded so far.
        defects: defects of photos that cannot be read, by their keys.
    """

    model: EmbeddingModel
    place: pathlib.Path
    root: pathlib.Path | None
    skip_bad: bool
    progress: bool
    embedded: int = 0
    defects: dict[str, str] = dataclasses.field(default_factory=dict)

    def embed(self, present: Contents) -> bool:
        """Embed the photos that lack an embedding; return whether there were any to try."""
        rows, keys = self._missing(present)
        untried = pc.invert(pc.is_in(keys, value_set=pa.array(list(self.defects), pa.string())))
        rows, keys = rows[untried.to_numpy()], keys.filter(untried)
        if not len(rows):
            return False
        photos = self._located(present.items.take(rows))
        found = self._look(photos, keys)
        if not self.skip_bad:
            self.refuse_unusable(present)
        done = len(present) - len(found)
        thumbnails = functools.partial(_thumbnail, present, rows[found])
        reader = PhotoReader(photos.take(found), self.progress, done, thumbnails)
        self._embed(reader, keys.take(pa.array(found, pa.int64())))
        return True

    def refuse_unusable(self, present: Contents) -> None:
        """Refuse to lose photos, all of them or some, unless `skip_bad` is set.

        Raises:
            FashionJaxError: with the number, the defects and names of all of them.
        """
        unusable = self._unusable(present)
        count = sum(map(len, unusable.values()))
        if not count or (self.skip_bad and count < len(present)):
            return
        raise FashionJaxError(
            f"{count:,} of {len(present):,} photos cannot be read again: "
            f"{named_by_defect(unusable)}. Nothing was exchanged, and what is embedded is kept. "
            f"Put them back, name the folder where they lie now (--photos), or leave them out "
            f"(--skip_bad)"
        )

    def result(self, state: State, folder: pathlib.Path, present: Contents) -> ReembeddedIndex:
        """Describe the state after all of this work."""
        unusable = self._unusable(present)
        photos = len(present) - sum(map(len, unusable.values()))
        changed = next_generation.changed_files(folder, present)
        return ReembeddedIndex(str(folder), state, photos, self.embedded, changed, unusable)

    def _missing(self, present: Contents) -> tuple[Rows, pa.ChunkedArray]:
        rows = next_generation.missing(present, self.place)
        return rows, photo_keys(present.items.take(rows))

    def _located(self, photos: ItemTable) -> ItemTable:
        """Photos with their sources in the folder that was given."""
        if self.root is None:
            return photos
        names = photos.column("photo_id").to_pylist()
        sources = [str(find_file(self.root, name)) for name in names]
        return photos.with_columns({"source": pa.array(sources, pa.string())})

    def _look(self, photos: ItemTable, keys: pa.ChunkedArray) -> list[int]:
        """Rows of photos that are where they were; the others are known before any is embedded."""
        sources, names, found = PhotoSources(), photos.column("photo_id"), []
        columns = [each.to_pylist() for each in (photos.column("source"), names, keys)]
        for row, (source, name, key) in enumerate(zip(*columns, strict=True)):
            try:
                sources.look(source or "", name)
                found.append(row)
            except LostPhotoError as error:
                self.defects[key] = error.defect
        return found

    def _embed(self, reader: PhotoReader, keys: pa.ChunkedArray) -> None:
        pixels = reader.pixels()
        while len(embeddings := self.model.embed(itertools.islice(pixels, PHOTOS_AT_ONCE))):
            made_of = keys.take(pa.array(reader.rows, pa.int64()))
            next_generation.append(
                self.place, made_of, reader.items(), embeddings, reader.thumbnails
            )
            self.embedded += len(embeddings)
            reader.forget()
        for row, defect in reader.defects.items():
            self.defects[keys[row].as_py()] = defect

    def _unusable(self, present: Contents) -> dict[str, list[str]]:
        """Names of photos that have no embedding and a defect, by defect."""
        rows, keys = self._missing(present)
        known = [self.defects.get(key) for key in keys.to_pylist()]
        defects = {row: defect for row, defect in enumerate(known) if defect}
        return names_by_defect(present.items.take(rows), defects)


def _thumbnail(present: Contents, rows: Rows, row: int) -> bytes:
    return present.thumbnail(int(rows[row]))


def _checked(photos: str | os.PathLike[str] | None) -> pathlib.Path | None:
    if photos is None:
        return None
    root = pathlib.Path(photos).absolute()
    if not is_folder(root):
        raise FashionJaxError(f"--photos {photos} is not a folder")
    return root
