"""The real photos in `shared/`, whose defects are known."""

import pytest

from fashion_jax.datasets.building.build import check


@pytest.fixture(scope="module")
def report(shared):
    folder = shared / "data" / "street2shop"
    if not folder.is_dir():
        pytest.skip(f"SKIPPED FOR WANT OF DATA: no {folder}")
    return check("street2shop", folder, progress=False)


@pytest.mark.slow
def test_photos(report):
    photos = report.counts["photos"]
    expected = {"expected": 14956, "found": 14896, "missing": 60, "usable": 14876}
    expected |= {"empty": 5, "truncated": 10, "not_an_image": 5}
    expected |= {"unsupported_format": 0, "too_large": 0, "unreadable": 0}
    assert photos == expected


@pytest.mark.slow
def test_boxes(report):
    boxes = {defect: number for defect, number in report.counts["boxes"].items() if number}
    assert boxes == {"without_size": 1, "empty": 1, "outside": 1}
    assert report.problems["box_without_size"] == ["000002699"]


@pytest.mark.slow
def test_splits(report):
    splits = report.counts["splits"]
    assert splits["query"] == {"photos": 1301, "identities": 1053}
    assert splits["train"]["identities"] + splits["val_query"]["identities"] == 2746
    assert splits["gallery"]["identities"] == 1053 + report.counts["distractor_identities"]
    assert report.counts["queries_without_match"] == 0


@pytest.mark.slow
def test_categories(report):
    filled = [name for name, each in report.categories.items() if each["photos"]["expected"]]
    assert len(report.categories) == 11
    assert filled == ["dresses", "footwear", "hats", "outerwear", "pants", "skirts", "tops"]
    missing = sum(each["photos"]["missing"] for each in report.categories.values())
    assert missing == 60
