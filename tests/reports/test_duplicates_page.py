"""The page of duplicates: closed to the outside, complete, and names are only text."""

import csv
import re

from fashion_jax.reports.duplicates_page import PairOnPage, render_duplicates, write_duplicates
from tests.datasets.duplicates.test_result import FOUND, pair, result
from tests.reports.test_report import HOSTILE, Page, jpeg


def rendered(duplicates=FOUND):
    shown = [PairOnPage(each, (jpeg("red"), jpeg("blue"))) for each in duplicates.undecided]
    return render_duplicates(duplicates, shown)


def test_the_page_is_well_formed_and_asks_for_nothing_outside_itself():
    text = rendered()
    page = Page(text)
    assert all(value.startswith(("data:", "#")) for value in page.values("src", "href"))
    assert not re.search(r"https?:|url\(|@import", text)
    assert not {"script", "iframe", "object", "embed", "form"} & set(page.tags)
    assert {v[1:] for v in page.values("href") if v.startswith("#")} <= set(page.values("id"))


def test_leaks_come_first_and_everything_is_counted():
    words = " ".join(" ".join(Page(rendered()).text).split())
    assert words.index("In two splits") < words.index("pairs.csv")
    assert "3 of 4 photos of query are in train as well" in words
    assert "nearly the same" in words
    assert "No pair is left" not in words
    assert "No pair is left" in " ".join(Page(rendered(result())).text)


def test_hostile_names_are_only_text():
    page = Page(rendered(result(pair((HOSTILE, HOSTILE, "train"), ("b", "Q", "train")))))
    assert "script" not in page.tags
    assert not page.values("onerror")
    assert HOSTILE in page.values("title")


def test_the_list_has_all_undecided_pairs_and_the_page_the_first(tmp_path, monkeypatch):
    monkeypatch.setattr("fashion_jax.reports.duplicates_page._MOST_SHOWN", 2)
    read = []
    write_duplicates(tmp_path, FOUND, [], lambda row: read.append(row) or jpeg("red"))
    with (tmp_path / "pairs.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["first"], row["second"], row["decision"]) for row in rows] == [
        ("a", "b", ""),
        ("a", "c", ""),
        ("d", "e", ""),
        ("f", "f", ""),
    ]
    assert (rows[0]["first_products"], rows[0]["second_split"]) == ("P", "query")
    assert len(read) == 4
    assert "The first 2 of 4 pairs" in (tmp_path / "index.html").read_text()
