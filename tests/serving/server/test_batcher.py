"""Photos of many requests are embedded together, and each request gets its own."""

import threading

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

    def embed_images(self, images, batch_size):
        assert self.may.wait(20)
        return super().embed_images(images, batch_size)


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
    model.may.clear()
    found = {}
    threads = []
    for number in range(20):
        threads.append(
            threading.Thread(
                target=lambda n=number: found.update({n: batcher.embed(images(1 + n % 3, n))})
            )
        )
        threads[-1].start()
    while batcher._requests.qsize() < 19:  # the first one may be at work
        pass
    model.may.set()
    for thread in threads:
        thread.join()
    assert len(model.sizes) <= 4
    for number in range(20):
        given = images(1 + number % 3, number)
        np.testing.assert_array_equal(found[number], ColourModel().embed_images(given, 3))


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
    model.may.clear()
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(batcher.embed(images(1)))) for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    while batcher._requests.qsize() < 4:
        pass
    closing = threading.Thread(target=batcher.close)
    closing.start()
    model.may.set()
    for thread in [*threads, closing]:
        thread.join(20)
    assert len(found) == 5
