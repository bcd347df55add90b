"""Datasets and their splits: protocols, and built datasets in TFDS's array_record layout."""

import contextlib
import difflib
import functools
import hashlib
import io
import json
import os
import pathlib
import zipfile
import zlib
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import tensorflow_datasets as tfds
from array_record.python.array_record_module import ArrayRecordReader
from etils import epath

from fashion_jax.datasets.building.build_report import REPORT_NAME
from fashion_jax.datasets.records import SPLITS
from fashion_jax.errors import FashionJaxError
from fashion_jax.files import atomic_write

_COLUMN_NAMES = ("identity", "domain", "category", "photo_id", "camera")


class DatasetNotFoundError(FashionJaxError):
    """A dataset, or a split of it, that was not built."""


class DamagedDatasetError(FashionJaxError):
    """A built dataset of which files are missing or cut off."""


@runtime_checkable
class Split(Protocol):
    """One split of a dataset: its columns in memory, its photos read by row.

    Any object with these members will do; a class that derives from `Split` inherits `__len__`.

    Attributes:
        name: name of the split, such as `train`.
        identity: product on each photo, int64 [N]; the same number in all splits of a dataset.
        domain: street or shop, int8 [N], values of `fashion_jax.datasets.records.Domain`.
        category: kind of garment, text [N].
        photo_id: name of each photo, text [N].
        camera: number of the camera, int32 [N]; `fashion_jax.datasets.records.NO_CAMERA` where
            unknown.
    """

    name: str
    identity: np.ndarray
    domain: np.ndarray
    category: np.ndarray
    photo_id: np.ndarray
    camera: np.ndarray

    def __len__(self) -> int:
        """Count the photos."""
        return len(self.identity)

    def image_bytes(self, row: int) -> bytes:
        """Read the photo in `row`, encoded as JPEG or any other format that OpenCV decodes."""
        ...


@runtime_checkable
class Dataset(Protocol):
    """A dataset to train on or to evaluate on, such as `open_dataset` returns.

    Any object with these members will do. A class that derives from `Dataset` defines `name`,
    `version`, `splits` and `split`, and inherits the rest.

    Attributes:
        name: name in logs, reports and model cards.
        version: version of the content, such as "1.0.0".
        splits: names of its splits, among `fashion_jax.datasets.records.SPLITS`. Training needs
            `train`, `val_query` and `val_gallery`; evaluation needs `query` and `gallery`.
    """

    name: str
    version: str
    splits: tuple[str, ...]

    def split(self, name: str) -> Split:
        """Open one of `splits`."""
        ...

    def fingerprint(self) -> dict[str, Any]:
        """Describe the content as JSON values; a run resumes only on an equal description.

        It has each split's number of photos and the SHA-256 of its columns: names and labels.
        """
        splits = {name: self.split(name) for name in self.splits}
        return {
            "dataset": self.name,
            "version": self.version,
            "photos": {name: len(split) for name, split in splits.items()},
            "labels_sha256": {name: labels_sha256(split) for name, split in splits.items()},
        }

    def build_options(self) -> dict[str, str]:
        """Options that the records depend on, by name, for model cards; may be empty."""
        return {}

    def build_report(self) -> dict[str, Any] | None:
        """Report of the build, as `BuildReport.to_json` writes it; `None` if unknown."""
        return None


class BuiltSplit(Split):
    """A split of a built dataset; its files are opened at the first photo."""

    def __init__(self, directory: str, name: str) -> None:
        """Open split `name` of the dataset in `directory`; see `open_dataset`.

        Raises:
            DamagedDatasetError: if records are missing.
        """
        _check_records(directory, name)
        self.directory = directory
        self.name = name
        columns = _read_columns(directory, name)
        self.identity = columns["identity"]
        self.domain = columns["domain"]
        self.category = columns["category"]
        self.photo_id = columns["photo_id"]
        self.camera = columns["camera"]

    def image_bytes(self, row: int) -> bytes:
        """Read the encoded photo in `row`."""
        return self._records[int(row)]["image"]

    @functools.cached_property
    def _records(self) -> Sequence[dict[str, Any]]:
        return _data_source(self.directory, self.name)

    def __getstate__(self) -> dict[str, Any]:
        # A worker process opens its own files.
        return {key: value for key, value in self.__dict__.items() if key != "_records"}


