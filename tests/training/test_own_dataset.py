"""Training on a dataset of one's own: drawn arrays, without files and without a base class."""

import dataclasses

import cv2
import jax
import numpy as np
import pytest

from fashion_jax.config import ConfigError, from_nested_dict
from fashion_jax.datasets.dataset import Dataset, Split
from fashion_jax.errors import FashionJaxError
from fashion_jax.evaluation.embedded import embed_test
from fashion_jax.inference.model import load_model, read_run_config
from fashion_jax.parallel.mesh import make_mesh
from fashion_jax.training.loop import train
from fashion_jax.training.metrics_log import read_metrics


class DrawnSplit:
    """Two photos of each identity: squares of its colour, with noise."""

    def __init__(self, name: str, identities: range) -> None:
        self.name = name
        self.identity = np.repeat(np.array(identities, np.int64), 2)
        self.domain = np.tile(np.array([0, 1], np.int8), len(identities))
        self.category = np.full(len(self), "squares")
        self.photo_id = np.array([f"{name}-{row}" for row in range(len(self))])
        self.camera = np.full(len(self), -1, np.int32)

    def __len__(self) -> int:
        return len(self.identity)

    def image_bytes(self, row: int) -> bytes:
        colour = np.random.default_rng(int(self.identity[row])).integers(0, 200, 3)
        noise = np.random.default_rng((row, 7)).integers(0, 50, (32, 32, 3))
        return cv2.imencode(".png", (colour + noise).astype(np.uint8))[1].tobytes()


IDENTITIES = {
    "train": range(8),
    "val_query": range(8, 12),
    "val_gallery": range(8, 12),
    "query": range(12, 17),
    "gallery": range(12, 17),
}


class DrawnDataset:
    """The documented members, and no others."""

    def __init__(self, name: str, splits: tuple[str, ...] = tuple(IDENTITIES)) -> None:
        self.name = name
        self.version = "3"
        self.splits = splits

    def split(self, name: str) -> DrawnSplit:
        return DrawnSplit(name, IDENTITIES[name])

    def fingerprint(self) -> dict[str, str]:
        return {"drawn": self.version}

    def build_options(self) -> dict[str, str]:
        return {"side": "32"}

    def build_report(self) -> None:
        return None


CONFIG = from_nested_dict(
    {
        "data": {"identities_per_batch": 4, "photos_per_identity": 2},
        "image": {"height": 32, "width": 32},
        "model": {"backbone": "tiny"},
        "training": {"epochs": 1, "log_every_steps": 1},
        "mesh": {"data": 1},
        "evaluation": {"batch_size": 8},
    }
)
MESH = make_mesh(CONFIG.mesh, jax.devices()[:1])


def test_the_documented_members_are_enough():
    assert isinstance(DrawnDataset("drawn"), Dataset)
    assert isinstance(DrawnSplit("train", range(2)), Split)
    assert not isinstance(np.zeros(3), Split)


def test_a_class_that_derives_from_dataset_inherits_the_rest():
    class Derived(Dataset):
        name, version, splits = "derived", "1", ("train", "gallery")

        def split(self, name: str) -> Split:
            return DrawnSplit(name, range({"train": 3, "gallery": 1}[name]))

    derived = Derived()
    found = derived.fingerprint()
    assert found.pop("labels_sha256").keys() == {"train", "gallery"}
    photos = {"train": 6, "gallery": 2}
    assert found == {"dataset": "derived", "version": "1", "photos": photos}
    assert derived.build_options() == {}
    assert derived.build_report() is None


@pytest.mark.slow
def test_a_run_on_drawn_arrays(tmp_path):
    dataset = DrawnDataset("drawn")
    state = train(CONFIG, tmp_path, MESH, progress=False, datasets=[dataset])
    assert int(state.step) == 2  # 8 identities with a group of 2 photos each, 4 in a batch
    assert np.isfinite(read_metrics(tmp_path)[-1]["val/instance/mAP"])
    assert read_run_config(tmp_path).data.datasets == ("drawn",)

    model = load_model(tmp_path)
    assert model.card.dataset == "drawn 3"
    assert model.card.dataset_options == {"side": "32"}
    ranking = embed_test(model, dataset, progress=False).rank("instance")
    assert ranking.measured.all()

    again = train(CONFIG, tmp_path, MESH, progress=False, datasets=[dataset])
    assert int(again.step) == 2
    dataset.version = "4"
    with pytest.raises(FashionJaxError, match="the dataset or its plan changed"):
        train(CONFIG, tmp_path, MESH, progress=False, datasets=[dataset])
    with pytest.raises(ConfigError, match=r"data\.dataset: 'drawn' != 'another'"):
        train(CONFIG, tmp_path, MESH, progress=False, datasets=[DrawnDataset("another")])


@pytest.mark.parametrize(
    ("datasets", "weights", "message"),
    [
        ([], (), "`datasets` is empty"),
        ([DrawnDataset("a"), DrawnDataset("a")], (), "more than once: a"),
        ([DrawnDataset("a")], (1.0, 2.0), "one number for each of the 1 datasets"),
        ([DrawnDataset("a", ("train", "query"))], (), "a lacks val_gallery, val_query"),
    ],
)
def test_datasets_that_cannot_be_trained_on_are_refused(tmp_path, datasets, weights, message):
    names = CONFIG.data.datasets + tuple("other" for _ in weights[1:])
    data = dataclasses.replace(CONFIG.data, extra_datasets=names[1:], dataset_weights=weights)
    config = dataclasses.replace(CONFIG, data=data)
    with pytest.raises(FashionJaxError, match=message):
        train(config, tmp_path, MESH, progress=False, datasets=datasets)
