"""What is stored twice is compared when it is read, and a difference is named."""

import numpy as np
import pytest

from fashion_jax.datasets.building.build import build
from fashion_jax.datasets.dataset import Dataset, open_dataset
from fashion_jax.errors import FashionJaxError
from fashion_jax.training.loop import DataIteratorState, require_same_data, require_same_step
from tests.datasets.fakes import FakeSplit
from tests.dummy_data import catalogue as dummy_data


class Drawn(Dataset):
    name, version, splits = "drawn", "1", ("train", "gallery")

    def __init__(self) -> None:
        self.parts = {name: FakeSplit(name, 5) for name in self.splits}

    def split(self, name: str) -> FakeSplit:
        return self.parts[name]


def swapped(column):
    changed = column.copy()
    changed[[0, -1]] = changed[[-1, 0]]
    return changed


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("identity", swapped),
        ("identity", lambda column: column[::-1].copy()),
        ("identity", lambda column: column + 1),
        ("domain", lambda column: 1 - column),
        ("category", lambda column: np.char.add(column, "s")),
        ("photo_id", swapped),
        ("photo_id", lambda column: np.char.add(column, " ")),
        ("photo_id", lambda column: np.char.upper(column)),
        ("camera", lambda column: column + 1),
    ],
)
@pytest.mark.parametrize("split", Drawn.splits)
def test_other_labels_of_equal_counts_are_another_dataset(split, column, change):
    one, other = Drawn(), Drawn()
    assert one.fingerprint() == other.fingerprint()
    part = other.parts[split]
    setattr(part, column, change(getattr(part, column)))
    before, after = one.fingerprint(), other.fingerprint()
    assert before["photos"] == after["photos"]
    differing = [name for name in one.splits if before["labels_sha256"][name]
                 != after["labels_sha256"][name]]  # fmt: skip
    assert differing == [split]


def test_names_that_only_join_alike_differ():
    one, other = Drawn(), Drawn()
    one.parts["train"].category = np.array(["a", "bc"] * 10)
    other.parts["train"].category = np.array(["ab", "c"] * 10)
    assert one.fingerprint() != other.fingerprint()


def test_a_wider_dtype_of_the_same_labels_is_the_same_dataset():
    one, other = Drawn(), Drawn()
    part = other.parts["train"]
    part.identity, part.category = part.identity.astype(np.int32), part.category.astype("<U40")
    assert one.fingerprint() == other.fingerprint()


def test_a_relabelled_or_recompressed_build_is_another_dataset(tmp_path):
    raw = tmp_path / "raw"
    dummy_data.write_dummy_data(raw)
    places = {"manifest": raw / "items.csv", "photos": raw / "photos"}
    build("catalogue", tmp_path / "data", progress=False, **places)
    first = open_dataset("catalogue", tmp_path / "data").fingerprint()
    build("catalogue", tmp_path / "data", progress=False, overwrite=True, jpeg_quality=70, **places)
    other = open_dataset("catalogue", tmp_path / "data").fingerprint()
    assert [name for name in first if first[name] != other[name]] == ["bytes"]


def reader(next_step: int = 7, **plan) -> dict:
    prints = {"datasets": [Drawn().fingerprint()]}
    return {"next_step": next_step, "dataset": prints, "plan": {"seed": 0, "quotas": [4], **plan}}


def test_the_same_data_is_gone_on_with():
    require_same_data(DataIteratorState(**reader(7)), DataIteratorState(**reader(0)))
    require_same_step(7, 7, 7)


@pytest.mark.parametrize(
    ("plan", "line"),
    [
        ({"seed": 1}, "plan.seed: then 1, now 0"),
        ({"quotas": [3]}, r"plan.quotas.0: then 3, now 4"),
        ({"quotas": [4, 4]}, r"plan.quotas.1: then 4, now nothing"),
        ({"extra": True}, "plan.extra: then True, now nothing"),
    ],
)
def test_a_resume_names_what_changed(plan, line):
    with pytest.raises(FashionJaxError, match=line):
        require_same_data(DataIteratorState(**reader(**plan)), DataIteratorState(**reader()))


def test_a_resume_names_relabelled_products():
    then = reader()
    then["dataset"]["datasets"][0]["labels_sha256"]["train"] = "f" * 64
    with pytest.raises(FashionJaxError, match=r"data.datasets.0.labels_sha256.train: then ffff"):
        require_same_data(DataIteratorState(**then), DataIteratorState(**reader()))


@pytest.mark.parametrize("steps", [(7, 6, 7), (7, 7, 6), (7, 8, 8), (6, 7, 7)])
def test_a_checkpoint_that_contradicts_itself_is_refused(steps):
    with pytest.raises(
        FashionJaxError, match="of step {}.* of step {}, its data of step {}".format(*steps)
    ):
        require_same_step(*steps)
