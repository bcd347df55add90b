"""Photos of many requests are embedded together, and each request gets its own."""

import threading
import time

import numpy as np
import pytest

from fashion_jax.serving.server.batcher import SIZES, Batcher
from tests.serving.server.conftest import ColourModel


class Slow(ColourModel):
    """A model that waits until it may embed."""

    def __init__(self):
        super().__init__()
        self.may = threading.Event()
        self.may.set()
        self.inside = threading.Event()

    def embed_images(self, images, batch_size):
        self.inside.set()
        assert self.may.wait(20)
        return super().embed_images(images, batch_size)


def waiting_behind(batcher, model, counts):
    """Threads of requests that wait, the first one in the model, and what they get."""
    found, threads = {}, []
    model.may.clear()
    model.inside.clear()
    for number, count in enumerate(counts):
        given = images(count, number)
        threads.append(
            threading.Thread(target=lambda n=number, i=given: found.update({n: batcher.embed(i)}))
        )
        threads[-1].start()
        if number == 0:
            assert model.inside.wait(20)
    while batcher._requests.qsize() < len(counts) - 1:
        time.sleep(0.001)
    return threads, found


def images(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 16, 16, 3), np.uint8)


@pytest.fixture
def model():
    return Slow()


@pytest.fixture
def batcher(model):
    batcher = Batcher(model)
    model.sizes.clear()
    yield batcher
    batcher.close()


@pytest.mark.parametrize("count", [0, 1, 3, 32, 33, 70])
def test_any_number_of_photos(batcher, count):
    given = images(count)
    expected = ColourModel().embed_images(given, count) if count else np.empty((0, 12))
    np.testing.assert_array_equal(batcher.embed(given), expected)


def test_all_sizes_are_compiled_at_the_start(model):
    batcher = Batcher(model)
    assert set(model.sizes) == set(SIZES) == set(batcher.seconds)
    batcher.close()


def test_requests_that_wait_are_embedded_together(batcher, model):
    counts = [1 + number % 3 for number in range(20)]
    threads, found = waiting_behind(batcher, model, counts)
    model.may.set()
    for thread in threads:
        thread.join()
    assert model.sizes == [1, 32, 8]  # 1, then 32 of 38 photos at most
    for number, count in enumerate(counts):
        expected = ColourModel().embed_images(images(count, number), 3)
        np.testing.assert_array_equal(found[number], expected)


def test_a_batch_waits_for_photos_that_are_being_read(batcher, model):
    with batcher.coming():
        batcher.embed(images(1))  # ends although nothing comes
    assert model.sizes == [1]


def test_an_error_reaches_its_requests_alone(batcher, model):
    with pytest.raises(ValueError, match="reshape"):
        batcher.embed(np.zeros((1, 3, 5, 3), np.uint8))
    assert len(batcher.embed(images(2))) == 2


def test_photos_after_the_end_are_embedded_nevertheless(batcher):
    batcher.close()
    assert len(batcher.embed(images(40))) == 40
    batcher.close()


def test_closing_finishes_what_waits(model):
    batcher = Batcher(model)
    threads, found = waiting_behind(batcher, model, [1] * 5)
    closing = threading.Thread(target=batcher.close)
    closing.start()
    model.may.set()
    for thread in [*threads, closing]:
        thread.join(20)
    assert len(found) == 5
