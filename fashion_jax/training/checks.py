"""Checks before the first step: what a run would otherwise fail on hours later."""

import concurrent.futures
import logging
import math
import pathlib
import shutil
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from fashion_jax.addresses import is_address
from fashion_jax.config import ConfigError, ExperimentConfig
from fashion_jax.datasets.built_files import COLUMN_NAMES, DamagedDatasetError
from fashion_jax.datasets.dataset import BuiltDataset, Dataset, Split
from fashion_jax.datasets.loader import decode
from fashion_jax.datasets.sizes import training_sizes
from fashion_jax.errors import FashionJaxError
from fashion_jax.inference.checkpoints import checkpoints_folder
from fashion_jax.inference.embed import without_classifier
from fashion_jax.metrics.labels import Labels, numbered
from fashion_jax.metrics.protocol import ignored
from fashion_jax.metrics.ranking import NothingToMeasureError
from fashion_jax.training.learner import Learner
from fashion_jax.training.validation import VALIDATION_SPLITS

logger = logging.getLogger(__name__)

FEW_IDENTITIES = 10
_PHOTOS = 32  # tried per split
_SAMPLE = 23  # first element of the random seed of the tried photos
_KEPT = 3  # checkpoints on the disk while one is written: the best, the latest, and the new one


class DiskSpaceError(FashionJaxError):
    """A disk without room for a run's checkpoints."""


def check_datasets(config: ExperimentConfig, datasets: Sequence[Dataset]) -> None:
    """Check that datasets can be trained on and validated, on a sample of their photos.

    Args:
        config: config of the run.
        datasets: its datasets.

    Raises:
        DamagedDatasetError: a photo of the sample cannot be read, or a split's columns differ in
            length.
        NothingToMeasureError: no validation query has a match.
        FashionJaxError: splits are missing, or there are fewer than two training products.
    """
    for dataset in datasets:
        _check_splits(dataset)
        splits = [dataset.split(name) for name in ("train", *VALIDATION_SPLITS)]
        for split in splits:
            _check_columns(dataset, split)
        _check_training_products(dataset, splits[0], config)
        _check_validation(dataset, *splits[1:])
        for split in splits:
            _check_photos(dataset, split, config)
    _warn_of_schedule(config)


def check_resources(workdir: pathlib.Path, learner: Learner) -> None:
    """Check that the network takes the images, and that the disk has room for the checkpoints.

    Args:
        workdir: existing folder of the run.
        learner: network, with the shapes of its state.

    Raises:
        ConfigError: the network cannot take one of the image sizes.
        DiskSpaceError: too little room; with needed and free bytes.
    """
    _check_image_sizes(learner)
    folder = checkpoints_folder(workdir)
    if is_address(folder):  # a bucket has room
        return
    held = sum(entry.name.isdigit() for entry in folder.glob("*"))
    copies = max(1, min(_KEPT, _checkpoints_to_come(learner.config)) - held)
    check_room(workdir, state_bytes(learner), copies)


def check_room(workdir: pathlib.Path, size: int, copies: int = 1) -> None:
    """Check that a disk has room for checkpoints.

    Args:
        workdir: existing folder.
        size: bytes of a checkpoint.
        copies: number of checkpoints.

    Raises:
        DiskSpaceError: too little room; with needed and free bytes.
    """
    needed, free = copies * size, shutil.disk_usage(workdir).free
    if free < needed:
        checkpoints = "a checkpoint needs" if copies == 1 else f"{copies} checkpoints need"
        raise DiskSpaceError(
            f"the disk of {workdir.resolve()} has {free:,} bytes free; {checkpoints} {needed:,}. "
            f"Make room, or choose a --workdir on another disk"
        )


def state_bytes(learner: Learner) -> int:
    """Size of a run's state in a checkpoint, before compression."""
    leaves = jax.tree.leaves(learner.abstract_state)
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in leaves)


