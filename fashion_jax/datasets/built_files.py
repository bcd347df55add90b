"""Files of a built dataset, as TFDS writes them: its description, its records and their columns."""

import collections
import contextlib
import io
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import tensorflow_datasets as tfds
from array_record.python.array_record_module import ArrayRecordReader

from fashion_jax.datasets.records import SPLITS
from fashion_jax.errors import FashionJaxError, named
from fashion_jax.files import (
    StorageError,
    UnreadableFileError,
    UnwritableFileError,
    atomic_write,
    read_file,
    read_json,
)

COLUMN_NAMES = ("identity", "domain", "category", "photo_id", "camera")
_FEATURES = ("image", *COLUMN_NAMES)
PRODUCTS = "products.parquet"
_DESCRIPTION = ("dataset_info.json", "features.json")
_LARGEST_COLUMNS = 2**34  # bytes
_ENCODED = {"image": tfds.decode.SkipDecoding()}
_MEND = "Copy the dataset again, or build it again with --overwrite"

T = TypeVar("T")


class DamagedDatasetError(FashionJaxError):
    """A built dataset of which files are missing or cut off."""


def open_builder(directory: str) -> tfds.core.DatasetBuilder:
    """Open a dataset with TFDS, after checking what it reads.

    Raises:
        DamagedDatasetError: if a file of its description is damaged.
    """
    folder = pathlib.Path(directory)
    try:
        for name in _DESCRIPTION:
            read_json(folder / name, dict[str, Any], None, "a built dataset", mend=_MEND)
        builder = tfds.builder_from_directory(directory)
        info = builder.info
        wrong = [f"version {info.version!s}"] if str(info.version) != folder.name else []
        wrong += [f"the unknown split {name!r}" for name in info.splits if name not in SPLITS]
        wrong += [f"no feature {name!r}" for name in _FEATURES if name not in info.features]
    except StorageError as error:
        raise DamagedDatasetError(str(error)) from error
    except Exception as error:  # TFDS raises whatever a damaged file leads it to
        wrong = [f"{type(error).__name__}: {error}"]
    if wrong:
        raise DamagedDatasetError(
            f"{' or '.join(_DESCRIPTION)} in {directory} is damaged ({'; '.join(wrong)}). {_MEND}"
        )
    return builder


def data_source(directory: str, split: str) -> Sequence[dict[str, Any]]:
    """Open the records of a split; their photos stay encoded."""
    return open_builder(directory).as_data_source(split, decoders=_ENCODED)


class EncodedPhotos(Sequence[bytes]):
    """The encoded photos of a split; the other features of its records are not parsed."""

    def __init__(self, directory: str, split: str) -> None:
        """Open the records of a split."""
        builder = open_builder(directory)
        raw = tfds.decode.DeserializeMethod.RAW_BYTES
        self._records = builder.as_data_source(split, deserialize_method=raw)
        self._feature = tfds.features.FeaturesDict({"image": builder.info.features["image"]})

    def __len__(self) -> int:
        """Count the photos."""
        return len(self._records)

    def __getitem__(self, row: Any) -> Any:
        """Read the photo in a row."""
        record = self._records[row]
        return self._feature.deserialize_example_np(record, decoders=_ENCODED)["image"]


def read_record(records: Sequence[T], row: int, place: str) -> T:
    """Read a record of `data_source`, or a photo; `place` says of which split, for messages.

    Raises:
        DamagedDatasetError: if it is damaged.
    """
    try:
        return records[row]
    except IndexError:
        raise
    except Exception as error:  # TFDS raises whatever a damaged record leads it to
        raise DamagedDatasetError(
            f"record {row} of the {place} is damaged ({type(error).__name__}: {error}). {_MEND}"
        ) from error


