"""Built datasets: columns, photos, and errors that say where to look."""

import pickle
import shutil

import cv2
import numpy as np
import pytest

from fashion_jax.datasets.dataset import DatasetNotFoundError, open_dataset
from fashion_jax.datasets.records import SPLITS, Domain, domain_names

NAME = "synthetic_street2shop"


@pytest.fixture
def dataset(tiny_data_dir):
    return open_dataset(NAME, tiny_data_dir)


def test_all_splits_with_columns_of_one_length(dataset):
    assert dataset.splits == SPLITS
    for name in SPLITS:
        split = dataset.split(name)
        columns = (split.identity, split.domain, split.category, split.photo_id, split.camera)
        assert {len(column) for column in columns} == {len(split)}
        assert len(split) > 0
        assert set(split.domain) <= set(Domain)
        names = domain_names(split.domain)
        assert [Domain[name.upper()] for name in names] == split.domain.tolist()
        assert (split.camera == -1).all()


def test_photos_decode(dataset):
    split = dataset.split("query")
    for row in range(len(split)):
        encoded = np.frombuffer(split.image_bytes(row), np.uint8)
        assert cv2.imdecode(encoded, cv2.IMREAD_COLOR).ndim == 3


def test_training_validation_and_test_products_are_apart(dataset):
    products = {name: set(dataset.split(name).identity.tolist()) for name in SPLITS}
    test = products["query"] | products["gallery"]
    validation = products["val_query"] | products["val_gallery"]
    assert not products["train"] & test
    assert not products["train"] & validation
    assert not validation & test


def test_split_can_be_sent_to_a_worker(dataset):
    split = dataset.split("gallery")
    split.image_bytes(0)
    again = pickle.loads(pickle.dumps(split))
    assert again.image_bytes(1) == split.image_bytes(1)


def test_columns_are_read_again_from_beside_the_data(dataset, tiny_data_dir):
    first = dataset.split("train")
    second = open_dataset(NAME, tiny_data_dir).split("train")
    np.testing.assert_array_equal(first.photo_id, second.photo_id)
    np.testing.assert_array_equal(first.identity, second.identity)


def test_report_of_the_build_is_there(dataset):
    assert dataset.build_report()["photos"]["missing"] == 0


def test_missing_dataset_says_where_it_looked_and_what_to_do(tmp_path):
    message = r"no built dataset 'street2shop' in .*nothing is built.*data build --dataset"
    with pytest.raises(DatasetNotFoundError, match=message):
        open_dataset("street2shop", tmp_path)


def test_missing_dataset_names_the_nearest(tiny_data_dir):
    with pytest.raises(DatasetNotFoundError, match=f"did you mean .{NAME}"):
        open_dataset("synthetic_stret2shop", tiny_data_dir)


def test_newest_version_is_opened(tiny_data_dir, tmp_path):
    source = next((tiny_data_dir / NAME).glob("[0-9]*"))
    for version in ("1.9.0", "1.10.0"):
        copy = tmp_path / NAME / version
        shutil.copytree(source, copy)
        info = copy / "dataset_info.json"
        info.write_text(info.read_text().replace('"1.0.0"', f'"{version}"'))
    assert open_dataset(NAME, tmp_path).directory.endswith("1.10.0")


def test_missing_split_names_those_that_are_there(dataset):
    with pytest.raises(DatasetNotFoundError, match=r"no split 'test', only train, query"):
        dataset.split("test")
