"""Test products that a model was trained on are counted and named, on any dataset."""

import dataclasses
import json
import re

import jax
import numpy as np
import pytest

from fashion_jax.config import from_nested_dict
from fashion_jax.datasets.dataset import Dataset
from fashion_jax.datasets.trained_on import (
    TRAINED_ON,
    photo_hashes,
    read_trained_on,
    store_trained_on,
    train_sha256,
)
from fashion_jax.evaluation.cross_domain_result import Cell, CrossDomainResult, TrainedRun
from fashion_jax.evaluation.seen_in_training import SeenInTraining, count_seen, seen_in_training
from fashion_jax.files import StorageError, to_json
from fashion_jax.inference.card import ModelCardError
from fashion_jax.inference.export.export import export
from fashion_jax.inference.model import load_model
from fashion_jax.parallel.mesh import make_mesh
from fashion_jax.reports.cross_domain_page import render_cross_domain
from fashion_jax.reports.report import DatasetFacts, render_report
from fashion_jax.reports.robustness_page import render_robustness
from fashion_jax.training.loop import train
from tests.datasets.fakes import FakeSplit
from tests.e2e.untrained_run import write_untrained_run
from tests.evaluation.test_cross_domain_result import matrix
from tests.evaluation.test_result import of_products
from tests.evaluation.test_robustness_result import result, robustness
from tests.reports.test_report import Page, empty_data


class Listed:
    """A split from pairs such as `a1`: product `a`, photo `a1`; `b:x` is photo `x` of `b`."""

    def __init__(self, name: str, photos: str, numbers: dict[str, int]) -> None:
        self.name = name
        pairs = [each.split(":") if ":" in each else [each[0], each] for each in photos.split()]
        self.identity = np.array(
            [numbers.setdefault(of, len(numbers)) for of, _ in pairs], np.int64
        )
        self.photo_id = np.array([photo for _, photo in pairs], np.str_)
        self.domain = np.zeros(len(pairs), np.int8)
        self.category = np.full(len(pairs), "hats")
        self.camera = np.full(len(pairs), -1, np.int32)

    def __len__(self) -> int:
        return len(self.identity)

    def image_bytes(self, row: int) -> bytes:
        raise AssertionError("no photo is read")


class Lists(Dataset):
    def __init__(self, name: str = "own", **splits: str) -> None:
        self.name, self.version, self.splits = name, "1", tuple(splits)
        numbers: dict[str, int] = {}
        self.parts = {each: Listed(each, photos, numbers) for each, photos in splits.items()}

    def split(self, name: str) -> Listed:
        return self.parts[name]


PHOTOS = {"train": "a1 a2 b1 b2 c1", "query": "d1", "gallery": "d2"}
TRAINED = Lists(**PHOTOS)


def counted(tmp_path, dataset: Dataset, *trained: Dataset) -> SeenInTraining:
    store_trained_on(tmp_path, trained or [TRAINED])
    return count_seen(read_trained_on(tmp_path), dataset)


def counts(seen: SeenInTraining) -> tuple[int, ...]:
    return seen.queries, seen.gallery, seen.query_photos, seen.gallery_photos, seen.products


@pytest.mark.parametrize(
    ("dataset", "expected", "relabelled"),
    [
        # the dataset as it was
        (TRAINED, (0, 0, 0, 0, 0), False),
        # other products in the test, of the same training split
        (Lists(train="a1 a2 b1 b2 c1", query="a3 d1", gallery="a4 b3 d2"), (1, 2, 0, 0, 2), False),
        # built anew with other splits: products that moved into the test
        (Lists(train="d1 d2", query="a1 b1", gallery="a2 b2 e1"), (2, 2, 2, 2, 2), True),
        # a product of which only another photo was trained on
        (Lists(train="d1", query="a8", gallery="a9 a1 e1"), (1, 2, 0, 1, 1), True),
        # ... and which lies in a split of validation now
        (Lists(train="d1", val_query="c1", query="c8 e1", gallery="c9 e2"), (1, 1, 0, 0, 1), True),
        # without a training split
        (Lists(query="a1 d1", gallery="a2 d2"), (1, 1, 1, 1, 1), False),
        # another dataset of the same photos
        (Lists("other", train="z1", query="q:b1 r1", gallery="q:b9 r2"), (1, 1, 1, 0, 1), False),
        # another dataset
        (Lists("other", train="z1 z2", query="q1 r1", gallery="q2 r2"), (0, 0, 0, 0, 0), False),
        # names that differ in case or by a space
        (Lists("other", query="q:A1", gallery="q:a11"), (0, 0, 0, 0, 0), False),
        # only distractors
        (Lists(query="d1", gallery="d2 c1"), (0, 1, 0, 1, 1), False),
        # no queries at all
        (Lists(query="", gallery="a1"), (0, 1, 0, 1, 1), False),
    ],
)
def test_counts(tmp_path, dataset, expected, relabelled):
    seen = counted(tmp_path, dataset)
    assert counts(seen) == expected
    assert seen.relabelled == relabelled
    assert bool(seen.lines()) == (any(expected) or relabelled)