class BuiltDataset(Dataset):
    """A dataset written by `fashion-jax data build`."""

    def __init__(self, name: str, directory: str) -> None:
        """Open the dataset in `directory`; see `open_dataset`."""
        self.name = name
        self.directory = directory
        self._info = tfds.builder_from_directory(directory).info
        self.version = str(self._info.version)
        self.splits = tuple(split for split in SPLITS if split in self._info.splits)
        self._open_splits: dict[str, BuiltSplit] = {}

    def split(self, name: str) -> BuiltSplit:
        """Open a split, once.

        Raises:
            DatasetNotFoundError: if the dataset was built without it.
        """
        if name not in self.splits:
            raise DatasetNotFoundError(
                f"{self.name} in {self.directory} has no split {name!r}, only "
                f"{', '.join(self.splits)}; build it again with the splits that you need"
            )
        if name not in self._open_splits:
            self._open_splits[name] = BuiltSplit(self.directory, name)
        return self._open_splits[name]

    def fingerprint(self) -> dict[str, Any]:
        """Describe the content; besides names and labels, the size of the stored records."""
        sizes = {name: int(self._info.splits[name].num_bytes) for name in self.splits}
        return {**super().fingerprint(), "bytes": sizes}

    def check(self) -> None:
        """Check that the files of all splits hold as many records as were built.

        Raises:
            DamagedDatasetError: with each file that does not.
        """
        for split in self.splits:
            _check_records(self.directory, split)

    def build_report(self) -> dict[str, Any] | None:
        """Read the report of the build; `None` if it was not stored."""
        path = epath.Path(self.directory) / REPORT_NAME
        return json.loads(path.read_text()) if path.exists() else None

    def build_options(self) -> dict[str, str]:
        """Options of the build, such as `box_reading`, as texts; empty without a report."""
        options = (self.build_report() or {}).get("options", {})
        return {
            name: ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            for name, value in options.items()
        }


def open_dataset(name: str, data_dir: str | os.PathLike[str]) -> BuiltDataset:
    """Open the newest built version of a dataset.

    Args:
        name: name of the dataset.
        data_dir: directory of built datasets.

    Raises:
        DatasetNotFoundError: if it was not built; with the place searched and the command to
            build it.
    """
    root = epath.Path(data_dir)
    if "://" not in os.fspath(root):
        root = root.expanduser().resolve()
    versions = [path for path in _folders(root / name) if (path / "dataset_info.json").exists()]
    if not versions:
        raise DatasetNotFoundError(
            f"no built dataset {name!r} in {root}: looked for {name}/<version>/dataset_info.json"
            f"{_others(root, name)}. Build it with: "
            f"fashion-jax data build --dataset {name} --data_dir {data_dir}"
        )
    newest = max(versions, key=lambda path: tuple(int(part) for part in path.name.split(".")))
    return BuiltDataset(name, os.fspath(newest))


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


def _check_records(directory: str, split: str) -> None:
    """Compare the records in a split's files with the numbers that the build wrote down.

    A file that was cut off, by an interrupted copy for instance, opens as one without records.
    """
    stored = tfds.builder_from_directory(directory).info.splits[split]
    wrong = []
    for path, length in zip(stored.filepaths, stored.shard_lengths, strict=True):
        if not path.exists():
            wrong.append(f"{path.name} is missing")
            continue
        try:
            reader = ArrayRecordReader(os.fspath(path))
            found = reader.num_records()
            reader.close()
        except (RuntimeError, ValueError, OSError) as error:
            wrong.append(f"{path.name} cannot be read ({error})")
            continue
        if found != length:
            wrong.append(f"{path.name} has {found} readable records of {length}")
    if wrong:
        raise DamagedDatasetError(
            f"the split {split} in {directory} is damaged: {'; '.join(wrong)}. Copy the dataset "
            "again, or build it again with --overwrite"
        )


def labels_sha256(split: Split) -> str:
    """SHA-256 of a split's columns: names and labels of its photos."""
    digest = hashlib.sha256()
    for name in _COLUMN_NAMES:
        column = np.asarray(getattr(split, name))
        if column.dtype.kind in "OU":  # whose bytes depend on the longest text
            digest.update("\0".join(map(str, column.tolist())).encode("utf-8", "surrogatepass"))
        else:
            digest.update(column.astype(np.int64).tobytes())
        digest.update(b"\0\0")
    return digest.hexdigest()


def _read_columns(directory: str, split: str) -> dict[str, np.ndarray]:
    """Read the small features of every record.

    They are scattered between the photos, so that the first reading goes through the whole split;
    it stores them next to the data for the next one.
    """
    stored = pathlib.Path(directory) / f"columns_{split}.npz"
    records = _data_source(directory, split)
    columns = _stored_columns(stored, len(records))
    if columns is not None:
        return columns
    columns = _scan_columns(records)
    encoded = io.BytesIO()
    np.savez(encoded, **columns)  # type: ignore[arg-type]
    with contextlib.suppress(OSError):  # where nothing can be written, they are read each time
        atomic_write(stored, encoded.getvalue())
    return columns


def _stored_columns(path: pathlib.Path, rows: int) -> dict[str, np.ndarray] | None:
    """Columns as they were stored; `None` if they were not, or are damaged, or of other records."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
            columns = {name: stored[name] for name in _COLUMN_NAMES}
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error):
        return None
    return columns if all(column.shape == (rows,) for column in columns.values()) else None


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


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
