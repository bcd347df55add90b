"""What every builder keeps to, on its dummy raw copy."""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

import pytest

from fashion_jax.datasets.building.build import build, check
from fashion_jax.datasets.building.build_report import BuildReport
from fashion_jax.datasets.building.raw_copy import LayoutError
from fashion_jax.datasets.records import SPLITS
from tests.conftest import TINY_DATASET
from tests.data_builders.built_records import everything, identities, read_all
from tests.dummy_data import (
    catalogue,
    deepfashion2,
    deepfashion_consumer2shop,
    deepfashion_inshop,
    market1501,
    street2shop,
)

VALIDATION = {"validation_fraction": 0.3}


@dataclasses.dataclass(frozen=True)
class Expected:
    """A dataset, and what its dummy copy comes to.

    Attributes:
        write: writes the raw copy; `None` for a dataset that is drawn.
        identities: products, or persons, that have a photo.
        photos: photos of some splits.
        options: options of the build.
        places: options whose values are paths below the raw copy, in the place of a manual_dir.
        given_validation: the lists name the products for validation.
        seed_chooses_test: the lists do not say which products are for the test.
        wrong: other folders, and what is said of them; the copy itself is `raw`.
        kept: what a copy without photos still has, and what is said of it.
    """

    identities: int
    photos: dict[str, int]
    write: Callable[[pathlib.Path], None] | None = None
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    places: dict[str, str] = dataclasses.field(default_factory=dict)
    given_validation: bool = False
    seed_chooses_test: bool = False
    wrong: dict[str, str] = dataclasses.field(default_factory=dict)
    kept: tuple[tuple[str, ...], str] | None = None


DRAWN = "synthetic_street2shop"  # drawing photos takes longer than reading them
DATASETS = {
    "street2shop": Expected(
        write=street2shop.write_dummy_data,
        # 14 products in each of 3 categories; of the ninth dress only the query photo is left.
        identities=42,
        photos={},
        options=VALIDATION,
        wrong={
            "nowhere": r"nowhere does not exist: looked for .*nowhere/meta/json/.*images or photos",
            "raw/photos": r"holds no raw copy of Street2Shop.*did you mean .*raw\?",
            ".": r"did you mean .*raw\?",
        },
        kept=(("meta",), r"no photo found.*images and .*photos.*000000007"),
    ),
    "deepfashion2": Expected(
        write=deepfashion2.write_dummy_data,
        # 17 products in train, 9 asked for in the test, 5 distractors.
        identities=31,
        photos={},
        options=VALIDATION,
        wrong={
            "nowhere": r"nowhere does not exist: looked for .*nowhere/\{train,validation\}/annos/",
            "raw/train": r"holds no raw copy of DeepFashion2.*did you mean .*raw\?",
            ".": r"\}/image/000001\.jpg; did you mean .*raw\?",
        },
        kept=(("train/annos",), r"no photos found: .*/train/image and .*/validation/im"),
    ),
    "deepfashion_inshop": Expected(
        write=deepfashion_inshop.write_dummy_data,
        # All of the 36 products but the one without photos.
        identities=35,
        photos={"query": 24, "gallery": 22},
        options=VALIDATION,
        wrong={
            "nowhere": r"nowhere does not exist: looked for .*nowhere/Eval/list_eval_partition\.tx",
            "raw/img": r"holds no raw copy of DeepFashion In-Shop.*did you mean .*raw\?",
            ".": r"Anno/list_bbox_inshop\.txt.*did you mean .*raw\?",
        },
        kept=(("Anno", "Eval"), r"no photos found: looked for .*/img and .*/Img/img$"),
    ),
    "deepfashion_consumer2shop": Expected(
        write=deepfashion_consumer2shop.write_dummy_data,
        identities=24,
        # 44 - 5, 13, 13 - 2, 12, 12: of the item in training and test one pair is left.
        photos={"train": 39, "query": 13, "gallery": 11, "val_query": 12, "val_gallery": 12},
        given_validation=True,
        wrong={
            "nowhere": r"nowhere does not exist: looked for .*nowhere/Anno/list_bbox_consumer2shop",
            "raw/img": r"holds no raw copy of DeepFashion Consumer-to-Shop.*did you mean .*raw\?",
            ".": r"did you mean .*raw\?",
        },
        kept=(("Anno", "Eval"), r"no photo found: looked for .*/img and .*/Img/img"),
    ),
    "market1501": Expected(
        write=market1501.write_dummy_data,
        # 8 persons in train, 8 in the test; each of 3 distractors is one of its own.
        identities=19,
        photos={"query": 10, "gallery": 24},
        options=VALIDATION,
        wrong={
            "nowhere": r"nowhere does not exist: looked for .*nowhere/\{bounding_box_train,query,",
            "raw/query": r"holds no raw copy of Market-1501.*did you mean .*raw\?",
            ".": r"0002_c1s1_000451_03\.jpg; did you mean .*raw\?",
        },
    ),
    "catalogue": Expected(
        write=catalogue.write_dummy_data,
        identities=27,
        photos={},
        options=VALIDATION,
        places={"manifest": "items.csv", "photos": "photos"},
        seed_chooses_test=True,
    ),
    DRAWN: Expected(
        identities=sum(TINY_DATASET.values()),
        photos={},
        options=TINY_DATASET,
        seed_chooses_test=True,
    ),
}
OF_A_RAW_COPY = [name for name, each in DATASETS.items() if each.write and not each.places]


