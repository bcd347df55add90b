import json
import shutil

import numpy as np
import pytest
from fashion_jax.data_builders.deepfashion2.annotations import CATEGORIES

from fashion_jax.datasets.building.base import EmptySplitError
from fashion_jax.datasets.building.build import build, check
from fashion_jax.datasets.building.list_files import ListError
from fashion_jax.datasets.photos import decode_photo
from tests.data_builders.built_records import everything, identities, read_all
from tests.dummy_data import deepfashion2 as dummy_data
from tests.dummy_data.deepfashion2 import good_box


def of_photo(records, photo_id):
    return [record for record in everything(records) if record.photo_id == photo_id]


def category(pair, style):
    return CATEGORIES[(pair + 4 * style) % 13].replace(" ", "_")


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw") / "deepfashion2"
    dummy_data.write_dummy_data(folder)
    return folder


@pytest.fixture(scope="module")
def built(raw, tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("data")
    report = build("deepfashion2", data_dir, raw, progress=False, validation_fraction=0.2)
    return data_dir, report


@pytest.fixture(scope="module")
def records(built):
    return read_all(built[0], "deepfashion2")


def test_photo_counts(built):
    # 33 training photos and 18 validation photos have items that are of use.
    assert built[1].counts["photos"] == {
        "expected": 51,
        "found": 50,
        "missing": 1,
        "empty": 1,
        "truncated": 1,
        "not_an_image": 1,
        "too_large": 0,
        "unreadable": 0,
        "usable": 47,
    }


def test_every_defect_is_listed_by_name(built):
    assert built[1].problems == {
        "box_clipped": ["train/000022"],
        "box_empty": ["train/000018"],
        "box_outside": ["train/000021"],
        "category_id_differs_from_name": ["train/000017/item1"],
        "empty": ["train/000006"],
        "identity_in_several_categories": ["train/6/1", "train/6/2"],
        "missing": ["train/000003"],
        "not_an_image": ["train/000013"],
        "photo_without_annotation": ["train/000033"],
        "photo_without_items": ["train/000034"],
        "truncated": ["train/000010"],
    }


def test_published_sizes_stand_beside_those_of_the_annotations(built):
    assert built[1].published == {
        "train_photos": {"published": 191_961, "listed": 34, "found": 33},
        "validation_photos": {"published": 32_153, "listed": 18, "found": 18},
    }


def test_records_of_the_test(records):
    # Of each of 4 pairs: two items of customers' first photo, one of the second; and the one
    # that asks in vain.
    assert len(records["query"]) == 4 * 3 + 1
    # Two items on each of 8 photos of shops, one more of them twice on it, one not asked for.
    assert len(records["gallery"]) == 8 * 2 + 1 + 1


def test_unmatched_items_stay_as_distractors(built, records):
    assert built[1].counts["queries_without_match"] == 1
    assert built[1].counts["distractor_identities"] == 5
    distractors = identities(records, "gallery") - identities(records, "query")
    of_photos = [each.photo_id for each in records["gallery"] if each.identity in distractors]
    # One photo each: items of style 0 never match each other.
    assert of_photos == [
        "validation/000004",
        "validation/000008",
        "validation/000012",
        "validation/000016",
        dummy_data.NOT_ASKED_FOR,
    ]


def test_customers_items_without_style_are_no_queries(records):
    assert len(of_photo(records, "validation/000002")) == 1
    assert len(of_photo(records, "validation/000001")) == 2


def test_training_items_without_style_are_left_out(records):
    for photo_id in ("train/000008", "train/000014"):
        assert len(of_photo(records, photo_id)) == 1
    assert len(of_photo(records, "train/000007")) == 2


def test_the_same_pair_number_in_the_other_set_is_another_product(records):
    train = {record.identity for record in of_photo(records, "train/000001")}
    test = {record.identity for record in of_photo(records, "validation/000001")}
    assert len(train | test) == 4


def test_same_pair_and_style_are_one_product(records):
    def of(number):
        found = of_photo(records, f"validation/{number:06d}")
        return {record.category: record.identity for record in found}

    first, second = category(2, 1), category(2, 2)
    assert len({of(number)[first] for number in (5, 6, 7, 8)}) == 1
    assert of(5)[second] == of(7)[second] != of(5)[first]
    assert of(9)[category(3, 1)] != of(5)[first]


def test_one_product_twice_on_a_photo_is_two_records(records):
    found = of_photo(records, dummy_data.TWICE_ON_IT)
    counts = [sum(each.identity == other.identity for other in found) for each in found]
    assert sorted(counts) == [1, 2, 2]


def test_validation_has_both_domains(records):
    # A fifth of the 15 training products with a photo of each domain.
    assert len(identities(records, "val_query")) == 3
    assert identities(records, "val_query") == identities(records, "val_gallery")
    for split, domain in (("query", "street"), ("gallery", "shop")):
        assert {record.domain for record in records[f"val_{split}"]} == {domain}
        assert {record.domain for record in records[split]} == {domain}
    assert {record.domain for record in records["train"]} == {"street", "shop"}


def test_product_of_one_domain_is_never_for_validation(raw, tmp_path):
    build("deepfashion2", tmp_path, raw, progress=False, validation_fraction=0.9)
    assert dummy_data.WITHOUT_SHOP in {
        each.photo_id for each in read_all(tmp_path, "deepfashion2")["train"]
    }


def test_category_is_the_items_own(records):
    (record,) = of_photo(records, "train/000022")
    assert record.category == category(6, 1)
    others = {each.category for each in of_photo(records, dummy_data.OTHER_CATEGORY)}
    assert not others & {category(6, 1), category(6, 2)}
    assert {int(record.camera) for record in everything(records)} == {-1}


def source(raw, photo_id):
    part, number = photo_id.split("/")
    return decode_photo((raw / part / "image" / f"{number}.jpg").read_bytes())


def assert_same(stored, expected):
    assert stored.shape == expected.shape
    assert np.abs(stored.astype(int) - expected).mean() < 3


@pytest.mark.parametrize(
    ("photo_id", "pair", "style", "item"),
    [
        ("train/000001", 1, 1, 1),
        ("train/000001", 1, 2, 2),
        ("train/000027", 7, 2, 2),
        ("validation/000001", 1, 1, 1),
        ("validation/000002", 1, 1, 1),
        ("validation/000004", 1, 0, 2),
        ("validation/000011", 3, 2, 2),
    ],
)
def test_item_is_cut_by_its_corners(raw, records, photo_id, pair, style, item):
    found = of_photo(records, photo_id)
    (stored,) = [each for each in found if each.category == category(pair, style)]
    left, top, right, bottom = good_box(photo_id, item)
    assert_same(stored.image, source(raw, photo_id)[top:bottom, left:right])


@pytest.mark.parametrize("photo_id", [dummy_data.REVERSED, dummy_data.OUTSIDE])
def test_whole_photo_where_the_box_is_no_use(raw, records, photo_id):
    stored = max(of_photo(records, photo_id), key=lambda record: record.image.size)
    assert_same(stored.image, source(raw, photo_id))


def test_box_partly_outside_is_clipped(raw, records):
    (stored,) = of_photo(records, dummy_data.CLIPPED)
    assert_same(stored.image, source(raw, dummy_data.CLIPPED)[20:50, 0:20])


def test_margin_and_longest_side_are_options(raw, tmp_path):
    build("deepfashion2", tmp_path, raw, progress=False, margin=0.1, longest_side=32)
    (stored,) = of_photo(read_all(tmp_path, "deepfashion2"), "validation/000006")
    # A box of 22×30 at (11, 4) becomes 26×36, whose height shrinks to 32.
    assert stored.image.shape == (32, round(26 * 32 / 36), 3)


def test_copy_without_training_set_can_be_tested_on(raw, tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "validation").symlink_to(raw / "validation")
    with pytest.raises(EmptySplitError, match=r"split train, .* --splits query gallery"):
        build("deepfashion2", tmp_path / "data", tmp_path / "raw", progress=False)
    report = build(
        "deepfashion2",
        tmp_path / "data",
        tmp_path / "raw",
        splits=["query", "gallery"],
        progress=False,
    )
    assert report.counts["splits"]["gallery"]["photos"] == 18
    assert report.published["train_photos"] == {"published": 191_961, "listed": 0, "found": 0}


GOOD_ITEM = {
    "bounding_box": [1, 2, 30, 40],
    "category_id": 9,
    "category_name": "skirt",
    "style": 1,
}


def spoilt(**changes):
    return {"source": "user", "pair_id": 1, "item1": {**GOOD_ITEM, **changes}}


@pytest.fixture
def copy(raw, tmp_path):
    """A copy whose annotations may be spoilt."""
    shutil.copytree(raw, tmp_path / "raw")
    return tmp_path / "raw"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"000005\.json: not JSON"),
        ("", "not JSON"),
        (b"\xff\xfe{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ([1], r"an object was expected, not \[1\]"),
        ({"pair_id": 1}, "source: one of user, shop was expected, not None"),
        (
            {"source": ["user"], "pair_id": 1},
            r"source: one of user, shop was expected, not \['user'",
        ),
        ({"source": "user", "pair_id": "1"}, "pair_id: a whole number was expected, not '1'"),
        ({"source": "user", "pair_id": True}, "pair_id: a whole number was expected, not True"),
        ({"source": "user", "pair_id": 1, "item1": []}, r"item1: an object was expected, not \[\]"),
        ({"source": "user", "pair_id": 1, "Item1": GOOD_ITEM}, "Item1: items must be named item1"),
        (spoilt(style=-1), "item1: style: a whole number was expected, not -1"),
        (spoilt(style=None), "style: a whole number was expected, not None"),
        (spoilt(category_name="hat"), "category_name must be one of DeepFashion2's 13, not 'hat'"),
        (spoilt(category_name=["skirt"]), "category_name must be one of"),
        (spoilt(bounding_box=[1, 2, 3]), r"bounding_box must be \[x1, y1, x2, y2\], not \[1, 2, 3"),
        (spoilt(bounding_box=None), "bounding_box must be"),
        (spoilt(bounding_box=[1, 2, 3, float("nan")]), "bounding_box must be"),
        (spoilt(bounding_box=[1, 2, 3, 10**400]), "bounding_box must be"),
        (spoilt(bounding_box=[1, 2, 3, "4"]), "bounding_box must be"),
    ],
)
def test_annotation_that_cannot_be_understood(copy, content, message):
    path = copy / "train" / "annos" / "000005.json"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(ListError, match=message):
        check("deepfashion2", copy, progress=False)


def test_all_problems_are_raised_at_once(copy):
    wrong = {"source": "me", "item1": {**GOOD_ITEM, "style": "x"}}  # wrong in three places
    for part, numbers in (("train", range(1, 5)), ("validation", range(1, 3))):
        for number in numbers:
            (copy / part / "annos" / f"{number:06d}.json").write_text(json.dumps(wrong))
    with pytest.raises(ListError) as caught:
        check("deepfashion2", copy, progress=False)
    assert "18 problem(s) in DeepFashion2's annotations" in str(caught.value)
    assert "and 8 more" in str(caught.value)
