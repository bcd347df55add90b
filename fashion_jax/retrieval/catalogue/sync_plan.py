"""The difference between a catalogue and the photos that it is to hold.

A photo is known by its id and box. Its vector follows from its bytes and box: photos that share
them share the vector, whatever they are called and whichever product they show.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Float32
from tabulate import tabulate

from fashion_jax.datasets.photo_lists.fields import FIELD, differing
from fashion_jax.retrieval.catalogue.changes import CatalogueChange
from fashion_jax.retrieval.catalogue.contents import Contents, write_segment
from fashion_jax.retrieval.catalogue.item_table import ItemTable
from fashion_jax.retrieval.catalogue.items import ITEM_COLUMNS, named_by_defect
from fashion_jax.retrieval.catalogue.manifest import Manifest
from fashion_jax.retrieval.catalogue.matching import (
    NONE,
    Rows,
    first_equal,
    pair_photos,
    row_codes,
    take,
    vector_key,
)

_FACTS = ("product", "category", "domain")
_FILE = ("source", "size", "mtime_ns")


@dataclasses.dataclass(frozen=True)
class SyncedIndex:
    """An index after, or before, it was brought in line with a list.

    Attributes:
        added: number of new photos.
        replaced: number of photos whose bytes changed.
        removed: number of photos that the list does not have.
        changed: number of other photos of which something else is known.
        unchanged: number of the rest.
        facts: number of changed photos by what changed: `product`, `category`, `domain`, fields.
        new_fields: types of fields that no photo had before, by name.
        gone_fields: names of fields that no photo has any more.
        embedded: number of photos that the model has to embed; photos of equal bytes and box are
            embedded once.
        photos: number of photos in the index after the change.
        directory: absolute path of the index.
        done: whether the index was changed; `False` for a dry run.
        to_download: number of photos that a dry run did not download, and took for changed.
        left_out: names of unusable photos, which were left out, by defect.
    """

    added: int
    replaced: int
    removed: int
    changed: int
    unchanged: int
    facts: Mapping[str, int]
    new_fields: Mapping[str, str]
    gone_fields: Sequence[str]
    embedded: int
    photos: int
    directory: str
    done: bool
    to_download: int = 0
    left_out: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)

    def to_table(self) -> str:
        """A table for people."""
        facts = ", ".join(f"{name} {count:,}" for name, count in self.facts.items())
        rows = [
            ("added", self.added, ""),
            ("replaced", self.replaced, "other bytes than before" if self.replaced else ""),
            ("removed", self.removed, "not in the list" if self.removed else ""),
            ("changed", self.changed, facts),
            ("unchanged", self.unchanged, ""),
            ("to embed" if not self.done else "embedded", self.embedded, ""),
        ]
        if self.to_download:
            rows.append(("to download", self.to_download, "counted as added or replaced"))
        notes = [
            ("new fields", ", ".join(f"{name} ({kind})" for name, kind in self.new_fields.items())),
            ("fields without values now", ", ".join(self.gone_fields)),
            ("left out" if self.done else "unusable", named_by_defect(self.left_out)),
        ]
        state = "now" if self.done else "after this change"
        lines = [tabulate(rows, tablefmt="plain", intfmt=",")]
        lines += [f"{name}: {text}" for name, text in notes if text]
        return "\n".join([*lines, f"{self.photos:,} photos {state}: {self.directory}"])


@dataclasses.dataclass(frozen=True)
class EmbeddedPhotos:
    """Photos that a model has embedded.

    Attributes:
        rows: rows of the usable photos in the table that was given, ascending.
        items: these photos, with the facts of their files as they were read.
        embeddings: their embeddings, L2-normalised.
        thumbnails: their thumbnails.
    """

    rows: Rows
    items: ItemTable
    embeddings: Float32[np.ndarray, "photos dimensions"]
    thumbnails: Sequence[bytes]

    @classmethod
    def none(cls, dimensions: int) -> "EmbeddedPhotos":
        """No photos."""
        nothing = np.empty((0, dimensions), np.float32)
        return cls(np.empty(0, np.int64), ItemTable.of([]), nothing, [])

    def and_more(self, other: "EmbeddedPhotos") -> "EmbeddedPhotos":
        """These photos and others."""
        return EmbeddedPhotos(
            np.concatenate([self.rows, other.rows]),
            ItemTable.concat([self.items, other.items]),
            np.concatenate([self.embeddings, other.embeddings]),
            [*self.thumbnails, *other.thumbnails],
        )


@dataclasses.dataclass(frozen=True)
class SyncPlan:
    """Changes that turn a catalogue into its wanted state, by photo.

    Attributes:
        contents: present contents of the catalogue.
        wanted: photos that it is to hold, with the SHA-256 of their files.
        pairs: number of the present photo of the same id and box, by wanted photo.
        kept: whether a wanted photo is there already, with the same bytes.
        donors: number of a present photo of the same bytes and box, by wanted photo.
        embedded: row of an embedded photo of the same bytes and box, by wanted photo.
    """

    contents: Contents
    wanted: ItemTable
    pairs: Rows
    kept: Bool[np.ndarray, " wanted"]
    donors: Rows
    embedded: Rows

    @classmethod
    def of(
        cls, contents: Contents, wanted: ItemTable, embedded: ItemTable | None = None
    ) -> "SyncPlan":
        """Compare what is there with what is wanted.

        Args:
            contents: see the class.
            wanted: see the class.
            embedded: photos that were embedded for this change already.
        """
        present = contents.items
        pairs = pair_photos(present, wanted)
        vectors = vector_key(wanted)
        donors = first_equal(vector_key(present), vectors)
        same = pc.equal(take(vector_key(present)["sha256"], pairs), vectors["sha256"])
        kept = pc.fill_null(same, False).to_numpy()
        found = first_equal(vector_key(embedded or ItemTable.of([])), vectors)
        return cls(contents, wanted, pairs, kept, donors, found)

    @functools.cached_property
    def missing(self) -> Rows:
        """Wanted photos to be embedded, one for each that shares bytes and box."""
        rows = np.flatnonzero(~self.kept & (self.donors == NONE) & (self.embedded == NONE))
        (codes,) = row_codes(vector_key(self.wanted.take(rows)))
        return rows[np.sort(np.unique(codes, return_index=True)[1])]

    @functools.cached_property
    def removed(self) -> Rows:
        """Numbers of the present photos whose rows go."""
        return np.setdiff1d(np.arange(len(self.contents)), self.pairs[self.kept])

    def result(self, directory: pathlib.Path, done: bool, embedded: int) -> SyncedIndex:
        """Count what the change does."""
        there = self.pairs != NONE
        changed = self._changed_facts
        any_change = np.zeros(int(self.kept.sum()), bool)
        for mask in changed.values():
            any_change |= mask
        before, after = _types(self.contents.items), _types(self.wanted)
        return SyncedIndex(
            added=int((~there).sum()),
            replaced=int((there & ~self.kept).sum()),
            removed=len(self.contents) - int(there.sum()),
            changed=int(any_change.sum()),
            unchanged=int((~any_change).sum()),
            facts={name: int(mask.sum()) for name, mask in changed.items() if mask.any()},
            new_fields={name: kind for name, kind in after.items() if name not in before},
            gone_fields=[name for name in before if name not in after],
            embedded=embedded,
            photos=len(self.wanted),
            directory=str(directory.resolve()),
            done=done,
        )

    def stage(self, change: CatalogueChange, embedded: EmbeddedPhotos) -> Manifest:
        """Stage the change.

        Args:
            change: the catalogue, whose contents are those of the plan.
            embedded: all photos that were embedded for this change.

        Returns:
            The new manifest, which is the present one if nothing differs.
        """
        manifest = change.with_items(dict(self._new_tables()))
        added = np.flatnonzero(~self.kept)
        if len(added):
            vectors, items = self._vectors(added, embedded), self.wanted.take(added)
            parts = vectors, items, self._thumbnails(added, embedded), manifest.kind
            entry = write_segment(change.staging, *parts, manifest.card.embedding_width)
            manifest = dataclasses.replace(manifest, segments=(*manifest.segments, entry))
        return change.without(self.removed, manifest) if len(self.removed) else manifest

    @functools.cached_property
    def _changed_facts(self) -> Mapping[str, Bool[np.ndarray, " kept"]]:
        """Whether what is known of kept photos changes, by name."""
        names = [*_FACTS, *(FIELD + name for name in self._fields)]
        return {name.removeprefix(FIELD): self._differing(name) for name in names}

    @property
    def _fields(self) -> list[str]:
        return list(dict.fromkeys([*self.contents.items.fields, *self.wanted.fields]))

    def _differing(self, name: str) -> Bool[np.ndarray, " kept"]:
        present = _column(self.contents.items, name, self.pairs[self.kept])
        return differing(present, _column(self.wanted, name, np.flatnonzero(self.kept)))

    def _new_tables(self) -> Iterator[tuple[int, ItemTable]]:
        """Tables of items that change, by segment."""
        kept = np.flatnonzero(self.kept)
        changed = [*self._changed_facts.values(), *map(self._differing, _FILE)]
        row_of = np.full(len(self.contents) + 1, NONE, np.int64)  # the last for removed rows
        row_of[self.pairs[kept]] = kept
        differs = np.zeros(len(self.wanted), bool)
        differs[kept] = np.logical_or.reduce(changed)
        for number, segment in enumerate(self.contents.segments):
            rows = row_of[self.contents.photo_numbers(number)]
            there = rows[rows != NONE]
            other_types = segment.items.types.items() - self.wanted.types.items()
            if len(there) and (differs[there].any() or other_types):
                yield number, _table(self.wanted, rows)

    def _vectors(
        self, added: Rows, embedded: EmbeddedPhotos
    ) -> Float32[np.ndarray, "added dimensions"]:
        vectors = np.empty((len(added), self.contents.manifest.card.embedding_width), np.float32)
        given = self.donors[added] != NONE
        if given.any():
            photos, places = np.unique(self.donors[added][given], return_inverse=True)
            vectors[given] = self.contents.embeddings_of(photos)[places]
        vectors[~given] = embedded.embeddings[self.embedded[added][~given]]
        return vectors

    def _thumbnails(self, added: Rows, embedded: EmbeddedPhotos) -> Iterator[bytes]:
        for donor, row in zip(self.donors[added], self.embedded[added], strict=True):
            known = donor == NONE
            yield embedded.thumbnails[row] if known else self.contents.thumbnail(int(donor))


def _types(items: ItemTable) -> dict[str, str]:
    """Types of the fields that an item has."""
    empty = {name for name, column in items.fields.items() if column.null_count == len(column)}
    return {name: kind for name, kind in items.types.items() if name not in empty}


def _column(items: ItemTable, name: str, rows: Rows) -> pa.ChunkedArray | None:
    return items.columns[name].take(pa.array(rows)) if name in items.columns.column_names else None


def _table(wanted: ItemTable, rows: Rows) -> ItemTable:
    """Items by row; nothing is known of those without a row, which are removed."""
    table = ItemTable(wanted.columns.take(pa.array(rows, mask=rows == NONE)))
    return table.with_columns({name: pc.fill_null(table.column(name), "") for name in ITEM_COLUMNS})
