import json
import shutil

import pytest

from fashion_jax.datasets.building.build import build, check
from fashion_jax.datasets.building.list_files import ListError
from tests.data_builders.built_records import everything, identities, read_all
from tests.dummy_data import deepfashion2 as dummy_data


def of_photo(records, photo_id):
    return [record for record in everything(records) if record.photo_id == photo_id]


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
        "unsupported_format": 0,
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


def test_unmatched_items_stay_as_distractors(records):
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


def test_one_product_twice_on_a_photo_is_two_records(records):
    found = of_photo(records, dummy_data.TWICE_ON_IT)
    counts = [sum(each.identity == other.identity for other in found) for each in found]
    assert sorted(counts) == [1, 2, 2]


def test_product_of_one_domain_is_never_for_validation(raw, tmp_path):
    options = {"splits": ["train"], "validation_fraction": 0.9}
    build("deepfashion2", tmp_path, raw, progress=False, **options)
    assert dummy_data.WITHOUT_SHOP in {
        each.photo_id for each in read_all(tmp_path, "deepfashion2")["train"]
    }


def test_category_is_the_items_own(records):
    (record,) = of_photo(records, "train/000022")
    assert record.category == dummy_data.category_of(6, 1)
    others = {each.category for each in of_photo(records, dummy_data.OTHER_CATEGORY)}
    assert not others & {dummy_data.category_of(6, style) for style in (1, 2)}


def test_margin_and_longest_side_are_options(raw, tmp_path):
    options = {"splits": ["query"], "margin": 0.1, "longest_side": 32}
    build("deepfashion2", tmp_path, raw, progress=False, **options)
    (stored,) = of_photo(read_all(tmp_path, "deepfashion2"), "validation/000006")
    # A box of 22×30 at (11, 4) becomes 26×36, whose height shrinks to 32.
    assert stored.image.shape == (32, round(26 * 32 / 36), 3)


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
        ('{"pair_id": ' + "9" * 5000 + "}", "not JSON: .* 5000 digits"),
        ('{"pair_id": 1, "pair_id": 2}', "not JSON: the field 'pair_id' occurs twice"),
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
