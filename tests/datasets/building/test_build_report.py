import json

import pytest

from fashion_jax.datasets.building.build_report import (
    BuildReport,
    published_sizes,
    read_report,
    write_report,
)
from fashion_jax.datasets.building.tally import Tally
from fashion_jax.errors import FashionJaxError


@pytest.fixture
def tally():
    tally = Tally(["query", "gallery"], ["hats", "tops", "belts"])
    for number in range(3):
        tally.add_photo(f"q{number}", "hats", "usable")
        tally.add_record("query", "hats", ("hats", number))
    for number in (1, 1, 7, 8):
        tally.add_record("gallery", "hats", ("hats", number))
    tally.add_photo("both", "hats", "empty")
    tally.add_photo("both", "tops", "empty")
    tally.add_photo("gone", "tops", "missing")
    tally.add_box_defect("q1", "hats", "clipped")
    return tally


@pytest.fixture
def report(tally):
    return BuildReport.from_tally(
        tally, dataset="d", version="1.0.0", manual_dir="/raw", options={"seed": 0}
    )


def test_photo_of_two_categories_counts_once_in_all(report):
    assert report.counts["photos"]["expected"] == 5
    assert report.counts["photos"]["empty"] == 1
    assert report.categories["hats"]["photos"]["expected"] == 4
    assert report.categories["tops"]["photos"]["expected"] == 2


def test_found_is_what_is_not_missing(report):
    assert report.counts["photos"]["found"] == 4
    assert report.counts["photos"]["usable"] == 3


def test_matches_and_distractors(report):
    # Queries 0 and 2 have nothing in the gallery; nobody asks for 7 and 8.
    assert report.counts["queries_without_match"] == 2
    assert report.counts["distractor_identities"] == 2
    assert report.counts["val_queries_without_match"] is None


def test_photo_met_again_counts_once(tally):
    tally.add_photo("gone", "tops", "missing")
    assert tally.total.outcomes["missing"] == 1


def test_json_there_and_back(report, tmp_path):
    assert BuildReport.from_json(json.loads(json.dumps(report.to_json()))) == report
    write_report(report, tmp_path)
    assert read_report(tmp_path) == report


def test_a_report_without_published_sizes_has_no_table_of_sizes(report):
    assert report.published == {}
    assert "sizes" not in report.to_table()
    assert "clipped" in report.to_table()


@pytest.mark.parametrize("field", ["published", "options"])
def test_a_report_that_lacks_a_field_is_refused(report, tmp_path, field):
    stored = report.to_json()
    del stored[field]
    (tmp_path / "build_report.json").write_text(json.dumps(stored))
    with pytest.raises(FashionJaxError, match=f"no readable build report .*{field}"):
        read_report(tmp_path)


def test_published_sizes_beside_the_listed_ones(tally):
    sizes = published_sizes({"photos": 52712, "items": 7982}, {"photos": 9, "others": 2}, {})
    report = BuildReport.from_tally(
        tally, dataset="d", version="1", manual_dir=None, options={}, published=sizes
    )
    assert report.to_json()["published"]["items"] == {"published": 7982, "listed": None}
    rows = [line.split() for line in report.to_table().splitlines()]
    assert ["sizes", "published", "listed"] in rows
    assert ["photos", "52,712", "9"] in rows
    assert ["items", "7,982", "-"] in rows
    assert ["others", "-", "2"] in rows


@pytest.mark.parametrize("content", ["", "{}", '{"dataset": 3'])
def test_damaged_report(tmp_path, content):
    (tmp_path / "build_report.json").write_text(content)
    with pytest.raises(FashionJaxError, match="no readable build report"):
        read_report(tmp_path)


def test_table_leaves_out_what_is_not_there(report):
    table = report.to_table()
    assert "no rows: belts" in table
    assert "truncated" not in table
    assert "empty (1): both" in table
    assert table.startswith("d 1.0.0 from /raw")


def test_table_shows_the_first_names_of_a_long_list(tally):
    for number in range(1000):
        tally.add_photo(f"p{number:05d}", "tops", "truncated")
    report = BuildReport.from_tally(tally, dataset="d", version="1", manual_dir=None, options={})
    assert "truncated (1,000): p00000, p00001, p00002, p00003, p00004 and 995 more" in (
        report.to_table()
    )
    assert len(report.problems["truncated"]) == 1000


def test_table_is_at_most_100_columns_wide():
    splits = ["train", "query", "gallery", "val_query", "val_gallery"]
    tally = Tally(splits, ["outerwear"])
    kinds = ["missing", "empty", "truncated", "not_an_image", "usable"]
    for kind in kinds:
        tally.total.outcomes[kind] = tally.categories["outerwear"].outcomes[kind] = 123_456
    report = BuildReport.from_tally(tally, dataset="d", version="1", manual_dir=None, options={})
    assert max(map(len, report.to_table().splitlines())) <= 100