def test_a_photo_of_several_products_identifies_none(tmp_path):
    several = Lists(train="a:x b:x a1", query="d1", gallery="d2")
    seen = counted(tmp_path, Lists("other", query="q:x", gallery="q1"), several)
    assert counts(seen) == (0, 0, 1, 0, 0)
    here = Lists("other", query="q:a1", gallery="r:a1 s1")
    assert counts(counted(tmp_path, here, several)) == (0, 0, 1, 1, 0)
    # A photo of a trained product that shows a test product as well.
    both = Lists(train="a:x", query="d:x", gallery="d2")
    assert counts(counted(tmp_path, both, both)) == (0, 0, 1, 0, 0)


def test_all_datasets_of_a_run_count(tmp_path):
    other = Lists("other", train="y1 z1")
    test = Lists("third", query="y1 a1 q1", gallery="y2 z1 q2")
    assert counts(counted(tmp_path, test, TRAINED, other)) == (2, 2, 2, 1, 3)
    moved = Lists("other", train="y1", query="q1", gallery="q2")
    assert counted(tmp_path, moved, TRAINED, other).relabelled


def test_relabelled_photos_of_the_same_names_are_another_build(tmp_path):
    relabelled = Lists(train="b:a1 a2 b1 b2 c1", query="d1", gallery="d2")
    seen = counted(tmp_path, relabelled)
    assert seen.relabelled
    assert seen.lines() == [
        "the dataset is not the build that the model was trained on: its training split has other "
        "photos or labels"
    ]


def test_the_first_queries_are_named(tmp_path):
    many = " ".join(f"a:m{number}" for number in range(13))
    seen = counted(tmp_path, Lists(train="d1", query=f"a1 {many}", gallery="a2"))
    assert seen.queries == 14
    assert len(seen.names) == 10
    assert seen.lines()[0] == (
        "14 of 14 queries and 1 of 1 gallery photos show products that the model was trained on "
        "(1 products; queries a1, m0, m1, m2, m3, m4, m5, m6, m7, m8 and 4 more)"
    )


def test_a_warning_names_dataset_and_run(tmp_path, caplog):
    store_trained_on(tmp_path, [TRAINED])
    seen = seen_in_training(tmp_path, Lists(query="a1", gallery="a2"), "red run")
    assert seen is not None
    assert "own, red run: 1 of 1 queries" in caplog.text
    caplog.clear()
    assert seen_in_training(tmp_path, TRAINED) == SeenInTraining(0, 0, 0, 0, 1, 1, 0)
    assert caplog.text == ""


def _without(field):
    return lambda stored: stored["datasets"][0].pop(field)


@pytest.mark.parametrize(
    "damage",
    [
        _without("dataset"),
        _without("of_one_product"),
        lambda stored: stored["datasets"][0].update(of_several="AAAA"),
        lambda stored: stored["datasets"][0].update(of_one_product="not base64"),
        lambda stored: stored["datasets"][0].update(of_one_product=3),
        lambda stored: stored.update(datasets=[]),
        lambda stored: stored.update(datasets=None),
        lambda stored: stored.update(schema=99),
    ],
)
def test_a_damaged_list_is_unknown_not_zero(tmp_path, caplog, damage):
    store_trained_on(tmp_path, [TRAINED])
    stored = json.loads((tmp_path / TRAINED_ON).read_text())
    damage(stored)
    (tmp_path / TRAINED_ON).write_text(json.dumps(stored))
    with pytest.raises(StorageError):
        read_trained_on(tmp_path)
    assert seen_in_training(tmp_path, TRAINED) is None
    assert "is not known" in caplog.text


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b"\xff\x00", b"null"])
def test_a_missing_or_foreign_list_is_unknown(tmp_path, caplog, content):
    if content is not None:
        (tmp_path / TRAINED_ON).write_bytes(content)
    assert seen_in_training(tmp_path, TRAINED) is None
    assert TRAINED_ON in caplog.text


def test_hashes_are_those_of_the_whole_name():
    names = np.array(["a", "a ", "A", "ab", "\udc80", "é", "e\u0301", ""])
    assert len(set(photo_hashes(names).tolist())) == len(names)
    np.testing.assert_array_equal(photo_hashes(names.astype("<U90")), photo_hashes(names))
    assert photo_hashes(np.array([], np.str_)).shape == (0,)


def test_a_matrix_names_run_and_dataset():
    run = TrainedRun("red", "/red", ("own",), "tiny", (32, 32), 3)
    seen = SeenInTraining(1, 2, 0, 0, 3, 4, 1, ("a1",))
    cells = [
        Cell("red", name, name == "own", {}, {}, {"instance": {}}, found)
        for name, found in (("own", None), ("other", seen))
    ]
    table = CrossDomainResult([run], [], cells, 1.0)
    line = (
        "red on other: 1 of 3 queries and 2 of 4 gallery photos show products that the model was "
        "trained on (1 products; queries a1)"
    )
    assert table.seen_in_training() == [line]
    assert line in table.to_table()


