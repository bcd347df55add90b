"""What a run will need in hours is checked before its first step."""

import dataclasses
import shutil

import jax
import numpy as np
import pytest

from fashion_jax.config import ConfigError, ExperimentConfig, from_nested_dict
from fashion_jax.datasets.dataset import DamagedDatasetError, Dataset
from fashion_jax.datasets.photos import decode_record
from fashion_jax.errors import FashionJaxError
from fashion_jax.metrics.ranking import NothingToMeasureError
from fashion_jax.parallel.mesh import make_mesh
from fashion_jax.training import checks
from fashion_jax.training.checks import (
    DiskSpaceError,
    check_datasets,
    check_resources,
    state_bytes,
)
from fashion_jax.training.learner import make_learner
from fashion_jax.training.loop import train
from tests.datasets.fakes import FakeSplit


class Drawn(Dataset):
    name, version = "drawn", "1"
    splits = ("train", "val_query", "val_gallery")

    def __init__(self) -> None:
        self.parts = {name: FakeSplit(name, 12) for name in self.splits}

    def split(self, name: str) -> FakeSplit:
        return self.parts[name]


def config(**sections) -> ExperimentConfig:
    values = {
        "data": {"identities_per_batch": 4, "photos_per_identity": 2},
        "image": {"height": 32, "width": 32},
        "model": {"backbone": "tiny"},
        "optimizer": {"warmup_epochs": 0},
        "training": {"epochs": 1},
        "mesh": {"data": 1},
        "evaluation": {"batch_size": 8},
    }
    for name, fields in sections.items():
        values[name] = {**values.get(name, {}), **fields}
    return from_nested_dict(values)


MESH = make_mesh(config().mesh, jax.devices()[:1])


def learner(of: ExperimentConfig, identities: int = 12):
    return make_learner(of, identities, 3, MESH)


def test_a_good_dataset_passes_without_a_word(tmp_path, caplog):
    check_datasets(config(), [Drawn()])
    check_resources(tmp_path, learner(config()))
    assert caplog.text == ""


def other_products(query, gallery):
    query.identity = query.identity + 1000


def same_photos(query, gallery):
    gallery.photo_id = query.photo_id
    query.identity = gallery.identity = np.arange(len(query))


def same_cameras(query, gallery):
    query.camera = gallery.camera = query.identity.astype(np.int32)


def mixed(query, gallery):
    same_cameras(query, gallery)
    query.identity = np.where(np.arange(len(query)) < 40, 1000, query.identity)


@pytest.mark.parametrize(
    ("change", "absent", "left_out"),
    [(other_products, 48, 0), (same_photos, 0, 48), (same_cameras, 0, 48), (mixed, 40, 8)],
)
def test_a_validation_without_matches_is_refused(change, absent, left_out):
    dataset = Drawn()
    change(dataset.split("val_query"), dataset.split("val_gallery"))
    with pytest.raises(NothingToMeasureError, match="none of its 48 val_query photos") as caught:
        check_datasets(config(), [dataset])
    assert f"{absent} show a product that is not there, {left_out} one" in str(caught.value)


@pytest.mark.parametrize("change", [other_products, same_cameras])
def test_one_match_is_enough(change):
    dataset = Drawn()
    query, gallery = dataset.split("val_query"), dataset.split("val_gallery")
    change(query, gallery)
    query.identity[7], query.camera = gallery.identity[0], query.camera.copy()
    query.camera[7] = 4000
    check_datasets(config(), [dataset])


@pytest.mark.parametrize("split", Drawn.splits)
def test_an_empty_split_is_refused(split):
    dataset = Drawn()
    dataset.parts[split] = FakeSplit(split, 0)
    with pytest.raises(FashionJaxError, match=f"drawn has no photo in {split}"):
        check_datasets(config(), [dataset])


@pytest.mark.parametrize("split", Drawn.splits)
def test_a_missing_split_is_refused(split):
    dataset = Drawn()
    dataset.splits = tuple(name for name in Drawn.splits if name != split)
    with pytest.raises(FashionJaxError, match=f"drawn lacks {split}"):
        check_datasets(config(), [dataset])


@pytest.mark.parametrize("column", ["domain", "category", "photo_id", "camera"])
@pytest.mark.parametrize("split", Drawn.splits)
def test_columns_of_other_lengths_are_refused(split, column):
    dataset = Drawn()
    part = dataset.split(split)
    setattr(part, column, getattr(part, column)[:-1])
    with pytest.raises(DamagedDatasetError, match=f"{split} has 48 photos.*{column} 47"):
        check_datasets(config(), [dataset])
    delattr(part, column)
    with pytest.raises(DamagedDatasetError, match=f"{split} has 48 photos.*{column} 0"):
        check_datasets(config(), [dataset])


def test_a_single_training_product_is_refused():
    dataset = Drawn()
    dataset.parts["train"] = FakeSplit("train", 1)
    with pytest.raises(FashionJaxError, match="all 4 training photos show the same product"):
        check_datasets(config(), [dataset])