def check_records(directory: str, split: str) -> None:
    """Compare the records in a split's files with the numbers that the build wrote down.

    A file that was cut off, by an interrupted copy for instance, opens as one without records.

    Raises:
        DamagedDatasetError: with each file of which records are missing.
    """
    stored = open_builder(directory).info.splits[split]
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
            wrong.append(f"{path.name} cannot be read" + (f" ({error})" if str(error) else ""))
            continue
        if found != length:
            wrong.append(f"{path.name} has {found} readable records of {length}")
    if not wrong:
        size, expected = sum(map(os.path.getsize, stored.filepaths)), stored.num_bytes
        wrong = [f"its files have {size:,} bytes of {expected:,}"] if size != expected else []
    if wrong:
        raise DamagedDatasetError(
            f"the split {split} in {directory} is damaged: {'; '.join(wrong)}. {_MEND}"
        )


def read_columns(directory: str, split: str) -> dict[str, np.ndarray]:
    """Read the small features of every record.

    They are scattered between the photos, so that the first reading goes through the whole split;
    it stores them next to the data for the next one.
    """
    stored = pathlib.Path(directory) / f"columns_{split}.npz"
    records = data_source(directory, split)
    source = _source(directory, split)
    columns = _stored_columns(stored, source, len(records))
    if columns is not None:
        return columns
    columns = _scan_columns(records, f"split {split} in {directory}")
    encoded = io.BytesIO()
    np.savez(encoded, source=source, **columns)  # type: ignore[arg-type]
    with contextlib.suppress(OSError, UnwritableFileError):  # they are read anew each time
        atomic_write(stored, encoded.getvalue())
    return columns


def write_products(directory: str, identities: Mapping[tuple[str, ...], int]) -> None:
    """Store the name of each identity; the parts of a name are joined by slashes.

    Args:
        directory: directory of the dataset.
        identities: numbers by name, 0, 1, 2, ...

    Raises:
        FashionJaxError: if two names are one when their parts are joined.
    """
    names = ["/".join(parts) for parts in identities]
    repeated = [name for name, count in collections.Counter(names).items() if count > 1]
    if repeated:
        raise FashionJaxError(f"products that share a name: {named(repeated)}")
    encoded = io.BytesIO()
    pq.write_table(pa.table({"product": pa.array(names, pa.string())}), encoded)
    atomic_write(pathlib.Path(directory) / PRODUCTS, encoded.getvalue())


def read_products(directory: str) -> list[str]:
    """Read what `write_products` wrote.

    Raises:
        DamagedDatasetError: if the file is missing or damaged.
    """
    path = pathlib.Path(directory) / PRODUCTS
    try:
        table = pq.read_table(io.BytesIO(read_file(path, _LARGEST_COLUMNS)), columns=["product"])
        return pc.cast(table["product"], pa.string()).to_pylist()
    except (UnreadableFileError, pa.ArrowException, OSError, ValueError) as error:
        raise DamagedDatasetError(f"{path} is missing or damaged ({error}). {_MEND}") from error


def _source(directory: str, split: str) -> str:
    """Name the records of a split: their files and sizes."""
    files = sorted(pathlib.Path(directory).glob(f"*-{split}.array_record*"))
    return " ".join(f"{path.name}:{path.stat().st_size}" for path in files)


def _stored_columns(path: pathlib.Path, source: str, rows: int) -> dict[str, np.ndarray] | None:
    """Columns as they were stored; `None` if they were not, or are damaged, or of other records."""
    try:
        content = read_file(path, _LARGEST_COLUMNS)
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            columns = {name: stored[name] for name in COLUMN_NAMES}
            if str(stored["source"]) != source:
                return None
    except Exception:  # NumPy raises whatever a damaged file leads it to
        return None
    return columns if all(column.shape == (rows,) for column in columns.values()) else None


def _scan_columns(records: Sequence[dict[str, Any]], place: str) -> dict[str, np.ndarray]:
    values: dict[str, list[Any]] = {name: [] for name in COLUMN_NAMES}
    for row in range(len(records)):
        record = read_record(records, row, place)  # one photo at a time: a split may exceed memory
        for name in COLUMN_NAMES:
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
