"""Batches for training and evaluation, read with Grain.

Each element of a Grain dataset is one host's part of one batch. Batches are numbered: the same
number gives the same batch for any number of threads, workers and hosts.
"""

from collections.abc import Callable, Generator, Sequence

import cv2
import grain
import numpy as np
from absl import flags
from jaxtyping import UInt8

from fashion_jax.config import AugmentConfig, DataConfig, ImageConfig
from fashion_jax.datasets.augment import Augmentation, draw_augmentation, flip_and_crop
from fashion_jax.datasets.dataset import Split
from fashion_jax.datasets.identity_batches import BatchPlan
from fashion_jax.datasets.photos import decode_record
from fashion_jax.datasets.sizes import size_of_batch, training_sizes
from fashion_jax.errors import FashionJaxError
from fashion_jax.parallel.hosts import Host

Batch = dict[str, np.ndarray]
# `(image uint8 [height, width, 3], random generator) -> image` of the same form.
OwnAugmentation = Callable[[np.ndarray, np.random.Generator], np.ndarray]

# First element of random seeds, distinct from those of the plan and the size.
_AUGMENT = 3


def decode(
    encoded: bytes, image: ImageConfig, out: np.ndarray | None = None
) -> UInt8[np.ndarray, "height width 3"]:
    """Decode a record's photo to RGB and resize it, into `out` if it is given.

    Shrinking averages over areas.
    """
    return resize(decode_record(encoded), image, out)


def resize(
    pixels: UInt8[np.ndarray, "from_height from_width 3"],
    image: ImageConfig,
    out: np.ndarray | None = None,
) -> UInt8[np.ndarray, "height width 3"]:
    """Resize without keeping the aspect ratio, as the reference recipes do; into `out` if given."""
    shrinks = pixels.shape[0] >= image.height and pixels.shape[1] >= image.width
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(pixels, (image.width, image.height), dst=out, interpolation=interpolation)


class TrainingBatches:
    """Grain source of training batches: element `step` is this host's part of batch `step`.

    If `image` has `multi_scale_sizes`, batches differ in image size; see `sizes`.
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
        """Combine a split, its plan and the augmentations; `steps` is the length.

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
        """Count the batches."""
        return self._steps

    def __getitem__(self, step: int) -> Batch:
        """Read, decode and augment the photos of batch `step`."""
        rows = self._plan.rows(step)
        slots = np.arange(len(rows))[self._host.part(len(rows))]
        size = size_of_batch(self._sizes, self._seed, step)
        mine = rows[slots]
        images = np.empty((len(slots), size.height, size.width, 3), np.uint8)
        drawn = [
            self._photo(int(rows[slot]), step, int(slot), size, out)
            for slot, out in zip(slots, images, strict=True)
        ]
        batch = {
            "image": images,
            "erased": np.stack([each.erased for each in drawn]),
            "identity": self._plan.labels[mine],
            "domain": self._split.domain[mine],
            "valid": np.ones(len(mine), np.bool_),
        }
        if self._augmentation.on_device:
            crops = [(each.flips, each.down, each.right) for each in drawn]
            batch["crop"] = np.array(crops, np.int32)
        return batch

    def _photo(
        self, row: int, step: int, slot: int, size: ImageConfig, out: np.ndarray
    ) -> Augmentation:
        """Write an image to its place in the batch; what is left to do, the device does."""
        rng = np.random.default_rng((_AUGMENT, self._seed, step, slot))
        on_device = self._augmentation.on_device
        image = decode(self._split.image_bytes(row), size, out if on_device else None)
        if self._own is not None:
            image = _same_form(self._own(image, rng), image)
        drawn = draw_augmentation(size.height, size.width, self._augmentation, rng)
        if not on_device:
            flip_and_crop(image, drawn, out)
        elif image is not out:
            out[...] = image
        return drawn


def _same_form(found: np.ndarray, given: np.ndarray) -> np.ndarray:
    if found.shape != given.shape or found.dtype != given.dtype:
        raise FashionJaxError(
            f"the augmentation returned {found.dtype} {list(found.shape)} for an image of "
            f"{given.dtype} {list(given.shape)}; it has to keep both"
        )
    return found


class EvaluationBatches:
    """Grain source of every photo of a split, once and in order; the end is padded.

    All images have the `height` and `width` of the config, whatever its `multi_scale_sizes`.
    """

    def __init__(
        self,
        split: Split,
        image: ImageConfig,
        batch_size: int,
        host: Host,
        ranges: Sequence[range] | None = None,
    ) -> None:
        """Divide rows into batches.

        Args:
            split: split to read.
            image: image size.
            batch_size: photos per batch, over all hosts.
            host: host that reads its part of each batch.
            ranges: rows to read; each range begins with its own batch (default: all rows).
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
        """Count the batches."""
        return len(self._parts)

    def __getitem__(self, index: int) -> Batch:
        """Read batch `index`; padding has `valid` False and row −1."""
        rows = np.full(self._batch_size, -1, np.int32)
        rows[: len(self._parts[index])] = self._parts[index]
        rows = rows[self._host.part(self._batch_size)]
        images = np.zeros((len(rows), self._image.height, self._image.width, 3), np.uint8)
        for slot, row in enumerate(rows):
            if row >= 0:
                decode(self._split.image_bytes(int(row)), self._image, images[slot])
        return {"image": images, "row": rows, "valid": rows >= 0}


def iterate(
    batches: TrainingBatches | EvaluationBatches, data: DataConfig, start: int = 0
) -> Generator[Batch, None, None]:
    """Read batches from number `start` on, ahead of their use.

    Threads and worker processes stop when the iterator is closed or exhausted. Until then OpenCV
    uses one thread in this process.
    """
    reading = grain.ReadOptions(num_threads=data.threads, prefetch_buffer_size=2 * data.threads)
    dataset = grain.MapDataset.source(batches)[start:].to_iter_dataset(reading)
    if data.workers:
        if not flags.FLAGS.is_parsed():
            flags.FLAGS.mark_as_parsed()  # Grain's workers read absl's flags; we define none
        options = grain.MultiprocessingOptions(num_workers=data.workers)
        dataset = dataset.mp_prefetch(options, worker_init_fn=_one_opencv_thread)
    threads = cv2.getNumThreads()
    _one_opencv_thread()
    iterator = iter(dataset)
    try:
        yield from iterator
    finally:
        iterator.close()
        cv2.setNumThreads(threads)


def _one_opencv_thread(worker: int = 0, workers: int = 0) -> None:
    """Leave parallel work to the readers: between calls, OpenCV's threads wait by spinning."""
    cv2.setNumThreads(1)
