import pytest
from fashion_jax.data_builders.deepfashion_consumer2shop.lists import CornersRow, Pair, read_lists
from fashion_jax.data_builders.deepfashion_consumer2shop.splits import plan_build

from fashion_jax.datasets.boxes import Box
from fashion_jax.datasets.building.list_files import ListError
from fashion_jax.datasets.records import Domain

PHOTO = "img/DRESSES/Skirt/id_00000001/comsumer_01.jpg"
SHOP = "img/DRESSES/Skirt/id_00000001/shop_01.jpg"
BOX_COLUMNS = "image_name clothes_type source_type x_1 y_1 x_2 y_2"
PAIR_COLUMNS = "image_pair_name_1 image_pair_name_2 item_id evaluation_status"
BOX_ROW = f"{PHOTO}   2 2 004 005 106 207"
PAIR_ROW = f"{PHOTO} {SHOP}   id_00000001 train"


def read(tmp_path, boxes=(BOX_ROW,), pairs=(PAIR_ROW,), count=None, columns=BOX_COLUMNS):
    box_path, pair_path = tmp_path / "boxes.txt", tmp_path / "pairs.txt"
    box_path.write_text("\n".join([str(count or len(boxes)), columns, *boxes, ""]))
    pair_path.write_text("\n".join([str(len(pairs)), PAIR_COLUMNS, *pairs, ""]))
    return read_lists(box_path, pair_path)


def test_rows(tmp_path):
    rows, pairs = read(tmp_path)
    assert rows == [CornersRow(PHOTO, Domain.STREET, (4, 5, 106, 207))]
    assert pairs == [Pair(PHOTO, SHOP, "id_00000001", "train")]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (f"{PHOTO} 2 2 4 5 6", r"line 4: 7 columns were expected, not 6"),
        (f"{PHOTO} 2 3 4 5 6 7", r"line 4: source_type must be one of 1, 2, not '3'"),
        (f"{PHOTO} 2 2 4 five 6 7", r"line 4: y_1 must be a number of pixels, not 'five'"),
        (f"{PHOTO} 2 2 4 5 inf 7", r"line 4: x_2 must be a number of pixels, not 'inf'"),
        ("/etc/img/a/b/c.jpg 2 2 4 5 6 7", r"line 4: .*must stay in the raw copy.*'/etc/img"),
        ("img/a/../../../../c.jpg 2 2 4 5 6 7", r"line 4: .*must stay in the raw copy"),
        ("C:/img/a/b/c.jpg 2 2 4 5 6 7", r"line 4: .*must stay in the raw copy"),
        ("img\\..\\..\\b.jpg 2 2 4 5 6 7", r"line 4: .*must stay in the raw copy"),
        ("photo.jpg 2 2 4 5 6 7", r"line 4: .*must be like img/DRESSES/.*not 'photo.jpg'"),
    ],
)
def test_box_row_that_cannot_be_understood(tmp_path, row, message):
    with pytest.raises(ListError, match=message):
        read(tmp_path, boxes=[BOX_ROW, row])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (f"{PHOTO} {SHOP} id_1 gallery", "status must be one of train, val, test, not 'gallery'"),
        (f"{PHOTO} {SHOP} id_1", "4 columns were expected, not 3"),
        (f"{PHOTO} ../{SHOP} id_1 train", "must stay in the raw copy"),
    ],
)
def test_pair_that_cannot_be_understood(tmp_path, row, message):
    with pytest.raises(ListError, match=message):
        read(tmp_path, pairs=[row])


def test_list_that_was_cut_off(tmp_path):
    with pytest.raises(ListError, match=r"line 1: 1,340 rows are announced, 1 can be read"):
        read(tmp_path, count=1340)


def test_other_columns(tmp_path):
    with pytest.raises(ListError, match=r"line 2: 'image_name clothes_type .* was expected"):
        read(tmp_path, columns="image_name x y width height")


def test_all_problems_are_counted_and_the_first_ones_shown(tmp_path):
    with pytest.raises(ListError) as caught:
        read(tmp_path, boxes=[f"{PHOTO} 2 9 1 2 3 4"] * 20, pairs=["x"] * 5)
    text = str(caught.value)
    # Both lists' first lines do not agree with what could be read, either.
    assert "27 problem(s) in Consumer-to-Shop's lists" in text
    assert text.count("source_type") == 10
    assert "and 17 more" in text


class AllPhotos:
    def __contains__(self, photo_id):
        return True

    def load(self, photo_id):
        raise NotImplementedError


def pair(consumer, shop, item, status, folder="TOPS/Tank"):
    return Pair(f"img/{folder}/{consumer}.jpg", f"img/TOPS/Tank/{shop}.jpg", item, status)


def splits_of(plan):
    return {
        split: [item.photo_id.rpartition("/")[2] for item in items]
        for split, items in plan.splits.items()
    }


def planned(rows, pairs, reading="corners"):
    return plan_build(rows, pairs, reading, AllPhotos(), fraction=0.5, seed=0)


def test_item_in_validation_and_training_is_left_to_validation():
    pairs = [pair("a", "b", "i", "train"), pair("c", "d", "i", "val"), pair("e", "f", "j", "test")]
    plan = planned([], pairs)
    assert splits_of(plan) == {
        "train": [],
        "query": ["e.jpg"],
        "gallery": ["f.jpg"],
        "val_query": ["c.jpg"],
        "val_gallery": ["d.jpg"],
    }
    assert plan.problems["identity_with_several_statuses"] == ["i"]


def test_item_in_several_categories_is_one_identity():
    plan = planned([], [pair("a", "b", "i", "test", folder="TOPS/Polo")])
    items = plan.splits["query"] + plan.splits["gallery"]
    assert {item.identity for item in items} == {("i",)}
    assert [item.category for item in items] == ["TOPS/Polo", "TOPS/Tank"]
    assert plan.problems["identity_in_several_categories"] == ["i"]


def test_photo_of_two_items_is_two_records():
    plan = planned([], [pair("a", "b", "i", "test"), pair("a", "c", "j", "test")])
    assert [item.identity for item in plan.splits["query"]] == [("i",), ("j",)]


@pytest.mark.parametrize(
    ("reading", "box"), [("corners", Box(4, 5, 102, 202)), ("xywh", Box(4, 5, 106, 207))]
)
def test_both_readings_of_a_box(reading, box):
    row = CornersRow("img/TOPS/Tank/a.jpg", Domain.STREET, (4, 5, 106, 207))
    (item,) = planned([row], [pair("a", "b", "i", "test")], reading).splits["query"]
    assert item.box == box
