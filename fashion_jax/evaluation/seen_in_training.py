"""Test products that a run was trained on, counted and named."""

import dataclasses
import logging
import os
import pathlib

import numpy as np

from fashion_jax.addresses import at_addresses
from fashion_jax.datasets.dataset import Dataset, labels_sha256
from fashion_jax.datasets.trained_on import (
    TrainedOn,
    TrainingPhotos,
    photo_hashes,
    read_trained_on,
)
from fashion_jax.evaluation.embedded import TEST_SPLITS
from fashion_jax.files import StorageError

logger = logging.getLogger(__name__)

_NAMED = 10


@dataclasses.dataclass(frozen=True)
class SeenInTraining:
    """Test photos of a dataset whose products, or which themselves, a run was trained on.

    Attributes:
        queries: number of queries whose product was trained on.
        gallery: number of gallery photos whose product was trained on.
        query_photos: number of queries with the id of a training photo, of any product.
        gallery_photos: number of gallery photos with the id of a training photo, of any product.
        all_queries: number of queries.
        all_gallery: number of gallery photos.
        products: number of products of the two splits that were trained on.
        names: ids of the first `queries`, at most ten.
        relabelled: whether the dataset's training split differs from the one trained on under the
            same name.
    """

    queries: int
    gallery: int
    query_photos: int
    gallery_photos: int
    all_queries: int
    all_gallery: int
    products: int
    names: tuple[str, ...] = ()
    relabelled: bool = False

    def lines(self) -> list[str]:
        """Describe what was found, one line per fact; empty if nothing was."""
        lines = []
        if self.queries or self.gallery:
            lines.append(
                f"{self.queries:,} of {self.all_queries:,} queries and {self.gallery:,} of "
                f"{self.all_gallery:,} gallery photos show products that the model was trained on "
                f"({self.products:,} products{self._names()})"
            )
        if self.query_photos or self.gallery_photos:
            lines.append(
                f"{self.query_photos:,} of {self.all_queries:,} queries and "
                f"{self.gallery_photos:,} of {self.all_gallery:,} gallery photos have the ids of "
                "training photos"
            )
        if self.relabelled:
            lines.append(
                "the dataset is not the build that the model was trained on: its training split "
                "has other photos or labels"
            )
        return lines

    def _names(self) -> str:
        if not self.names:
            return ""
        more = self.queries - len(self.names)
        return f"; queries {', '.join(self.names)}" + (f" and {more:,} more" if more else "")


@at_addresses("workdir")
def seen_in_training(
    workdir: str | os.PathLike[str], dataset: Dataset, run: str = "the model"
) -> SeenInTraining | None:
    """Count the test products of a dataset that a run was trained on, and warn if there are any.

    Args:
        workdir: workdir of the run.
        dataset: dataset with splits `query` and `gallery`.
        run: name of the run, for the warnings.

    Returns:
        Counts; `None`, with a warning, where the run did not store its training photos.
    """
    try:
        trained = read_trained_on(pathlib.Path(workdir))
    except StorageError as error:
        logger.warning(
            "whether %s was trained on products of %s is not known: %s", run, dataset.name, error
        )
        return None
    seen = count_seen(trained, dataset)
    for line in seen.lines():
        logger.warning("%s, %s: %s", dataset.name, run, line)
    return seen


def count_seen(trained: TrainedOn, dataset: Dataset) -> SeenInTraining:
    """Count the test products of a dataset that were trained on; see `docs/evaluation.md`."""
    splits = {name: dataset.split(name) for name in dataset.splits}
    hashes = {name: photo_hashes(split.photo_id) for name, split in splits.items()}
    every = np.concatenate(list(hashes.values()))
    identity = np.concatenate([split.identity for split in splits.values()])
    same_build = [_same_build(photos, dataset) for photos in trained.datasets]
    products = [photos.products_of(every, identity) for photos in trained.datasets]
    if True in same_build:  # numbers of products are those of the run
        products.append(np.unique(splits["train"].identity))
    seen = np.unique(np.concatenate([np.empty(0, np.int64), *products]))
    of_product = {name: np.isin(splits[name].identity, seen) for name in TEST_SPLITS}
    of_photo = {
        name: np.any([photos.contain(hashes[name]) for photos in trained.datasets], axis=0)
        for name in TEST_SPLITS
    }
    query, gallery = (splits[name] for name in TEST_SPLITS)
    tested = np.union1d(query.identity, gallery.identity)
    return SeenInTraining(
        queries=int(of_product["query"].sum()),
        gallery=int(of_product["gallery"].sum()),
        query_photos=int(of_photo["query"].sum()),
        gallery_photos=int(of_photo["gallery"].sum()),
        all_queries=len(query),
        all_gallery=len(gallery),
        products=int(np.isin(tested, seen).sum()),
        names=tuple(map(str, query.photo_id[of_product["query"]][:_NAMED].tolist())),
        relabelled=False in same_build,
    )


def _same_build(photos: TrainingPhotos, dataset: Dataset) -> bool | None:
    """Compare a dataset's training split with that of its name; `None` where there is none."""
    if photos.dataset != dataset.name or "train" not in dataset.splits:
        return None
    return photos.labels_sha256 == labels_sha256(dataset.split("train"))