@dataclasses.dataclass(frozen=True)
class Built:
    """A dataset that was built from its dummy copy."""

    name: str
    expected: Expected
    raw: pathlib.Path | None
    report: BuildReport
    records: dict[str, list[Any]]

    @property
    def arguments(self) -> dict[str, Any]:
        """What `build` and `check` are called with, but for the data_dir."""
        places = {option: self.raw / path for option, path in self.expected.places.items()}
        manual_dir = None if places else self.raw
        return {"manual_dir": manual_dir, "progress": False, **self.expected.options, **places}


@pytest.fixture(
    scope="module",
    params=[pytest.param(n, marks=pytest.mark.slow if n == DRAWN else ()) for n in DATASETS],
)
def dataset(request, tmp_path_factory):
    name, expected = request.param, DATASETS[request.param]
    folder = tmp_path_factory.mktemp(name)
    raw = folder / "raw" if expected.write else None
    if expected.write:
        expected.write(raw)
    built = Built(name, expected, raw, None, {})
    report = build(name, folder / "data", **built.arguments)
    return dataclasses.replace(built, report=report, records=read_all(folder / "data", name))


@pytest.fixture(scope="module")
def other(dataset, tmp_path_factory):
    """Records of a build with another seed, of small photos."""
    folder = tmp_path_factory.mktemp("other")
    build(dataset.name, folder, **dataset.arguments, seed=1, longest_side=24)
    return read_all(folder, dataset.name)


def photo_ids(records, *splits):
    return {record.photo_id for split in splits for record in records[split]}


def test_counts_of_splits_are_those_of_the_records(dataset):
    for split, each in dataset.records.items():
        counted = {"photos": len(each), "identities": len(identities(dataset.records, split))}
        assert dataset.report.counts["splits"][split] == counted, split
    found = {split: len(dataset.records[split]) for split in dataset.expected.photos}
    assert found == dataset.expected.photos


def test_identities_are_dense_and_splits_share_none(dataset):
    train = identities(dataset.records, "train")
    test = identities(dataset.records, "query", "gallery")
    validation = identities(dataset.records, "val_query", "val_gallery")
    assert train
    assert test
    assert validation
    assert not train & validation
    assert not train & test
    assert not validation & test
    assert identities(dataset.records, *SPLITS) == set(range(dataset.expected.identities))


def test_validation_is_answered(dataset):
    """Each of its queries has a photo of the same identity in its gallery."""
    queries, gallery = (identities(dataset.records, f"val_{s}") for s in ("query", "gallery"))
    assert queries <= gallery


def test_check_counts_what_build_counts(dataset):
    assert check(dataset.name, **dataset.arguments, threads=3) == dataset.report


def test_the_seed_chooses_what_the_lists_leave_open(dataset, other):
    for split in ("query", "gallery"):
        same = photo_ids(other, split) == photo_ids(dataset.records, split)
        assert same is not dataset.expected.seed_chooses_test
    same = photo_ids(other, "val_gallery") == photo_ids(dataset.records, "val_gallery")
    assert same is dataset.expected.given_validation


def test_photos_are_no_larger_than_the_longest_side(dataset, other):
    small, whole = (
        [max(record.image.shape[:2]) for record in everything(records)]
        for records in (other, dataset.records)
    )
    assert max(small) == 24 < max(whole)


@pytest.mark.parametrize("name", OF_A_RAW_COPY)
def test_without_manual_dir(name):
    with pytest.raises(LayoutError, match="needs --manual_dir"):
        check(name, progress=False)


@pytest.mark.parametrize(
    ("name", "place"), [(name, place) for name in OF_A_RAW_COPY for place in DATASETS[name].wrong]
)
def test_wrong_manual_dir(name, place, tmp_path):
    DATASETS[name].write(tmp_path / "raw")
    with pytest.raises(LayoutError, match=DATASETS[name].wrong[place]):
        check(name, tmp_path / place, progress=False)


@pytest.mark.parametrize("name", [name for name in OF_A_RAW_COPY if DATASETS[name].kept])
def test_copy_without_photos(name, tmp_path):
    DATASETS[name].write(tmp_path / "raw")
    kept, message = DATASETS[name].kept
    for path in kept:
        (tmp_path / "copy" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "copy" / path).symlink_to(tmp_path / "raw" / path)
    with pytest.raises(LayoutError, match=message):
        check(name, tmp_path / "copy", progress=False)
