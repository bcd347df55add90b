"""Embeds photos of many requests together: a few milliseconds of waiting, few compiled shapes."""

import dataclasses
import queue
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from fashion_jax.config import ExperimentConfig
from fashion_jax.inference.card import ModelCard
from fashion_jax.inference.model import Embeddings

Images = UInt8[np.ndarray, "photos height width 3"]

SIZES = (1, 2, 4, 8, 16, 32)
"""Numbers of photos that are compiled; others are padded to the next one."""

WAIT_S = 0.004
"""Longest wait for photos of other requests that are being read."""


@runtime_checkable
class ImageModel(Protocol):
    """What a batcher needs of `fashion_jax.inference.model.EmbeddingModel`."""

    @property
    def card(self) -> ModelCard:
        """Description of the model."""

    @property
    def config(self) -> ExperimentConfig:
        """Config of the model."""

    def embed_images(self, images: Images, batch_size: int) -> Embeddings:
        """Embed photos of the network's input size."""


@dataclasses.dataclass(frozen=True)
class _Request:
    images: Images
    embeddings: "Future[Embeddings]"


class Batcher:
    """A model that embeds the photos of requests from many threads together.

    A batch waits only while photos of other requests are being read, and not longer than `WAIT_S`.
    """

    def __init__(self, model: ImageModel) -> None:
        """Compile the model for all sizes, and start the thread that runs it."""
        self.model = model
        image = model.config.image
        self.seconds: dict[int, float] = {}
        """Seconds of a batch by its size, measured once after compilation."""
        for size in SIZES:
            images = np.zeros((size, image.height, image.width, 3), np.uint8)
            model.embed_images(images, size)
            start = time.perf_counter()
            model.embed_images(images, size)
            self.seconds[size] = time.perf_counter() - start
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._coming = 0
        self._closed = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="batcher", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Embed what waits, and end the thread; later photos are embedded on their own."""
        with self._lock:
            self._closed = True
            self._requests.put(None)
        self._thread.join()

    @contextmanager
    def coming(self) -> Iterator[None]:
        """Announce photos, which are worth waiting for while they are being read."""
        self._count(+1)
        try:
            yield
        finally:
            self._count(-1)

    def embed(self, images: Images) -> Embeddings:
        """Embed photos of the network's input size; L2-normalised embeddings in their order.

        Args:
            images: any number of photos.
        """
        parts = [images[n : n + SIZES[-1]] for n in range(0, len(images), SIZES[-1])]
        requests = [_Request(part, Future()) for part in parts]
        with self._lock:
            closed = self._closed
            for request in requests if not closed else ():
                self._requests.put(request)
        for request in requests if closed else ():  # of a model that was just exchanged
            self._embed([request])
        nothing = np.empty((0, self.model.card.embedding_width), np.float32)
        return np.concatenate([nothing, *(request.embeddings.result() for request in requests)])

    def _count(self, change: int) -> None:
        with self._lock:
            self._coming += change

    def _run(self) -> None:
        waiting = self._requests.get()
        while waiting is not None:
            batch, waiting = self._collect(waiting)
            self._embed(batch)
            waiting = waiting or self._requests.get()

    def _collect(self, first: _Request) -> tuple[list[_Request], _Request | None]:
        """Return requests that fit into a batch, and one that does not fit any more."""
        batch, count = [first], len(first.images)
        deadline = time.monotonic() + WAIT_S
        while count < SIZES[-1]:
            rest = deadline - time.monotonic() if self._coming else 0.0
            try:
                found = self._requests.get(timeout=max(rest, 0.0)) if rest > 0 else self._now()
            except queue.Empty:
                break
            if found is None:
                self._requests.put(None)  # nothing comes after it
                break
            if count + len(found.images) > SIZES[-1]:
                return batch, found
            batch.append(found)
            count += len(found.images)
        return batch, None

    def _now(self) -> _Request | None:
        return self._requests.get_nowait()

    def _embed(self, batch: list[_Request]) -> None:
        images = np.concatenate([request.images for request in batch])
        size = next(size for size in SIZES if size >= len(images))
        try:
            embeddings = self.model.embed_images(images, size)
        except Exception as error:  # the requests raise it
            for request in batch:
                request.embeddings.set_exception(error)
            return
        start = 0
        for request in batch:
            end = start + len(request.images)
            request.embeddings.set_result(embeddings[start:end])
            start = end
