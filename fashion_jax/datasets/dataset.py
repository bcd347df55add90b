"""Built datasets: array_record files in the layout of TFDS, opened for random access."""

import difflib
import functools
import io
import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from etils import epath

from fashion_jax.datasets.building.build_report import REPORT_NAME
from fashion_jax.datasets.records import DOMAIN_NAMES, SPLITS
from fashion_jax.errors import FashionJaxError
from fashion_jax.files import atomic_write

_COLUMN_NAMES = ("identity", "domain", "category", "photo_id", "camera")


class DatasetNotFoundError(FashionJaxError):
    """No built dataset where one was looked for."""


class Split:
    """One split: its columns in memory, its photos read by row.

    Attributes:
        identity: int64 [N].
        domain: int8 [N], values of `fashion_jax.datasets.records.Domain`.
        category: text [N].
        photo_id: text [N].
        camera: int32 [N].
    """

    def __init__(self, directory: str, name: str) -> None:
        """Opens split `name` of the dataset in `directory`; see `open_dataset`."""
        self.directory = directory
        self.name = name
        columns = _read_columns(directory, name)
        self.identity = columns["identity"]
        self.domain = columns["domain"]
        self.category = columns["category"]
        self.photo_id = columns["photo_id"]
        self.camera = columns["camera"]

    def __len__(self) -> int:
        """Number of photos."""
        return len(self.identity)

    @property
    def domain_name(self) -> np.ndarray:
        """Text [N]: `street` or `shop`."""
        return np.array(DOMAIN_NAMES)[self.domain]

    def image_bytes(self, row: int) -> bytes:
        """The encoded photo in `row`."""
        return self._records[int(row)]["image"]

    @functools.cached_property
    def _records(self) -> Sequence[dict[str, Any]]:
        return _data_source(self.directory, self.name)

    def __getstate__(self) -> dict[str, Any]:
        # A worker process opens its own files.
        return {key: value for key, value in self.__dict__.items() if key != "_records"}


class BuiltDataset:
    """A dataset that `fashion-jax data build` has written."""

    def __init__(self, name: str, directory: str) -> None:
        """See `open_dataset`."""
        self.name = name
        self.directory = directory
        info = tfds.builder_from_directory(directory).info
        self.version = str(info.version)
        self.splits = tuple(split for split in SPLITS if split in info.splits)
        self._open_splits: dict[str, Split] = {}

    def split(self, name: str) -> Split:
        """Opens a split (once).

        Raises:
            DatasetNotFoundError: if the dataset was built without it.
        """
        if name not in self.splits:
            raise DatasetNotFoundError(
                f"{self.name} in {self.directory} has no split {name!r}, only "
                f"{', '.join(self.splits)}; build it again with the splits that you need"
            )
        if name not in self._open_splits:
            self._open_splits[name] = Split(self.directory, name)
        return self._open_splits[name]

    def build_report(self) -> dict[str, Any] | None:
        """What was found, missing and repaired when it was built; None if nobody wrote it down."""
        path = epath.Path(self.directory) / REPORT_NAME
        return json.loads(path.read_text()) if path.exists() else None

    def build_options(self) -> dict[str, str]:
        """What it was built with, such as `box_reading`, as texts; empty if that is not known."""
        options = (self.build_report() or {}).get("options", {})
        return {name: _option_text(value) for name, value in options.items()}

    def fingerprint(self) -> dict[str, Any]:
        """What must not change under a run that is resumed."""
        sizes = {name: len(self.split(name)) for name in self.splits}
        return {"dataset": self.name, "version": self.version, "photos": sizes}


def open_dataset(name: str, data_dir: str | os.PathLike[str]) -> BuiltDataset:
    """Opens the newest built version of dataset `name` below `data_dir`.

    Raises:
        DatasetNotFoundError: if there is none; says where it looked and how to build it.
    """
    root = _resolve(data_dir)
    versions = [path for path in _folders(root / name) if (path / "dataset_info.json").exists()]
    if not versions:
        raise DatasetNotFoundError(
            f"no built dataset {name!r} in {root}: looked for {name}/<version>/dataset_info.json"
            f"{_others(root, name)}. Build it with: "
            f"fashion-jax data build --dataset {name} --data_dir {data_dir}"
        )
    newest = max(versions, key=lambda path: tuple(int(part) for part in path.name.split(".")))
    return BuiltDataset(name, os.fspath(newest))


def _resolve(data_dir: str | os.PathLike[str]) -> epath.Path:
    path = epath.Path(data_dir)
    return path.expanduser().resolve() if "://" not in os.fspath(path) else path


def _folders(path: epath.Path) -> list[epath.Path]:
    if not path.is_dir():
        return []
    return [
        child
        for child in path.iterdir()
        if child.name.replace(".", "").isdigit() and child.is_dir()
    ]


def _others(root: epath.Path, name: str) -> str:
    built = [child.name for child in root.iterdir() if _folders(child)] if root.is_dir() else []
    if not built:
        return ", but nothing is built there"
    near = difflib.get_close_matches(name, built, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    return f", but only found {', '.join(sorted(built))}{hint}"


def _data_source(directory: str, split: str) -> Sequence[dict[str, Any]]:
    builder = tfds.builder_from_directory(directory)
    return builder.as_data_source(split, decoders={"image": tfds.decode.SkipDecoding()})


def _read_columns(directory: str, split: str) -> dict[str, np.ndarray]:
    """The small features of every record.

    They are scattered between the photos, so that a first reading goes through the whole split;
    it leaves them beside the data for the next one.
    """
    stored = pathlib.Path(directory) / f"columns_{split}.npz"
    if stored.exists():
        with np.load(stored, allow_pickle=False) as columns:
            return {name: columns[name] for name in _COLUMN_NAMES}
    columns = _scan_columns(_data_source(directory, split))
    if os.access(directory, os.W_OK):
        _store_columns(stored, columns)
    return columns


def _scan_columns(records: Sequence[dict[str, Any]]) -> dict[str, np.ndarray]:
    values: dict[str, list[Any]] = {name: [] for name in _COLUMN_NAMES}
    for row in range(len(records)):
        record = records[row]  # one photo at a time: a split need not fit into memory
        for name in _COLUMN_NAMES:
            values[name].append(record[name])
    return {
        "identity": np.array(values["identity"], np.int64),
        "domain": np.array(values["domain"], np.int8),
        "category": np.array([_text(value) for value in values["category"]], np.str_),
        "photo_id": np.array([_text(value) for value in values["photo_id"]], np.str_),
        "camera": np.array(values["camera"], np.int32),
    }


def _option_text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _store_columns(path: pathlib.Path, columns: dict[str, np.ndarray]) -> None:
    encoded = io.BytesIO()
    np.savez(encoded, **columns)  # type: ignore[arg-type]
    atomic_write(path, encoded.getvalue())
