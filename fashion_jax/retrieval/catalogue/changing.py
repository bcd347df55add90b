"""A catalogue under change: one writer at a time, one exchange of the manifest."""

import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Iterator, Sequence

import numpy as np

from fashion_jax.retrieval import storage
from fashion_jax.retrieval.catalogue.contents import Contents
from fashion_jax.retrieval.catalogue.manifest import Manifest, Rows, SegmentEntry, write_removed
from fashion_jax.retrieval.catalogue.segment import new_part_name


@dataclasses.dataclass(frozen=True)
class Changing:
    """A catalogue that nobody else can change meanwhile.

    Attributes:
        target: its folder.
        staging: takes new parts and the new manifest.
        contents: what it is now.
    """

    target: pathlib.Path
    staging: pathlib.Path
    contents: Contents

    def commit(self, segments: Sequence[SegmentEntry], photos: Sequence[int]) -> int:
        """Exchanges the manifest for one of these segments, without some of today's photos.

        Returns:
            How many photos are there now.
        """
        removed = {name: list(rows) for name, rows in self.contents.removed.items()}
        for photo in photos:
            segment, row = self.contents.place(photo)
            removed.setdefault(self.contents.segments[segment].entry.data, []).append(row)
        kept = [entry for entry in segments if len(removed.get(entry.data, ())) < entry.rows]
        left: dict[str, Rows] = {
            entry.data: np.sort(np.array(removed[entry.data], np.int64))
            for entry in kept
            if entry.data in removed
        }
        entry = write_removed(self.staging, new_part_name(), left) if left else None
        manifest = dataclasses.replace(self.contents.manifest, segments=tuple(kept), removed=entry)
        self.install(manifest)
        return manifest.photos

    def install(self, manifest: Manifest) -> None:
        """Makes a manifest, and the parts that were staged for it, the catalogue."""
        manifest.write(self.staging)
        storage.exchange(self.staging, self.target, manifest.parts)


@contextlib.contextmanager
def changing(
    directory: str | os.PathLike[str], known: Contents | None = None
) -> Iterator[Changing]:
    """Opens a catalogue for a change; waits until nobody else is changing it.

    Args:
        directory: of the catalogue.
        known: contents that were read before; used if the catalogue has not changed since.

    Raises:
        StorageError: if there is no catalogue, or it is damaged.
    """
    target = pathlib.Path(directory).absolute()
    Manifest.read(target)  # says what is wrong with a folder that cannot even be locked
    with storage.locked(target), storage.staged(target) as staging:
        manifest = Manifest.read(target)
        if known is None or known.manifest != manifest:
            known = Contents.read(target, manifest)
        yield Changing(target, staging, known)