def test_single_photos_and_few_validation_products_are_warned_of(caplog):
    dataset = Drawn()
    dataset.parts["train"] = FakeSplit("train", 12, street=1, shop=0)
    for name in ("val_query", "val_gallery"):
        dataset.parts[name] = FakeSplit(name, 3)
    check_datasets(config(), [dataset])
    assert "one photo of each of its 12 training products" in caplog.text
    assert "3 validation identities: too few" in caplog.text
    caplog.clear()
    check_datasets(config(data={"photos_per_identity": 1}), [dataset])
    assert "one photo of each" not in caplog.text


GOOD = FakeSplit("train", 1).image_bytes(0)


@pytest.mark.parametrize(
    "photo", [b"", b"\0" * 50, GOOD[:20], b"<html></html>", None, 3, "text", KeyError("gone"),
              OSError(5, "Input/output error"), RuntimeError()]
)  # fmt: skip
@pytest.mark.parametrize("split", Drawn.splits)
def test_a_photo_that_cannot_be_read_is_named(split, photo, monkeypatch):
    dataset = Drawn()

    def image_bytes(row):
        if row != 5:
            return GOOD
        if isinstance(photo, Exception):
            raise photo
        return photo

    monkeypatch.setattr(dataset.split(split), "image_bytes", image_bytes)
    monkeypatch.setattr(checks, "_PHOTOS", 48)
    place = rf"drawn: photo '{split}_0005' in row 5 of {split} cannot be read: \S"
    with pytest.raises(DamagedDatasetError, match=place):
        check_datasets(config(), [dataset])


def test_a_sample_is_read_and_it_is_the_same_each_time(monkeypatch):
    def rows_read() -> list[int]:
        dataset, rows = Drawn(), []
        dataset.parts["train"] = FakeSplit("train", 100)
        monkeypatch.setattr(
            dataset.split("train"), "image_bytes", lambda row: rows.append(row) or GOOD
        )
        check_datasets(config(), [dataset])
        return sorted(rows)

    assert len(set(rows_read())) == 32
    assert rows_read() == rows_read()


@pytest.mark.parametrize("content", [b"", b"\0", b"no photo"])
def test_a_record_without_a_photo_is_an_error_of_its_own(content):
    with pytest.raises(FashionJaxError, match="cannot be decoded"):
        decode_record(content)


@pytest.mark.parametrize(
    ("optimizer", "epochs", "warning"),
    [
        ({"warmup_epochs": 3}, 2, "ends during its warm-up"),
        ({"warmup_epochs": 2}, 2, ""),
        ({"freeze_backbone_epochs": 2}, 2, "backbone stays frozen"),
        ({"freeze_backbone_epochs": 1.5}, 2, ""),
    ],
)
def test_schedules_longer_than_the_run_are_warned_of(optimizer, epochs, warning, caplog):
    check_datasets(config(optimizer=optimizer, training={"epochs": epochs}), [Drawn()])
    assert warning in caplog.text
    assert bool(caplog.text) == bool(warning)


def bytes_by_hand(made) -> int:
    sizes = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype).nbytes, made.abstract_state)
    return sum(jax.tree.leaves(sizes))


@pytest.mark.parametrize(
    ("training", "held", "copies"),
    [
        ({"epochs": 1}, 0, 1),
        ({"epochs": 2}, 0, 2),
        ({"epochs": 9}, 0, 3),
        ({"epochs": 9, "evaluate_every_epochs": 5}, 0, 2),
        ({"epochs": 1, "checkpoint_every_steps": 1}, 0, 3),
        ({"epochs": 9}, 1, 2),
        ({"epochs": 9}, 2, 1),
        ({"epochs": 9}, 3, 1),
        ({"epochs": 9, "ema_decay": 0.9}, 0, 3),
    ],
)
def test_the_disk_has_room_for_the_checkpoints(tmp_path, monkeypatch, training, held, copies):
    for step in range(held):
        (tmp_path / "checkpoints" / str(step)).mkdir(parents=True)
    (tmp_path / "checkpoints" / "deleted").mkdir(parents=True, exist_ok=True)
    made = learner(config(training=training))
    needed = copies * bytes_by_hand(made)
    assert state_bytes(made) == bytes_by_hand(made)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=needed))
    check_resources(tmp_path, made)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=needed - 1))
    with pytest.raises(DiskSpaceError, match=f"{needed - 1:,} bytes free.*needs? {needed:,}"):
        check_resources(tmp_path, made)


@pytest.mark.parametrize(
    "image",
    [
        {"height": 30, "width": 32},
        {"height": 32, "width": 33},
        {"height": 32, "width": 32, "multi_scale_sizes": ("48x32", "40x32")},
        {"height": 15, "width": 15},
    ],
)
def test_images_that_the_network_cannot_take_are_refused(tmp_path, image):
    made = learner(config(model={"backbone": "vit_s16"}))
    made = dataclasses.replace(made, config=config(model={"backbone": "vit_s16"}, image=image))
    with pytest.raises(ConfigError, match="patches of 16"):
        check_resources(tmp_path, made)


def test_a_run_is_refused_before_its_first_step(tmp_path, monkeypatch):
    dataset = Drawn()
    other_products(dataset.split("val_query"), None)
    monkeypatch.setattr("fashion_jax.training.loop.make_learner", None)
    with pytest.raises(NothingToMeasureError):
        train(config(), tmp_path, MESH, progress=False, datasets=[dataset])
    assert not (tmp_path / "checkpoints").exists()
