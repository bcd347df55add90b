import shutil

import pytest

from fashion_jax.datasets.building.build import build, check
from fashion_jax.datasets.building.list_files import ListError
from fashion_jax.datasets.building.raw_copy import LayoutError
from fashion_jax.datasets.records import SPLITS
from tests.data_builders.built_records import everything, identities, read_all
from tests.dummy_data import deepfashion_inshop as dummy_data
from tests.dummy_data.deepfashion_inshop import dummy_list

PHOTOS = {photo.number: photo for photo in dummy_list()}


def name(number):
    return PHOTOS[number].name


def of_photo(records, number):
    return [record for record in everything(records) if record.photo_id == name(number)]


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw") / "inshop"
    dummy_data.write_dummy_data(folder)
    return folder


@pytest.fixture(scope="module")
def built(raw, tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("data")
    report = build("deepfashion_inshop", data_dir, raw, progress=False, validation_fraction=0.2)
    return data_dir, report


@pytest.fixture(scope="module")
def records(built):
    return read_all(built[0], "deepfashion_inshop")


def test_photo_counts(built):
    # The leaked photo is in no split.
    assert built[1].counts["photos"] == {
        "expected": 121,
        "found": 115,
        "missing": 6,
        "empty": 1,
        "truncated": 1,
        "not_an_image": 1,
        "unsupported_format": 0,
        "too_large": 0,
        "unreadable": 0,
        "usable": 112,
    }


def test_every_defect_is_listed_by_photo(built):
    assert built[1].problems == {
        "box_clipped": [name(16)],
        "box_empty": [name(8)],
        "box_missing": [name(20)],
        "box_of_unlisted_photo": ["img/MEN/Denim/id_00000099/01_1_front.jpg"],
        "box_outside": [name(12)],
        "contradicting_row": [name(61)],
        "empty": [name(6)],
        "identity_in_several_categories": ["id_00000025"],
        "identity_in_train_and_test": ["id_00000009"],
        "identity_without_photos": ["id_00000015"],
        "item_differs_from_path": [name(122)],
        "missing": [name(number) for number in (2, 27, 28, 47, 48, 49)],
        "not_an_image": [name(90)],
        "repeated_box": [name(62)],
        "repeated_row": [name(59)],
        "truncated": [name(51)],
        "wrong_count": ["Eval/list_eval_partition.txt announces 122 rows and has 124"],
    }


def test_published_sizes_stand_beside_those_of_the_lists(built):
    published = built[1].published
    assert published["photos"] == {"published": 52_712, "listed": 122, "found": 116}
    assert published["items"] == {"published": 7_982, "listed": 36, "found": 35}
    # 24 products of three photos, the leaked one, the misfiled one.
    assert published["train_photos"] == {"published": 25_882, "listed": 74, "found": 70}
    assert published["query_photos"]["listed"] == 24
    assert published["gallery_photos"]["found"] == 22
    assert published["test_items"]["listed"] == 12


def test_queries_without_match_count_in_their_category(built):
    assert built[1].categories["WOMEN/Dresses"]["queries_without_match"] == 2


def test_query_and_gallery_are_as_given(records):
    for split in ("query", "gallery"):
        listed = {photo.name for photo in PHOTOS.values() if photo.status == split}
        assert {record.photo_id for record in records[split]} <= listed
    assert identities(records, "gallery") < identities(records, "query")


def test_validation_has_one_query_of_each_identity(records):
    # A fifth of the 23 training products of which two photos are there.
    queries = [record.identity for record in records["val_query"]]
    assert len(queries) == len(set(queries)) == 5
    assert identities(records, "val_gallery") == set(queries)
    photos = [record.photo_id for split in SPLITS for record in records[split]]
    assert len(photos) == len(set(photos))


def test_category_is_that_of_the_path(records):
    assert of_photo(records, 1)[0].category == "WOMEN/Dresses"
    assert of_photo(records, 81)[0].category == "MEN/Denim"
    assert of_photo(records, dummy_data.MISFILED)[0].category == "MEN/Pants"


def test_item_in_train_and_test_is_left_to_the_test(records):
    assert not of_photo(records, dummy_data.LEAKED)
    assert {PHOTOS[number].item for number in (25, dummy_data.LEAKED)} == {"id_00000009"}
    assert name(25) in {record.photo_id for record in records["query"]}


def test_of_contradicting_rows_the_first_counts(records):
    (record,) = of_photo(records, dummy_data.CONTRADICTING_ROW)
    assert record.photo_id not in {each.photo_id for each in records["query"]}


def test_margin_and_longest_side_are_options(raw, tmp_path):
    options = {"splits": ["query"], "margin": 0.1, "longest_side": 32}
    build("deepfashion_inshop", tmp_path, raw, progress=False, **options)
    (stored,) = of_photo(read_all(tmp_path, "deepfashion_inshop"), 29)
    # A box of 32×41 at (1, 9) becomes 37×49 (its left side ends at the photo's), then shrinks.
    assert stored.image.shape == (32, round(37 * 32 / 49), 3)


def test_photos_may_lie_where_the_archive_was(raw, built, tmp_path):
    folder = tmp_path / "inshop"
    shutil.copytree(raw, folder)
    (folder / "Img").mkdir()
    (folder / "img").rename(folder / "Img" / "img")
    report = check("deepfashion_inshop", folder, progress=False, validation_fraction=0.2)
    assert report.counts == built[1].counts


def test_high_resolution_photos_do_not_fit_the_boxes(raw, tmp_path):
    for folder in ("Anno", "Eval"):
        (tmp_path / folder).symlink_to(raw / folder)
    (tmp_path / "img_highres").mkdir()
    with pytest.raises(LayoutError, match=r"img_highres/ exists, but the boxes are in pixels of"):
        check("deepfashion_inshop", tmp_path, progress=False)


@pytest.fixture
def copy(raw, tmp_path):
    """A copy of the lists that may be spoilt."""
    for folder in ("Anno", "Eval"):
        shutil.copytree(raw / folder, tmp_path / folder)
    (tmp_path / "img").symlink_to(raw / "img")
    return tmp_path


GOOD = "img/MEN/Denim/id_00000001/01_1_front.jpg"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (f"{GOOD} id_00000001 test", "evaluation_status must be one of train, query, gallery"),
        (f"{GOOD} 1 train", "item_id must look like id_00000002, not '1'"),
        (f"{GOOD} train", "line 127: 3 columns were expected, not 2"),
        ("img/../../secret/id_1/a.jpg id_1 train", "image_name must look like img/WOMEN"),
        ("/img/MEN/Denim/id_1/a.jpg id_1 train", "image_name must look like"),
        (r"img/MEN/..\..\..\x/id_1/a.jpg id_1 train", "image_name must look like"),
        ("img/Denim/id_1/a.jpg id_1 train", "image_name must look like"),
    ],
)
def test_row_that_cannot_be_understood(copy, row, message):
    with (copy / "Eval/list_eval_partition.txt").open("a") as file:
        file.write(row + "\n")
    with pytest.raises(ListError, match=message):
        check("deepfashion_inshop", copy, progress=False)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (f"{GOOD} 1 1 010 x 020 030", "y_1 must be a number of pixels, not 'x'"),
        (f"{GOOD} 1 1 010 010 nan 030", "x_2 must be a number of pixels, not 'nan'"),
        (f"{GOOD} 1 1 010 010 020", "7 columns were expected, not 6"),
        ("../x.jpg 1 1 010 010 020 030", "image_name must look like"),
    ],
)
def test_box_that_cannot_be_understood(copy, row, message):
    with (copy / "Anno/list_bbox_inshop.txt").open("a") as file:
        file.write(row + "\n")
    with pytest.raises(ListError, match=message):
        check("deepfashion_inshop", copy, progress=False)


def test_problems_of_both_lists_are_raised_at_once(copy):
    for path in ("Eval/list_eval_partition.txt", "Anno/list_bbox_inshop.txt"):
        with (copy / path).open("a") as file:
            file.write("nonsense\n" * 8)
    with pytest.raises(ListError) as caught:
        check("deepfashion_inshop", copy, progress=False)
    assert "16 problem(s) in DeepFashion In-Shop's lists" in str(caught.value)
    assert str(caught.value).count("columns were expected") == 10
    assert "and 6 more" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "line 1: the number of rows was expected, not ''"),
        (
            b"many\nimage_name item_id evaluation_status\n",
            "number of rows was expected, not 'many'",
        ),
        (b"0\nimage item status\n", "line 2: 'image_name item_id evaluation_status' was expected"),
        (b"\xff\xfe\x00", "cannot be read: 'utf-8' codec"),
    ],
)
def test_list_that_is_none(copy, content, message):
    (copy / "Eval/list_eval_partition.txt").write_bytes(content)
    with pytest.raises(ListError, match=message):
        check("deepfashion_inshop", copy, progress=False)
