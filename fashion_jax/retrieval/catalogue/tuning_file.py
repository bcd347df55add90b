"""The last curves that `fashion-jax index tune` measured, as a file for programs and reports.

It lies beside a catalogue's parts, like the picture, and is no part of the catalogue: the settings
that were chosen are in the manifest.
"""

import dataclasses
import os
import pathlib
from collections.abc import Mapping

from fashion_jax.files import StorageError, atomic_write, read_json, to_json
from fashion_jax.retrieval.catalogue.manifest import Manifest
from fashion_jax.retrieval.scann_tuning import Tuning

TUNING = "tuning.json"
_SCHEMA = 1


@dataclasses.dataclass(frozen=True)
class Tunings:
    """Curves by the segments' folders."""

    segments: Mapping[str, Tuning]


def write_tunings(directory: str | os.PathLike[str], tunings: Mapping[str, Tuning]) -> None:
    """Writes the curves of a catalogue's segments, by their folders, in one step."""
    atomic_write(pathlib.Path(directory) / TUNING, to_json(Tunings(tunings), _SCHEMA))


def read_tunings(directory: str | os.PathLike[str]) -> dict[str, Tuning]:
    """Reads the curves of those segments that the catalogue still has.

    Args:
        directory: folder of the catalogue.

    Returns:
        Curves by the segments' folders, in the catalogue's order; empty for a catalogue that was
        never tuned, or was rebuilt or compacted since.

    Raises:
        StorageError: a file that is damaged or of another version, or no catalogue.
        ModelCardError: the catalogue's model card cannot be read.
    """
    path = pathlib.Path(directory) / TUNING
    if not path.exists():
        return {}
    try:
        tunings = read_json(path, Tunings, _SCHEMA, "a tuned catalogue").segments
    except StorageError as error:
        raise StorageError(f"{error}: remove it, or run `fashion-jax index tune` again") from error
    there = [segment.data for segment in Manifest.read(path.parent).segments]
    return {name: tunings[name] for name in there if name in tunings}
