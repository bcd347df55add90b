"""The last curves that `fashion-jax index tune` measured, as a file for programs and reports.

It lies beside a catalogue's parts, like the picture, and is no part of the catalogue: the settings
that were chosen are in the manifest.
"""

import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from fashion_jax.files import write_whole
from fashion_jax.retrieval import storage
from fashion_jax.retrieval.catalogue.manifest import Manifest
from fashion_jax.retrieval.scann_tuning import Point, Tuning

TUNING = "tuning.json"
_SCHEMA = 1
# Of a curve of 48 points there are 6 KB; a file beyond this is none of ours.
_LARGEST_FILE = 2**22
_LARGEST_NUMBER = 2**53  # whole numbers up to here are the same in every reader of JSON


def write_tunings(directory: str | os.PathLike[str], tunings: Mapping[str, Tuning]) -> None:
    """Writes the curves of a catalogue's segments, by their folders, in one step."""
    values = {
        "schema": _SCHEMA,
        "segments": {name: tuning.to_json() for name, tuning in tunings.items()},
    }
    text = json.dumps(values, indent=2) + "\n"
    write_whole(pathlib.Path(directory) / TUNING, text.encode("utf-8"))


def read_tunings(directory: str | os.PathLike[str]) -> dict[str, Tuning]:
    """Reads the curves of those segments that the catalogue still has.

    Args:
        directory: of the catalogue.

    Returns:
        Curves by the segments' folders, in the catalogue's order; none where it was never tuned,
        or was built anew or compacted since.

    Raises:
        StorageError: if the file is damaged, or of another version, or there is no catalogue.
        ModelCardError: if the catalogue's model card cannot be read.
    """
    path = pathlib.Path(directory) / TUNING
    if not path.exists():
        return {}
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise ValueError("it is too large")
        segments = storage.read_json(path, _SCHEMA, "a tuned catalogue")["segments"]
        tunings = {name: _tuning(values) for name, values in dict(segments).items()}
    except (KeyError, TypeError, ValueError, RecursionError, OSError) as error:
        raise storage.StorageError(
            f"{path} is damaged ({error!r}). Remove it, or measure again with fashion-jax index "
            f"tune"
        ) from error
    there = [segment.data for segment in Manifest.read(path.parent).segments]
    return {name: tunings[name] for name in there if name in tunings}


def _tuning(values: Mapping[str, Any]) -> Tuning:
    points = [_point(point) for point in values["points"]]
    chosen = None if values["chosen"] is None else _point(values["chosen"])
    if not points or (chosen is not None and chosen not in points):
        raise ValueError("settings that were chosen, but not measured")
    return Tuning(
        rows=_count(values["rows"]),
        leaves=_count(values["leaves"]),
        wanted=_share(values["wanted"]),
        k=_count(values["k"]),
        queries=_count(values["queries"]),
        points=points,
        chosen=chosen,
        exact_queries_per_second=_speed(values["exact_queries_per_second"]),
    )


def _point(values: Mapping[str, Any]) -> Point:
    return Point(
        reorder=_count(values["reorder"]),
        leaves_to_search=_count(values["leaves_to_search"]),
        recall=_share(values["recall"]),
        queries_per_second=_speed(values["queries_per_second"]),
    )


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= _LARGEST_NUMBER:
        raise ValueError(f"{value!r:.40} is no count")
    return value


def _share(value: Any) -> float:
    # NaN, which JSON of Python's may have, is in no range.
    if type(value) not in (int, float) or not 0 <= value <= 1:
        raise ValueError(f"{value!r:.40} is no share")
    return float(value)


def _speed(value: Any) -> float:
    if type(value) not in (int, float) or not 0 < value <= _LARGEST_NUMBER:
        raise ValueError(f"{value!r:.40} is no speed")
    return float(value)