@pytest.mark.parametrize("hostile", ["a_1", "<script>alert(1)</script>"])
def test_every_page_and_every_json_says_it(hostile):
    seen = SeenInTraining(1, 2, 0, 0, 3, 4, 1, (hostile,), relabelled=True)
    drops = dataclasses.replace(robustness(result("blur", (0.8, 0.6, 0.2))), seen_in_training=seen)
    cells = matrix()
    first = dataclasses.replace(cells.cells[0], seen_in_training=seen)
    cells = dataclasses.replace(cells, cells=[first, *cells.cells[1:]])
    facts = DatasetFacts("own 1", {}, {}, 3, seen_in_training=seen.lines())
    pages = [
        render_robustness(drops, {"blur": []}, "tiny"),
        render_cross_domain(cells, "command", {}),
        render_report(dataclasses.replace(empty_data(), dataset=facts)),
    ]
    for page in pages:
        text = re.sub(r"\s+", " ", "".join(Page(page).text))
        assert all(line in text for line in seen.lines())
    evaluation = dataclasses.replace(of_products(3, 4), seen_in_training=seen)
    for shown in (evaluation, drops):
        assert shown.to_json()["seen_in_training"]["queries"] == 1
        assert all(line in shown.to_table() for line in seen.lines())
    assert json.loads(to_json(cells))["cells"][0]["seen_in_training"]["gallery"] == 2


def test_nothing_is_said_of_nothing():
    evaluation = of_products(3, 4)
    assert evaluation.to_json()["seen_in_training"] is None
    none = dataclasses.replace(evaluation, seen_in_training=SeenInTraining(0, 0, 0, 0, 2, 2, 0))
    assert none.to_table() == evaluation.to_table()
    assert none.to_json()["seen_in_training"]["queries"] == 0


class Drawn(Dataset):
    name, version = "drawn", "1"
    splits = ("train", "val_query", "val_gallery", "query", "gallery")

    def split(self, name: str) -> FakeSplit:
        split = FakeSplit(name, 4, street=1, shop=1)
        split.identity += {"train": 0, "val_query": 4, "val_gallery": 4}.get(name, 2)
        return split


@pytest.mark.parametrize(
    "other",
    [
        [Lists(train="b:a1 a2 b1 b2 c1", query="d1", gallery="d2")],
        [Lists(train="a1 a2 b1 b2 c1", query="d1", gallery="d3")],
        [Lists("other", train="a1 a2 b1 b2 c1", query="d1", gallery="d2")],
        [TRAINED, TRAINED],
        [],
    ],
)
def test_other_training_data_has_another_sha256(other):
    assert train_sha256([TRAINED]) == train_sha256([Lists(**PHOTOS)])
    assert train_sha256(other) != train_sha256([TRAINED])


def test_datasets_in_another_order_have_another_sha256():
    other = Lists("other", train="a1")
    assert train_sha256([TRAINED, other]) != train_sha256([other, TRAINED])


CONFIG = from_nested_dict(
    {
        "data": {"identities_per_batch": 4, "photos_per_identity": 2},
        "image": {"height": 32, "width": 32},
        "model": {"backbone": "tiny"},
        "training": {"epochs": 1},
        "mesh": {"data": 1},
        "evaluation": {"batch_size": 8},
    }
)


def load(workdir, _):
    assert load_model(workdir).card.train_sha256 == ""


def write_export(workdir, folder):
    export(workdir, "safetensors", folder)


@pytest.mark.slow
@pytest.mark.parametrize("read", [load, write_export])
def test_another_runs_list_is_named_wherever_a_run_is_read(read, tmp_path):
    workdir = tmp_path / "run"
    write_untrained_run(CONFIG, workdir)
    store_trained_on(workdir, [TRAINED])
    expected = rf"{TRAINED_ON} does not .*'{train_sha256([TRAINED])}', the model card's ''\. Put"
    with pytest.raises(ModelCardError, match=expected):
        read(workdir, tmp_path / "export")
    assert not (tmp_path / "export").exists()
    (workdir / TRAINED_ON).write_text("damaged")  # of which evaluation warns
    read(workdir, tmp_path / "export")


@pytest.mark.slow
def test_a_run_stores_what_it_was_trained_on(tmp_path):
    mesh = make_mesh(CONFIG.mesh, jax.devices()[:1])
    train(CONFIG, tmp_path, mesh, progress=False, datasets=[Drawn()])
    assert load_model(tmp_path).card.train_sha256 == train_sha256([Drawn()])
    # Products 2 to 5 are tested, 0 to 3 were trained on; no photo is shared.
    assert counts(seen_in_training(tmp_path, Drawn())) == (4, 4, 0, 0, 2)
    (tmp_path / TRAINED_ON).unlink()  # as in a run of an earlier version
    train(CONFIG, tmp_path, mesh, progress=False, datasets=[Drawn()])
    assert counts(seen_in_training(tmp_path, Drawn())) == (4, 4, 0, 0, 2)
