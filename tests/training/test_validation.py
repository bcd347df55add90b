"""Validation, and the photos that fill up its gallery."""

import dataclasses

import numpy as np
import pytest

from fashion_jax.datasets.dataset import open_dataset
from fashion_jax.datasets.records import Domain
from fashion_jax.inference.model import load_model
from fashion_jax.training.validation import FULL_GALLERY, distractors, validate
from tests.datasets.fakes import FakeSplit
from tests.e2e.untrained_run import write_untrained_run


def shifted(split, by):
    split.identity = split.identity + by
    return split


TRAIN = FakeSplit("train", 600, street=1, shop=2)
QUERY = shifted(FakeSplit("val_query", 4, street=1, shop=0), 1000)
GALLERY = shifted(FakeSplit("val_gallery", 5, street=0, shop=2), 1000)


def test_distractors_fill_a_small_gallery_with_shop_photos_of_all_products():
    chosen = distractors(TRAIN, QUERY, GALLERY, -1)
    assert len(chosen) == FULL_GALLERY - len(GALLERY)
    assert set(chosen.domain.tolist()) == {Domain.SHOP}
    assert len(np.unique(chosen.photo_id)) == len(chosen)
    photos = np.bincount(chosen.identity, minlength=600)
    assert photos.min() >= 1
    assert chosen.image_bytes(7) == TRAIN.image_bytes(
        int(np.flatnonzero(TRAIN.photo_id == chosen.photo_id[7])[0])
    )


@pytest.mark.parametrize(("wanted", "found"), [(0, 0), (3, 3), (1200, 1200), (9999, 1200)])
def test_as_many_as_are_wanted_and_there(wanted, found):
    assert len(distractors(TRAIN, QUERY, GALLERY, wanted)) == found


def test_products_of_queries_are_never_distractors():
    queries = FakeSplit("val_query", 500, street=1, shop=0)  # of the first 500 products
    chosen = distractors(TRAIN, queries, GALLERY, 9999)
    assert chosen.identity.min() == 500
    assert len(chosen) == 200


def test_a_full_gallery_gets_none():
    large = shifted(FakeSplit("val_gallery", 500, street=0, shop=2), 1000)
    assert len(distractors(TRAIN, QUERY, large, -1)) == 0


def test_metrics_of_a_filled_gallery_and_their_intervals(tiny_config, tmp_path):
    write_untrained_run(tiny_config, tmp_path)
    dataset = open_dataset(tiny_config.data.dataset, tiny_config.data.data_dir)
    found = {}
    for wanted in (0, -1):
        evaluation = dataclasses.replace(tiny_config.evaluation, validation_distractors=wanted)
        model = load_model(tmp_path)
        config = dataclasses.replace(model.config, evaluation=evaluation)
        found[wanted] = validate(dataclasses.replace(model, config=config), [dataset], False)
    plain, filled = found[0], found[-1]
    gallery, train = len(dataset.split("val_gallery")), dataset.split("train")
    assert plain["val/gallery_photos"] == gallery
    assert filled["val/gallery_photos"] == gallery + np.sum(train.domain == Domain.SHOP)
    assert filled["val/instance/mAP"] <= plain["val/instance/mAP"]
    for metrics in (plain, filled):
        low, high = (metrics[f"val/instance/mAP_{end}"] for end in ("low", "high"))
        assert 0 <= low <= metrics["val/instance/mAP"] <= high <= 1
