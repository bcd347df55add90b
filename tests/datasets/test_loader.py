"""Batches: the same from any number of threads, workers and hosts; nothing lost in evaluation."""

import dataclasses

import cv2
import numpy as np
import pytest

from fashion_jax.config import AugmentConfig, DataConfig, ImageConfig
from fashion_jax.datasets.identity_batches import IdentityBatchPlan
from fashion_jax.datasets.loader import (
    Batch,
    EvaluationBatches,
    TrainingBatches,
    decode,
    iterate,
)
from fashion_jax.errors import FashionJaxError
from fashion_jax.parallel.hosts import Host
from tests.datasets.fakes import FakeSplit

IMAGE = ImageConfig(16, 8)
STEPS = 12
ONE_HOST = Host()
SIZES = {(16, 8), (24, 12), (10, 30)}
MORE_SIZES = dataclasses.replace(IMAGE, multi_scale_sizes=("24x12", "10x30"))


def training(host: Host = ONE_HOST, image: ImageConfig = IMAGE) -> TrainingBatches:
    split = FakeSplit("train", 9, street=2, shop=1)
    plan = IdentityBatchPlan(split.identity, split.domain, 4, 4, seed=3)
    return TrainingBatches(split, plan, image, AugmentConfig(), 3, STEPS, host)


def read(source: TrainingBatches | EvaluationBatches, start: int = 0, workers: int = 0):
    return list(iterate(source, DataConfig(workers=workers), start))


def assert_same(first: list[Batch], second: list[Batch]) -> None:
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


def test_batches_have_the_contracts_shapes():
    batch = training()[0]
    shapes = {name: (value.shape, value.dtype) for name, value in batch.items()}
    assert shapes == {
        "image": ((16, 16, 8, 3), np.uint8),
        "erased": ((16, 4), np.int32),
        "identity": ((16,), np.int32),
        "domain": ((16,), np.int8),
        "valid": ((16,), np.bool_),
    }


@pytest.mark.slow
@pytest.mark.parametrize(("image", "workers"), [(IMAGE, 1), (IMAGE, 2), (MORE_SIZES, 1)])
def test_same_batches_with_worker_processes(image, workers):
    assert_same(read(training(image=image), workers=workers), read(training(image=image)))


@pytest.mark.parametrize("image", [IMAGE, MORE_SIZES])
def test_same_batches_on_two_hosts(image):
    parts = [read(training(Host(index, 2), image)) for index in range(2)]
    joined = [
        {name: np.concatenate([one[name], other[name]]) for name in one}
        for one, other in zip(*parts, strict=True)
    ]
    assert_same(joined, read(training(image=image)))


@pytest.mark.parametrize("image", [IMAGE, MORE_SIZES])
def test_reading_from_the_middle_gives_the_rest(image):
    assert_same(read(training(image=image), start=5), read(training(image=image))[5:])


def test_each_batch_is_of_one_of_the_sizes_and_all_of_them_appear():
    batches = read(training(image=MORE_SIZES))
    shapes = [batch["image"].shape for batch in batches]
    assert {shape[1:3] for shape in shapes} == SIZES
    assert {(shape[0], shape[3]) for shape in shapes} == {(16, 3)}


def test_rectangles_stay_inside_photos_of_each_size():
    for batch in read(training(image=MORE_SIZES)):
        top, left, height, width = batch["erased"].T
        assert height.any()
        assert (np.minimum(top, left) >= 0).all()
        assert (top + height <= batch["image"].shape[1]).all()
        assert (left + width <= batch["image"].shape[2]).all()


def test_batches_of_the_own_size_are_those_of_a_run_without_further_sizes():
    several, plain = read(training(image=MORE_SIZES)), read(training())
    own = [step for step in range(STEPS) if several[step]["image"].shape[1:3] == (16, 8)]
    assert own
    assert_same([several[step] for step in own], [plain[step] for step in own])
    for one, other in zip(several, plain, strict=True):
        np.testing.assert_array_equal(one["identity"], other["identity"])
        np.testing.assert_array_equal(one["domain"], other["domain"])


def test_augmentations_differ_between_steps_and_photos():
    source = training()
    first, again = (source._split.image_bytes(0) for _ in range(2))
    assert first == again
    images = np.empty((25, 16, 8, 3), np.uint8)
    for step in range(5):
        for slot in range(5):
            source._photo(0, step, slot, IMAGE, images[5 * step + slot])
    assert len(np.unique(images.reshape(25, -1), axis=0)) > 20


def test_batch_that_hosts_cannot_divide_is_an_error():
    with pytest.raises(FashionJaxError, match="16 photos cannot be divided among 3 hosts"):
        Host(0, 3).part(16)


def test_evaluation_keeps_height_and_width():
    split = FakeSplit("query", 5)
    several, plain = (
        read(EvaluationBatches(split, image, 8, Host())) for image in (MORE_SIZES, IMAGE)
    )
    assert_same(several, plain)


@pytest.mark.parametrize("hosts", [1, 2, 8])  # the last of 8 has no photo
def test_evaluation_sees_each_photo_once(hosts):
    split = FakeSplit("query", 7)
    rows: list[int] = []
    for index in range(hosts):
        for batch in read(EvaluationBatches(split, IMAGE, 8, Host(index, hosts))):
            assert (batch["row"][~batch["valid"]] == -1).all()
            rows += batch["row"][batch["valid"]].tolist()
    assert sorted(rows) == list(range(len(split)))


def test_evaluation_photos_are_not_augmented():
    split = FakeSplit("query", 3)
    batch = EvaluationBatches(split, IMAGE, 8, Host())[0]
    np.testing.assert_array_equal(batch["image"][5], decode(split.image_bytes(5), IMAGE))


def test_decode_gives_rgb():
    red = np.zeros((20, 10, 3), np.uint8)
    red[..., 2] = 255  # OpenCV writes BGR
    pixels = decode(cv2.imencode(".png", red)[1].tobytes(), IMAGE)
    np.testing.assert_array_equal(pixels, np.broadcast_to([255, 0, 0], (16, 8, 3)))


def test_decode_of_a_damaged_record_says_so():
    with pytest.raises(FashionJaxError, match="dataset is damaged"):
        decode(b"not a photo", IMAGE)


@pytest.mark.parametrize("image", [IMAGE, MORE_SIZES])
def test_augmentations_can_be_switched_off(image):
    source = training()
    off = dataclasses.replace(AugmentConfig(), flip_probability=0.0, pad=0, erase_probability=0.0)
    plain = TrainingBatches(source._split, source._plan, image, off, 3, STEPS, Host())
    for step in range(STEPS):
        batch, rows = plain[step], source._plan.rows(step)
        size = ImageConfig(*batch["image"].shape[1:3])
        expected = np.stack([decode(source._split.image_bytes(row), size) for row in rows])
        np.testing.assert_array_equal(batch["image"], expected)
        assert not batch["erased"].any()


def test_opencv_gets_its_threads_back():
    cv2.setNumThreads(2)
    batches = iterate(training(), DataConfig())
    next(batches)
    assert cv2.getNumThreads() == 1
    batches.close()
    assert cv2.getNumThreads() == 2
