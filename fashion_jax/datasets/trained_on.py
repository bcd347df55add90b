"""Hashed names of a run's training photos, stored with the run.

Evaluation on any dataset can then count the test products that the model has seen, also where the
training data was moved, or built anew with other splits.
"""

import dataclasses
import hashlib
import pathlib
from collections.abc import Sequence
from typing import Annotated

import numpy as np
from jaxtyping import Bool, Int, Shaped, UInt64
from msgspec import Meta

from fashion_jax.datasets.dataset import Dataset, Split, labels_sha256
from fashion_jax.files import StorageError, atomic_write, read_json, to_json
from fashion_jax.strict_json import digest

TRAINED_ON = "trained_on.json"

_SCHEMA = 2
_HASH = np.dtype("<u8")


@dataclasses.dataclass(frozen=True)
class TrainingPhotos:
    """The training photos of one dataset.

    Attributes:
        dataset: name of the dataset.
        labels_sha256: SHA-256 of the split's names and labels; see `labels_sha256`.
        of_one_product: hashes of the ids of photos that show one product, little-endian uint64.
        of_several: the same of photos that show several.
    """

    dataset: str
    labels_sha256: str
    of_one_product: bytes
    of_several: bytes

    def contain(self, hashes: UInt64[np.ndarray, " photos"]) -> Bool[np.ndarray, " photos"]:
        """Whether photos of these hashes are among them."""
        return np.isin(hashes, _hashes(self.of_one_product + self.of_several))

    def products_of(
        self, hashes: UInt64[np.ndarray, " photos"], identity: Int[np.ndarray, " photos"]
    ) -> Int[np.ndarray, " products"]:
        """Products among those of a dataset that are known by one of these photos.

        A photo that shows several products, here or there, identifies none of them.

        Args:
            hashes: hash of each photo of all splits; see `photo_hashes`.
            identity: product on each photo.
        """
        alone = ~np.isin(hashes, _of_several(hashes, identity))
        return np.unique(identity[alone & np.isin(hashes, _hashes(self.of_one_product))])


@dataclasses.dataclass(frozen=True)
class TrainedOn:
    """The training photos of a run.

    Attributes:
        datasets: its training photos, by dataset.
        train_sha256: SHA-256 of the datasets' content, as in the model card; see `train_sha256`.
    """

    datasets: Annotated[tuple[TrainingPhotos, ...], Meta(min_length=1)]
    train_sha256: str


def train_sha256(datasets: Sequence[Dataset]) -> str:
    """SHA-256 of the fingerprints of all training data: names, versions, labels, sizes."""
    return digest([dataset.fingerprint() for dataset in datasets])


def store_trained_on(workdir: pathlib.Path, datasets: Sequence[Dataset]) -> None:
    """Write `trained_on.json` into a run's workdir."""
    photos = tuple(_describe(dataset.name, dataset.split("train")) for dataset in datasets)
    stored = TrainedOn(photos, train_sha256(datasets))
    atomic_write(workdir / TRAINED_ON, to_json(stored, _SCHEMA))


def read_trained_on(workdir: pathlib.Path) -> TrainedOn:
    """Read what `store_trained_on` wrote.

    Raises:
        StorageError: no such file, or a damaged one.
    """
    stored = read_json(workdir / TRAINED_ON, TrainedOn, _SCHEMA, "a run that knows its photos")
    for photos in stored.datasets:
        if (len(photos.of_one_product) | len(photos.of_several)) % _HASH.itemsize:
            raise StorageError(f"{workdir / TRAINED_ON} is damaged: {photos.dataset} is cut off")
    return stored


def photo_hashes(photo_id: Shaped[np.ndarray, " photos"]) -> UInt64[np.ndarray, " photos"]:
    """64-bit hashes of photos' ids."""
    digests = [
        hashlib.blake2b(str(each).encode("utf-8", "surrogatepass"), digest_size=8).digest()
        for each in photo_id.tolist()
    ]
    return _hashes(b"".join(digests))


def _describe(name: str, split: Split) -> TrainingPhotos:
    hashes = photo_hashes(split.photo_id)
    several = _of_several(hashes, split.identity)
    single = np.setdiff1d(hashes, several)
    return TrainingPhotos(name, labels_sha256(split), single.tobytes(), several.tobytes())


def _of_several(
    hashes: UInt64[np.ndarray, " photos"], identity: Int[np.ndarray, " photos"]
) -> UInt64[np.ndarray, " several"]:
    """Sorted hashes of photos with more than one product."""
    order = np.lexsort((identity, hashes))
    hashes, identity = hashes[order], identity[order]
    same = hashes[1:] == hashes[:-1]
    return np.unique(hashes[1:][same & (identity[1:] != identity[:-1])])


def _hashes(content: bytes) -> UInt64[np.ndarray, " hashes"]:
    return np.frombuffer(content, _HASH).astype(np.uint64)