def _checkpoints_to_come(config: ExperimentConfig) -> int:
    """Number of checkpoints that a whole run writes, or `_KEPT` if it writes more."""
    training = config.training
    if training.checkpoint_every_steps:
        return _KEPT
    return min(_KEPT, -(-training.epochs // training.evaluate_every_epochs))


def _check_splits(dataset: Dataset) -> None:
    mend = ""
    if isinstance(dataset, BuiltDataset):
        mend = f": build {dataset.directory} again without --splits"
    needed = ("train", *VALIDATION_SPLITS)
    if missing := sorted(set(needed) - set(dataset.splits)):
        raise FashionJaxError(
            f"{dataset.name} lacks {', '.join(missing)}, which training needs{mend}"
        )
    if empty := [name for name in needed if len(dataset.split(name)) == 0]:
        raise FashionJaxError(
            f"{dataset.name} has no photo in {', '.join(empty)}, which training needs; divide its "
            "products anew"
        )


def _check_columns(dataset: Dataset, split: Split) -> None:
    lengths = {name: len(getattr(split, name, ())) for name in COLUMN_NAMES}
    if set(lengths.values()) != {len(split)}:
        found = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise DamagedDatasetError(
            f"{dataset.name}: the split {split.name} has {len(split)} photos, but columns of other "
            f"lengths: {found}; give each column one value per photo"
        )


def _check_training_products(dataset: Dataset, train: Split, config: ExperimentConfig) -> None:
    photos = np.unique(train.identity, return_counts=True)[1]
    if len(photos) < 2:
        raise FashionJaxError(
            f"{dataset.name}: all {len(train)} training photos show the same product; training "
            "compares products and needs at least 2"
        )
    if config.data.photos_per_identity > 1 and photos.max() == 1:
        logger.warning(
            "%s has one photo of each of its %d training products: a batch repeats it, and losses "
            "that compare two photos of a product compare a photo with itself",
            dataset.name,
            len(photos),
        )


def _check_validation(dataset: Dataset, query: Split, gallery: Split) -> None:
    _require_measurable(dataset, query, gallery)
    identities = len(np.unique(query.identity))
    if identities < FEW_IDENTITIES:
        logger.warning(
            "%s has %d validation identities: too few for metrics that choose a checkpoint. "
            "Build it with a larger share of them",
            dataset.name,
            identities,
        )


def _require_measurable(dataset: Dataset, query: Split, gallery: Split) -> None:
    """Look for a query with a match; the first one ends the search."""
    queries, photos = numbered(Labels.of(query), Labels.of(gallery))
    asked = np.flatnonzero(np.isin(queries.identity, photos.identity))
    for row in asked.tolist():
        matches = photos.identity == queries.identity[row]
        if (matches & ~ignored(queries, row, photos)).any():
            return
    raise NothingToMeasureError(
        f"{dataset.name} cannot be validated: none of its {len(query)} val_query photos has a "
        f"match in val_gallery ({len(query) - len(asked)} show a product that is not there, "
        f"{len(asked)} one that only they themselves or their own cameras show there); divide its "
        "validation products anew"
    )


def _check_photos(dataset: Dataset, split: Split, config: ExperimentConfig) -> None:
    """Decode a sample, the same for each start of a run, at every size of training."""
    rng = np.random.default_rng((_SAMPLE, config.training.seed))
    rows = np.sort(rng.choice(len(split), min(_PHOTOS, len(split)), replace=False))
    sizes = training_sizes(config.image)

    def read(row: int) -> None:
        try:
            encoded = split.image_bytes(row)
            for size in sizes[: None if split.name == "train" else 1]:
                decode(encoded, size)
        except Exception as error:  # whatever a dataset of one's own may raise
            raise DamagedDatasetError(
                f"{dataset.name}: photo {str(split.photo_id[row])!r} in row {row} of {split.name} "
                f"cannot be read: {str(error) or repr(error)}. Build the dataset again"
            ) from error

    with concurrent.futures.ThreadPoolExecutor(config.data.threads) as pool:
        list(pool.map(read, rows.tolist()))


def _check_image_sizes(learner: Learner) -> None:
    """Trace the network, which compiles nothing, at every size of training."""
    state, batch = learner.abstract_state, learner.config.evaluation.batch_size
    variables = without_classifier(state.embedding_params, state.embedding_model_state)
    for size in dict.fromkeys(training_sizes(learner.config.image)):
        images = jax.ShapeDtypeStruct((batch, size.height, size.width, 3), jnp.uint8)
        try:
            jax.eval_shape(learner.encode, variables, images)
        except FashionJaxError:
            raise
        except Exception as error:  # a backbone's own, such as that of a convolution
            raise ConfigError(
                f"{learner.config.model.backbone} cannot embed images of {size.height}×"
                f"{size.width} pixels (image.height, image.width, image.multi_scale_sizes): {error}"
            ) from error


def _warn_of_schedule(config: ExperimentConfig) -> None:
    """Warn of parts of a schedule that last longer than the run."""
    epochs, optimizer = config.training.epochs, config.optimizer
    if optimizer.freeze_backbone_epochs >= epochs:
        logger.warning(
            "the backbone stays frozen: optimizer.freeze_backbone_epochs is %g, training.epochs %d",
            optimizer.freeze_backbone_epochs,
            epochs,
        )
    if optimizer.warmup_epochs > epochs:
        logger.warning(
            "the run ends during its warm-up, before the full learning rate: "
            "optimizer.warmup_epochs is %g, training.epochs %d",
            optimizer.warmup_epochs,
            epochs,
        )
