"""The page of a robustness measurement: closed to the outside, complete, and readable."""

import re

import pytest

from fashion_jax.reports.robustness_page import render_robustness
from fashion_jax.reports.robustness_strips import Strip
from tests.evaluation.test_robustness_result import result, robustness
from tests.reports.test_report import HOSTILE, Page, jpeg


def rendered(caption="tops 7", name="view_angle"):
    measured = robustness(result(name, (0.8, 0.6, 0.2)), result("blur", (0.8, 0.8, 0.8)))
    strip = Strip(caption, (jpeg("red"), jpeg("green"), jpeg("blue")), (1, 4, 1234))
    return render_robustness(measured, {name: [strip, strip], "blur": []}, "resnet50, step 7")


@pytest.mark.slow
def test_the_page_is_well_formed_and_asks_for_nothing_outside_itself():
    text = rendered()
    page = Page(text)
    assert all(value.startswith(("data:", "#")) for value in page.values("src", "href"))
    assert not re.search(r"https?:|url\(|@import", text)
    assert not {"script", "iframe", "object", "embed", "form"} & set(page.tags)
    assert "default-src 'none'" in page.values("content")[0]


def test_every_link_has_its_target():
    page = Page(rendered())
    identifiers = page.values("id")
    assert len(set(identifiers)) == len(identifiers)
    assert {v[1:] for v in page.values("href") if v.startswith("#")} <= set(identifiers)


def test_all_numbers_and_words_are_there():
    text = " ".join(Page(rendered()).text)
    for number in ("0.200", "0.550", "0.688", "0.800", "1.000", "0.844", "1,234"):
        assert re.search(rf"(?<![\d.,]){re.escape(number)}(?![\d,])", text), number
    for words in (
        "Robustness on street2shop",
        "resnet50, step 7",
        "view angle",
        "at full severity: much blur",
        "all 10 queries",
        "instance/mAP",
        "relative area",
    ):
        assert words in text


def test_the_greatest_loss_comes_first():
    page = rendered()
    assert page.index('id="view_angle"') < page.index('id="blur"')


def test_each_photo_says_what_it_shows():
    alternatives = Page(rendered()).values("alt")
    assert alternatives[:3] == [
        "tops 7, view angle 0: first correct match at rank 1",
        "tops 7, view angle 0.5: first correct match at rank 4",
        "tops 7, view angle 1: first correct match at rank 1,234",
    ]


def test_each_corruption_has_a_chart_that_speaks():
    charts = [label for label in Page(rendered()).values("aria-label") if "severity" in label]
    assert len(charts) == 2
    assert "view angle: Acc@1 and mAP over severity" in charts[0]
    assert "mAP goes from 0.8 to 0.2" in charts[0]


def test_hostile_text_is_only_text():
    page = Page(rendered(caption=HOSTILE))
    assert "script" not in page.tags
    assert not page.values("onerror")
    assert HOSTILE in page.values("title")
