"""The matrix's page: well-formed, self-contained, every number there, readable in both schemes."""

import dataclasses
import re

import pytest

from fashion_jax.reports.cross_domain_page import (
    _DEEP,
    heat_maps,
    render_cross_domain,
    write_cross_domain_page,
)
from tests.evaluation.test_cross_domain_result import BOTH, A, B, matrix
from tests.reports.test_report import HOSTILE, Page

ENVIRONMENT = {"jax": "0.10.2"}
COMMAND = "fashion-jax cross-domain --runs runs/a runs/b --datasets street shop"


def render(result=None) -> str:
    return render_cross_domain(result or matrix(), COMMAND, ENVIRONMENT)


@pytest.mark.parametrize("runs", [(A, B, BOTH), (A,), (BOTH,)], ids=len)
def test_the_page_is_well_formed_and_asks_for_nothing_outside_itself(runs):
    text = render(matrix(runs))
    page = Page(text)
    assert all(value.startswith(("data:", "#")) for value in page.values("src", "href"))
    assert not {"script", "iframe", "object", "embed", "form"} & set(page.tags)
    assert not re.search(r"https?:|url\(|@import", text)
    assert "default-src 'none'" in page.values("content")[0]
    identifiers = page.values("id")
    assert {v[1:] for v in page.values("href") if v.startswith("#")} <= set(identifiers)


def test_a_heat_map_for_each_protocol_and_chosen_metric():
    maps = heat_maps(matrix())
    assert [(each.protocol, each.metric) for each in maps] == [
        ("instance", "mAP"),
        ("instance", "Acc@1"),
        ("in_category", "mAP"),
    ]
    squares = [[square.value for square in row] for row in maps[0].rows]
    assert squares == [[0.8, 0.3], [0.4, 0.9], [0.7, 0.85]]
    assert [[square.own for square in row] for row in maps[0].rows] == [
        [True, False],
        [False, True],
        [True, True],
    ]


def test_squares_of_own_datasets_are_marked_by_more_than_colour():
    page = Page(render())
    marks = page.classes("td")
    assert (marks["square"], marks["own"]) == (3 * 6, 3 * 4)
    said = re.findall(r"own dataset\b", " ".join(page.text))
    assert len(said) == 3 * 4 + 1  # and once in the legend


def test_all_numbers_are_there():
    text = " ".join(Page(render()).text)
    numbers = ["0.800", "0.300", "0.450", "−0.400", "−0.600", "0.813", "0.350"]
    counts = ["19", "18", "20", "50", "100", "88", "88.0 %"]
    for number in numbers + counts:
        assert re.search(rf"(?<![\d.,]){re.escape(number)}(?![\d,])", text), number


def test_models_and_datasets_are_described():
    text = re.sub(r"\s+", " ", " ".join(Page(render()).text))
    for words in (
        "trained on 2 datasets: street, shop",
        "trained on street",
        "street + shop",
        "resnet18",
        "32×64 pixels",
        "runs/both",
        "in category: no match in gallery",
        "not known",
        COMMAND,
    ):
        assert words in text


def test_hostile_text_is_only_text():
    runs = [dataclasses.replace(A, name=HOSTILE, workdir=HOSTILE, trained_on=(HOSTILE,))]
    result = matrix((A,))
    cells = [dataclasses.replace(cell, run=HOSTILE, dataset=HOSTILE) for cell in result.cells[:1]]
    datasets = [dataclasses.replace(result.datasets[0], name=HOSTILE, version=HOSTILE)]
    hostile = dataclasses.replace(result, runs=runs, datasets=datasets, cells=cells)
    page = Page(render_cross_domain(hostile, HOSTILE, {HOSTILE: HOSTILE}))
    assert "script" not in page.tags
    assert not page.values("onerror")
    assert "{{ 7*7 }}" in " ".join(page.text)


def test_a_number_that_is_none_has_no_colour():
    result = matrix((A,))
    metrics = {name: float("nan") for name in result.cells[0].metrics}
    cells = [dataclasses.replace(cell, metrics=metrics) for cell in result.cells]
    text = render(dataclasses.replace(result, cells=cells))
    assert "–" in text
    assert "--heat: " not in text
    assert not re.search(r"\bnan\b", text, re.IGNORECASE)


def test_the_file_is_what_was_rendered(tmp_path):
    path = tmp_path / "new" / "cross_domain.html"
    write_cross_domain_page(path, matrix(), COMMAND, ENVIRONMENT)
    assert path.read_text() == render()
    assert list(path.parent.iterdir()) == [path]


def luminance(colour):
    """Relative luminance (WCAG 2) of (red, green, blue) in 0..255."""
    linear = [
        c / 255 / 12.92 if c <= 0.04045 * 255 else ((c / 255 + 0.055) / 1.055) ** 2.4
        for c in colour
    ]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def colours(name):
    """A colour's values in the page's style: light, then dark."""
    style = re.search("(?s)<style>(.*)</style>", render()).group(1)
    found = re.findall(rf"--{name}: #([0-9a-f]{{3,6}});", style)[:2]
    full = ["".join(2 * c for c in text) if len(text) == 3 else text for text in found]
    return [[int(text[at : at + 2], 16) for at in (0, 2, 4)] for text in full]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_numbers_can_be_read_on_every_colour(scheme):
    names = ("paper", "heat-end", "heat-ink", "heat-deep")
    paper, end, ink, deep = (colours(name)[scheme] for name in names)
    for heat in range(101):
        mixed = [a + (b - a) * heat / 100 for a, b in zip(paper, end, strict=True)]
        used = deep if heat / 100 >= _DEEP else ink
        low, high = sorted((luminance(mixed), luminance(used)))
        assert (high + 0.05) / (low + 0.05) >= 4.5, heat
