import collections

import numpy as np
import pytest

from fashion_jax.datasets.building.build import build, check
from fashion_jax.datasets.building.raw_copy import LayoutError
from fashion_jax.datasets.dataset import open_dataset
from fashion_jax.datasets.photos import decode_photo
from tests.data_builders.built_records import everything, read_all
from tests.dummy_data import deepfashion_consumer2shop as dummy_data
from tests.dummy_data.deepfashion_consumer2shop import GOOD, path_of, write_dummy_data

NAME = "deepfashion_consumer2shop"
Built = collections.namedtuple("Built", "data_dir report splits")


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw") / "c2s"
    write_dummy_data(folder)
    return folder


def build_it(raw, data_dir, **options):
    report = build(NAME, data_dir, raw, progress=False, **options)
    return Built(data_dir, report, read_all(data_dir, NAME))


@pytest.fixture(scope="module")
def low(raw, tmp_path_factory):
    return build_it(raw, tmp_path_factory.mktemp("low"))


@pytest.fixture(scope="module")
def high(raw, tmp_path_factory):
    return build_it(raw, tmp_path_factory.mktemp("high"), photos="high", jpeg_quality=98)


@pytest.fixture(scope="module")
def xywh(raw, tmp_path_factory):
    return build_it(raw, tmp_path_factory.mktemp("xywh"), box_reading="xywh")


def stored_photo(built, photo):
    found = [
        record
        for records in built.splits.values()
        for record in records
        if record.photo_id == path_of(photo)
    ]
    assert len(found) == 1
    return found[0].image


def assert_same_pixels(stored, source):
    assert stored.shape == source.shape
    assert np.abs(stored.astype(int) - source).mean() < 3


def test_photo_counts(low, high):
    expected = {"expected": 94, "found": 90, "missing": 4, "empty": 1, "truncated": 1}
    expected |= {"not_an_image": 1, "unsupported_format": 0, "too_large": 0}
    expected |= {"unreadable": 0, "usable": 87}
    assert low.report.counts["photos"] == expected
    assert high.report.counts["photos"] == expected


def test_missing_photos_are_those_of_the_chosen_resolution(low, high):
    both = [path_of(photo) for photo in dummy_data.MISSING]
    missing_low = sorted([*both, path_of(dummy_data.MISSING_IN_LOW)])
    missing_high = sorted([*both, path_of(dummy_data.MISSING_IN_HIGH)])
    assert low.report.problems["missing"] == missing_low
    assert high.report.problems["missing"] == missing_high


def test_every_defect_is_listed_by_photo(low):
    problems = dict(low.report.problems)
    assert len(problems.pop("missing")) == 4
    (pair,) = problems.pop("repeated_pair")
    assert pair.startswith(f"{path_of((22, 'comsumer', 1))} {path_of((22, 'shop', 1))} ")
    assert problems == {
        "box_clipped": [path_of((20, "comsumer", 1))],
        "box_empty": [path_of((11, "comsumer", 1)), path_of((11, "shop", 1))],
        "box_missing": [path_of((19, "comsumer", 2))],
        "box_outside": [path_of((12, "comsumer", 1))],
        "box_without_pair": ["img/TOPS/T_Shirt/id_00000099/shop_01.jpg"],
        "empty": [path_of((2, "comsumer", 1))],
        "identity_with_several_statuses": ["id_00000004"],
        "not_an_image": [path_of((18, "comsumer", 1))],
        "other_domain_in_boxes": [path_of((21, "shop", 1))],
        "repeated_box": [path_of((22, "shop", 1))],
        "truncated": [path_of((17, "shop", 2))],
    }


def test_box_counts(low, high, xywh):
    boxes = {"missing": 1, "without_size": 0, "without_scale": 0}
    boxes |= {"empty": 2, "outside": 1, "clipped": 1, "tiny": 0}
    assert low.report.counts["boxes"] == boxes
    assert high.report.counts["boxes"] == {**boxes, "without_scale": 1}
    # Corners without area, taken for a width and a height, have one: wrong boxes look right.
    assert xywh.report.counts["boxes"] == {**boxes, "empty": 0, "tiny": 2}


def test_sizes_stand_beside_the_published_ones(low):
    assert low.report.published == {
        "photos": {"published": 239_557, "listed": 97},
        "items": {"published": 33_881, "listed": 24},
    }


def test_splits_are_those_of_the_lists(low):
    for split, records in low.splits.items():
        for record in records:
            item = int(record.photo_id.split("/")[3].removeprefix("id_"))
            status = "test" if item == 4 else dummy_data.status_of(item)
            wanted = {"query": "test", "gallery": "test", "val_query": "val", "val_gallery": "val"}
            assert status == wanted.get(split, "train")


def test_category_is_that_of_the_path(low):
    for record in everything(low.splits):
        assert record.category == "/".join(record.photo_id.split("/")[1:3])


