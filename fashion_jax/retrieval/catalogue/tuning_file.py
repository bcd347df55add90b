"""Latest curves of `fashion-jax index tune`, as a file for programs and reports.

The file lies in the catalogue's folder without being part of the catalogue: the chosen settings are
in the manifest.
"""

import dataclasses
import os
import pathlib
from collections.abc import Mapping

from fashion_jax.files import StorageError, atomic_write, read_json, to_json
from fashion_jax.retrieval.catalogue.manifest import Manifest
from fashion_jax.retrieval.scann_tuning import Tuning

TUNING = "tuning.json"
SCHEMA = 3


@dataclasses.dataclass(frozen=True)
class Tunings:
    """Curves by segment folder."""

    segments: Mapping[str, Tuning]


def write_tunings(directory: str | os.PathLike[str], tunings: Mapping[str, Tuning]) -> None:
    """Write the curves of a catalogue's segments, by segment folder, atomically."""
    atomic_write(pathlib.Path(directory) / TUNING, to_json(Tunings(tunings), SCHEMA))


def read_tunings(directory: str | os.PathLike[str]) -> dict[str, Tuning]:
    """Read the curves of the segments that still exist.

    Args:
        directory: folder of the catalogue.

    Returns:
        Curves by segment folder, in the catalogue's order; empty for a catalogue that was never
        tuned, or was rebuilt or compacted since.

    Raises:
        StorageError: not a catalogue, or a file that is damaged or of another version.
        ModelCardError: a model card of another version.
    """
    path = pathlib.Path(directory) / TUNING
    if not path.exists():
        return {}
    mend = "Remove it, or run `fashion-jax index tune` again"
    tunings = read_json(path, Tunings, SCHEMA, "a tuned catalogue", mend=mend).segments
    existing = {segment.data: segment.rows for segment in Manifest.read(path.parent).segments}
    for name in existing.keys() & tunings.keys():
        if tunings[name].rows != existing[name]:
            raise StorageError(
                f"{path} is damaged: its curve of {name} is of {tunings[name].rows} rows, not "
                f"{existing[name]}. {mend}"
            )
    return {name: tunings[name] for name in existing if name in tunings}
