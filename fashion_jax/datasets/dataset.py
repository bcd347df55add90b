"""Datasets and their splits: protocols, and built datasets in TFDS's array_record layout."""

import functools
import hashlib
import os
import pathlib
import re
from typing import Any, Protocol, runtime_checkable

import numpy as np
from etils import epath
from jaxtyping import Int

from fashion_jax.addresses import is_address, local_copy, naming_remedy, open_storage
from fashion_jax.datasets.building.build_report import REPORT_NAME, read_report
from fashion_jax.datasets.built_files import (
    COLUMN_NAMES,
    DamagedDatasetError,
    EncodedPhotos,
    check_records,
    open_builder,
    read_columns,
    read_products,
    read_record,
)
from fashion_jax.datasets.records import SPLITS
from fashion_jax.errors import FashionJaxError
from fashion_jax.files import require_utf8
from fashion_jax.similar_names import did_you_mean, told_apart


class DatasetNotFoundError(FashionJaxError):
    """A dataset, or a split of it, that was not built."""


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


class SplitRows(Split):
    """Some rows of a split, in a given order."""

    def __init__(self, split: Split, rows: Int[np.ndarray, " rows"]) -> None:
        """Select rows."""
        self.name = split.name
        self.identity = split.identity[rows]
        self.domain = split.domain[rows]
        self.category = split.category[rows]
        self.photo_id = split.photo_id[rows]
        self.camera = split.camera[rows]
        self._split = split
        self._rows = rows

    def image_bytes(self, row: int) -> bytes:
        """Read the encoded photo in `row`."""
        return self._split.image_bytes(int(self._rows[row]))


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
        check_records(directory, name)
        self.directory = directory
        self.name = name
        columns = read_columns(directory, name)
        self.identity = columns["identity"]
        self.domain = columns["domain"]
        self.category = columns["category"]
        self.photo_id = columns["photo_id"]
        self.camera = columns["camera"]

    def image_bytes(self, row: int) -> bytes:
        """Read the encoded photo in `row`.

        Raises:
            DamagedDatasetError: if its record is damaged.
        """
        place = f"split {self.name} in {self.directory}"
        return read_record(self._photos, int(row), place)

    @functools.cached_property
    def product_names(self) -> list[str]:
        """Name of each identity in the raw dataset.

        Raises:
            DamagedDatasetError: if their file is missing or damaged.
        """
        names = read_products(self.directory)
        if len(self) and not 0 <= self.identity.min() <= self.identity.max() < len(names):
            raise DamagedDatasetError(
                f"{self.directory} has the names of {len(names):,} products, but its split "
                f"{self.name} numbers them {self.identity.min()} to {self.identity.max()}; "
                "build it again with --overwrite"
            )
        return names

    @functools.cached_property
    def _photos(self) -> EncodedPhotos:
        return EncodedPhotos(self.directory, self.name)

    def __getstate__(self) -> dict[str, Any]:
        # A worker process opens its own files.
        return {key: value for key, value in self.__dict__.items() if key != "_photos"}


class BuiltDataset(Dataset):
    """A dataset written by `fashion-jax data build`."""

    def __init__(self, name: str, directory: str) -> None:
        """Open the dataset in `directory`; see `open_dataset`.

        Raises:
            DamagedDatasetError: if its description is damaged.
        """
        self.name = name
        self.directory = directory
        self._info = open_builder(directory).info
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
            check_records(self.directory, split)

    def build_report(self) -> dict[str, Any] | None:
        """Read the report of the build; `None` if it was not stored.

        Raises:
            FashionJaxError: if it is damaged.
        """
        directory = pathlib.Path(self.directory)
        return read_report(directory).to_json() if (directory / REPORT_NAME).exists() else None

    def build_options(self) -> dict[str, str]:
        """Options of the build, such as `box_reading`, as texts; empty without a report."""
        options = (self.build_report() or {}).get("options", {})
        return {
            name: ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            for name, value in options.items()
        }


def products_of(split: Split, rows: slice = slice(None)) -> list[str]:
    """Product on each photo as text: its name in the raw dataset, or its number without one.

    Args:
        split: a dataset's split.
        rows: rows to look up; by default all.
    """
    identities, names = split.identity[rows].tolist(), getattr(split, "product_names", None)
    return [str(identity) if names is None else names[identity] for identity in identities]


def open_dataset(name: str, data_dir: str | os.PathLike[str]) -> BuiltDataset:
    """Open the newest built version of a dataset; one at an address is copied first.

    Args:
        name: name of the dataset.
        data_dir: directory of built datasets, also gs:// or s3://.

    Raises:
        DatasetNotFoundError: if it was not built; with the place searched and the command to
            build it.
        AddressError: if it is an address that cannot be read.
        StorageError: if the directory's path is not UTF-8.
    """
    root = _root(data_dir)
    versions = [path for path in _folders(root / name) if (path / "dataset_info.json").exists()]
    if not versions:
        raise DatasetNotFoundError(
            f"no built dataset {name!r} in {root}: looked for {name}/<version>/dataset_info.json"
            f"{_others(root, name)} Build it with: "
            f"fashion-jax data build --dataset {name} --data_dir {data_dir}"
        )
    newest = max(versions, key=lambda path: tuple(int(part) for part in path.name.split(".")))
    # ArrayRecord opens local files only.
    return BuiltDataset(name, os.fspath(local_copy(os.fspath(newest), mend=True)))


def _root(data_dir: str | os.PathLike[str]) -> epath.Path:
    """The directory of built datasets, absolute.

    Raises:
        AddressError: if it is an address that cannot be opened.
        StorageError: if its path is not UTF-8.
    """
    if is_address(data_dir):
        with naming_remedy(data_dir, "read"):
            open_storage(os.fspath(data_dir).split(":", 1)[0])
            root = epath.Path(data_dir)
            root.exists()
    else:
        root = epath.Path(data_dir).expanduser().resolve()
    require_utf8(root)
    return root


def _folders(path: epath.Path) -> list[epath.Path]:
    if not path.is_dir():
        return []
    return [
        child
        for child in path.iterdir()
        if re.fullmatch(r"[0-9]+(\.[0-9]+)*", child.name) and child.is_dir()
    ]


def _others(root: epath.Path, name: str) -> str:
    built = [child.name for child in root.iterdir() if _folders(child)] if root.is_dir() else []
    if not built:
        return ", but nothing is built there."
    hint = did_you_mean(name, built) or "."
    return f", but only found {', '.join(told_apart(sorted(built)))}{hint}"


def labels_sha256(split: Split) -> str:
    """SHA-256 of a split's columns: names and labels of its photos."""
    digest = hashlib.sha256()
    for name in COLUMN_NAMES:
        column = np.asarray(getattr(split, name))
        if column.dtype.kind in "OU":  # whose bytes depend on the longest text
            digest.update("\0".join(map(str, column.tolist())).encode("utf-8", "surrogatepass"))
        else:
            digest.update(column.astype(np.int64).tobytes())
        digest.update(b"\0\0")
    return digest.hexdigest()