def test_unmatched_queries_count_in_their_category(low):
    assert low.report.categories["DRESSES/Dress"]["queries_without_match"] == 2


def test_leaked_item_keeps_its_test_pair_only(low):
    photos = {
        record.photo_id: split
        for split, records in low.splits.items()
        for record in records
        if "/id_00000004/" in record.photo_id
    }
    assert photos == {path_of((4, "comsumer", 1)): "query", path_of((4, "shop", 1)): "gallery"}


@pytest.mark.parametrize("photo", GOOD)
def test_crop_of_the_high_resolution_is_scaled_on_each_axis(raw, high, photo):
    x_1, y_1, x_2, y_2 = dummy_data.corners_of(photo)
    source = decode_photo((raw / dummy_data.high_path_of(photo)).read_bytes())
    assert source.shape == (168, 120, 3)
    # 48×64 pixels became 120×168: 2.5 times across, 2.625 times down.
    left, right = (int(x * 2.5 + 0.5) for x in (x_1, x_2))
    top, bottom = (int(y * 2.625 + 0.5) for y in (y_1, y_2))
    assert_same_pixels(stored_photo(high, photo), source[top:bottom, left:right])


@pytest.mark.parametrize("photo", GOOD)
def test_crop_of_the_misreading_reaches_too_far(raw, xywh, photo):
    x, y, width, height = dummy_data.corners_of(photo)
    source = decode_photo((raw / path_of(photo)).read_bytes())[y : y + height, x : x + width]
    assert source.shape == (height, width, 3)
    assert_same_pixels(stored_photo(xywh, photo), source)


def test_whole_high_photo_where_the_scale_is_not_known(raw, high):
    photo = dummy_data.MISSING_IN_LOW
    source = decode_photo((raw / dummy_data.high_path_of(photo)).read_bytes())
    assert_same_pixels(stored_photo(high, photo), source)


def test_grayscale_photo_has_three_equal_channels(low):
    stored = stored_photo(low, dummy_data.GRAYSCALE).astype(int)
    assert np.abs(stored - stored.mean(axis=2, keepdims=True)).max() <= 2


def test_folder_with_the_other_name_in_high_resolution(high):
    summer = [
        record
        for records in high.splits.values()
        for record in records
        if record.category == "CLOTHING/Summer_Wear"
    ]
    assert len(summer) == 31
    assert all(record.photo_id.startswith("img/CLOTHING/Summer_Wear/") for record in summer)


def test_check_counts_what_build_counts(raw, high):
    assert check(NAME, raw, progress=False, photos="high", jpeg_quality=98) == high.report


def test_options_are_those_of_the_built_dataset(xywh):
    options = open_dataset(NAME, xywh.data_dir).build_options()
    assert options["box_reading"] == "xywh"
    assert options["photos"] == "low"
    assert options["margin"] == "0.0"


def test_boxes_are_corners_by_default(low):
    assert low.report.options["box_reading"] == "corners"


@pytest.fixture
def copy(raw, tmp_path):
    """A copy of which the lists can be changed; the photos are those of `raw`."""
    for name in ("Anno", "Eval"):
        (tmp_path / name).mkdir()
        for path in (raw / name).iterdir():
            (tmp_path / name / path.name).write_bytes(path.read_bytes())
    (tmp_path / "img").symlink_to(raw / "img")
    return tmp_path


def test_validation_is_taken_from_training_where_the_lists_name_none(copy):
    path = copy / "Eval" / "list_eval_partition.txt"
    path.write_text(path.read_text().replace(" val\n", " train\n"))
    report = check(NAME, copy, progress=False, validation_fraction=0.2)
    splits = report.counts["splits"]
    # 18 items are for training, 17 without the one that is left to the test.
    assert splits["val_query"]["identities"] == splits["val_gallery"]["identities"] == 3
    assert splits["train"]["identities"] == 14
    other = check(NAME, copy, progress=False, validation_fraction=0.2, seed=1)
    assert other.counts["splits"]["val_query"]["identities"] == 3
    assert other.categories != report.categories


def test_photos_may_lie_in_the_folder_of_the_archives(copy, low):
    (copy / "Img").mkdir()
    (copy / "img").rename(copy / "Img" / "img")
    assert check(NAME, copy, progress=False).counts == low.report.counts


def test_only_the_high_resolution_is_there(raw, copy):
    (copy / "img").unlink()
    (copy / "img_highres").symlink_to(raw / "img_highres")
    with pytest.raises(LayoutError, match=r"looked for .*img and .*Img/img; .*option.photos=high"):
        check(NAME, copy, progress=False)
    report = check(NAME, copy, progress=False, photos="high")
    # The scale of no box is known; one box is missing, and 87 photos are usable.
    assert report.counts["boxes"]["without_scale"] == 86
    assert report.counts["boxes"]["missing"] == 1
