"""Batches for training and evaluation, read with Grain.

Each element of a Grain dataset is one host's part of one batch. Batches are numbered, and the
same number gives the same batch whatever the number of threads, workers and hosts.
"""

from collections.abc import Callable, Generator, Sequence

import cv2
import grain
import numpy as np
from absl import flags
from jaxtyping import UInt8

from fashion_jax.config import AugmentConfig, DataConfig, ImageConfig
from fashion_jax.datasets.augment import augment
from fashion_jax.datasets.dataset import Split
from fashion_jax.datasets.identity_batches import BatchPlan
from fashion_jax.datasets.sizes import size_of_batch, training_sizes
from fashion_jax.errors import FashionJaxError
from fashion_jax.parallel.hosts import Host

Batch = dict[str, np.ndarray]
# `(image uint8 [height, width, 3], random generator) -> image` of the same form.
OwnAugmentation = Callable[[np.ndarray, np.random.Generator], np.ndarray]

# First element of random seeds, apart from those of the plan and the size.
_AUGMENT = 3


def decode(encoded: bytes, image: ImageConfig) -> UInt8[np.ndarray, "height width 3"]:
    """Decodes a record's photo to RGB and resizes it; a smaller size averages over areas."""
    return resize(decode_at_stored_size(encoded), image)


def decode_at_stored_size(encoded: bytes) -> UInt8[np.ndarray, "height width 3"]:
    """Decodes a record's photo to RGB.

    Raises:
        FashionJaxError: if the record is damaged.
    """
    pixels = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR_RGB)
    if pixels is None:
        raise FashionJaxError("a record's photo cannot be decoded: the built dataset is damaged")
    return pixels


def resize(
    pixels: UInt8[np.ndarray, "from_height from_width 3"], image: ImageConfig
) -> UInt8[np.ndarray, "height width 3"]:
    """Resizes without keeping the aspect ratio, as the reference recipes do."""
    shrinks = pixels.shape[0] >= image.height and pixels.shape[1] >= image.width
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(pixels, (image.width, image.height), interpolation=interpolation)


class TrainingBatches:
    """A Grain source: element `step` is this host's part of batch `step`.

    Where `image` has `multi_scale_sizes`, batches differ in their photos' size; see `sizes`.
    """

    def __init__(
        self,
        split: Split,
        plan: BatchPlan,
        image: ImageConfig,
        augmentation: AugmentConfig,
        seed: int,
        steps: int,
        host: Host,
        augment: OwnAugmentation | None = None,
    ) -> None:
        """Joins a split, its plan and the augmentations; `steps` is the length.

        `augment` sees each resized photo before the config's augmentations do. With worker
        processes (`data.workers`) it has to be a function of a module, which can be pickled.

        Raises:
            FashionJaxError: if one of the image's `multi_scale_sizes` is not of the form "160x96".
        """
        self._split = split
        self._plan = plan
        self._sizes = training_sizes(image)
        self._augmentation = augmentation
        self._seed = seed
        self._steps = steps
        self._host = host
        self._own = augment

    def __len__(self) -> int:
        """Number of batches."""
        return self._steps

    def __getitem__(self, step: int) -> Batch:
        """Reads, decodes and augments the photos of batch `step`."""
        rows = self._plan.rows(step)
        slots = np.arange(len(rows))[self._host.part(len(rows))]
        size = size_of_batch(self._sizes, self._seed, step)
        photos = [self._photo(int(rows[slot]), step, int(slot), size) for slot in slots]
        mine = rows[slots]
        return {
            "image": np.stack([image for image, _ in photos]),
            "erased": np.stack([erased for _, erased in photos]),
            "identity": self._plan.labels[mine],
            "domain": self._split.domain[mine],
            "valid": np.ones(len(mine), np.bool_),
        }

    def _photo(
        self, row: int, step: int, slot: int, size: ImageConfig
    ) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng((_AUGMENT, self._seed, step, slot))
        image = decode(self._split.image_bytes(row), size)
        if self._own is not None:
            image = _same_form(self._own(image, rng), image)
        return augment(image, self._augmentation, rng)


def _same_form(found: np.ndarray, given: np.ndarray) -> np.ndarray:
    if found.shape != given.shape or found.dtype != given.dtype:
        raise FashionJaxError(
            f"the augmentation returned {found.dtype} {list(found.shape)} for an image of "
            f"{given.dtype} {list(given.shape)}; it has to keep both"
        )
    return found


class EvaluationBatches:
    """A Grain source that shows every photo of a split once, in order; the end is padded.

    All photos are of the image's own `height` and `width`, whatever its `multi_scale_sizes`.
    """

    def __init__(
        self,
        split: Split,
        image: ImageConfig,
        batch_size: int,
        host: Host,
        ranges: Sequence[range] | None = None,
    ) -> None:
        """Divides rows into batches.

        Args:
            split: whose photos to read.
            image: their size.
            batch_size: photos over all hosts.
            host: reads its part of each batch.
            ranges: rows to read instead of all; each range begins with a batch of its own.
        """
        self._split = split
        self._image = image
        self._batch_size = batch_size
        self._host = host
        self._parts = [
            rows[start : start + batch_size]
            for rows in ([range(len(split))] if ranges is None else ranges)
            for start in range(0, len(rows), batch_size)
        ]

    def __len__(self) -> int:
        """Number of batches."""
        return len(self._parts)

    def __getitem__(self, index: int) -> Batch:
        """Reads batch `index`; padding has `valid` False and row −1."""
        rows = np.full(self._batch_size, -1, np.int32)
        rows[: len(self._parts[index])] = self._parts[index]
        rows = rows[self._host.part(self._batch_size)]
        images = np.zeros((len(rows), self._image.height, self._image.width, 3), np.uint8)
        for slot, row in enumerate(rows):
            if row >= 0:
                images[slot] = decode(self._split.image_bytes(int(row)), self._image)
        return {"image": images, "row": rows, "valid": rows >= 0}


def iterate(
    batches: TrainingBatches | EvaluationBatches, data: DataConfig, start: int = 0
) -> Generator[Batch, None, None]:
    """Reads batches from number `start` on, ahead of their use.

    Threads and worker processes are stopped when the iterator is closed or exhausted.
    """
    reading = grain.ReadOptions(num_threads=data.threads, prefetch_buffer_size=2 * data.threads)
    dataset = grain.MapDataset.source(batches)[start:].to_iter_dataset(reading)
    if data.workers:
        if not flags.FLAGS.is_parsed():
            flags.FLAGS.mark_as_parsed()  # Grain's workers ask for absl's flags; we have none
        dataset = dataset.mp_prefetch(grain.MultiprocessingOptions(num_workers=data.workers))
    iterator = iter(dataset)
    try:
        yield from iterator
    finally:
        iterator.close()
