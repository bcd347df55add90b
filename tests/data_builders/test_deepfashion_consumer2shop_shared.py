"""The real photos in `shared/`: each one is examined here, without the builder."""

import collections

import pytest
from PIL import Image

from fashion_jax.datasets.building.build import check

NAME = "deepfashion_consumer2shop"


@pytest.fixture(scope="module")
def folder(shared):
    folder = shared / "data" / "deepfashion_c2s"
    if not folder.is_dir():
        pytest.skip(f"SKIPPED FOR WANT OF DATA: no {folder}")
    return folder


@pytest.fixture(scope="module")
def pairs(folder):
    lines = (folder / "Eval" / "list_eval_partition.txt").read_text().splitlines()
    return [line.split() for line in lines[2:]]


@pytest.fixture(scope="module")
def sizes(folder, pairs):
    """Width and height by photo; `None` for what Pillow cannot decode, no entry where no file."""
    found = {}
    for photo in {path for consumer, shop, *_ in pairs for path in (consumer, shop)}:
        if (folder / photo).exists():
            try:
                with Image.open(folder / photo) as image:
                    image.load()
                    found[photo] = image.size
            except OSError:
                found[photo] = None
    return found


@pytest.fixture(scope="module")
def boxes(folder):
    lines = (folder / "Anno" / "list_bbox_consumer2shop.txt").read_text().splitlines()
    rows = [line.split() for line in lines[2:]]
    return {row[0]: tuple(map(int, row[3:])) for row in rows}


@pytest.fixture(scope="module")
def report(folder):
    return check(NAME, folder, progress=False)


@pytest.mark.slow
def test_photos(report, pairs, sizes):
    listed = {path for consumer, shop, *_ in pairs for path in (consumer, shop)}
    usable = [photo for photo, size in sizes.items() if size]
    assert len(listed) == 1340
    assert report.counts["photos"]["expected"] == len(listed)
    assert report.counts["photos"]["found"] == len(sizes)
    assert report.counts["photos"]["usable"] == len(usable)
    assert report.problems.get("missing", []) == sorted(listed - sizes.keys())


@pytest.mark.slow
def test_splits(report, pairs, sizes):
    def found(status, column):
        photos = {pair[column] for pair in pairs if pair[3] == status and sizes.get(pair[column])}
        items = {pair[2] for pair in pairs if pair[column] in photos}
        return {"photos": len(photos), "identities": len(items)}

    splits = report.counts["splits"]
    assert splits["query"] == found("test", 0)
    assert splits["gallery"] == found("test", 1)
    assert splits["val_query"] == found("val", 0)
    assert splits["val_gallery"] == found("val", 1)
    assert splits["train"]["photos"] == found("train", 0)["photos"] + found("train", 1)["photos"]
    assert report.published["items"]["listed"] == len({pair[2] for pair in pairs}) == 450


@pytest.mark.slow
def test_boxes_of_the_right_reading(report, boxes, sizes):
    expected = collections.Counter(
        defect(x_1, y_1, x_2 - x_1, y_2 - y_1, sizes[photo])
        for photo, (x_1, y_1, x_2, y_2) in boxes.items()
        if sizes.get(photo)
    )
    assert_counts(report, expected)
    assert report.counts["boxes"]["clipped"] == 0


@pytest.mark.slow
def test_boxes_of_the_misreading(folder, boxes, sizes):
    expected = collections.Counter(
        defect(*corners, sizes[photo]) for photo, corners in boxes.items() if sizes.get(photo)
    )
    report = check(NAME, folder, progress=False, box_reading="xywh")
    assert_counts(report, expected)
    assert report.counts["boxes"]["clipped"] == 514


def defect(x, y, width, height, size):
    if width <= 0 or height <= 0:
        return "empty"
    if x >= size[0] or y >= size[1] or x + width <= 0 or y + height <= 0:
        return "outside"
    inside = x >= 0 and y >= 0 and x + width <= size[0] and y + height <= size[1]
    return None if inside else "clipped"


def assert_counts(report, expected):
    for name in ("empty", "outside", "clipped"):
        assert report.counts["boxes"][name] == expected[name]
