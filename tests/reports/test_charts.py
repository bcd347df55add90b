import pathlib
import re
import xml.etree.ElementTree as ElementTree

import matplotlib
import numpy as np
import pytest

from fashion_jax.reports import charts, page
from fashion_jax.reports.page import bar

WIDTH, HEIGHT = 340, 200


def line(values, label="trained", start=1.0, **options):
    y = np.asarray(values, dtype=np.float64)
    return (
        start + np.arange(y.size, dtype=np.float64),
        y,
        {**charts.MAIN, "label": label, **options},
    )


def draw_svg(*lines, name="chart", x_label="epoch", **options):
    axes = charts.new_axes(x_label, **options)
    for x, y, style in lines:
        axes.plot(x, y, **style)
    return charts.to_svg(axes, name)


def parse(svg):
    """A chart is well-formed XML, and asks for nothing outside itself."""
    root = ElementTree.fromstring(str(svg))
    assert root.tag == "svg"
    assert not {"href", "src", "id"} & {name for element in root.iter() for name in element.attrib}
    assert not re.search(r"https?:|url\(", svg)
    return root


def draw(*lines, **options):
    return parse(draw_svg(*lines, **options))


def texts(root):
    return [element.text for element in root.iter("text")]


def lines_of(root):
    """The lines as lists of (command, x, y); the legend repeats none of them."""
    return [
        [(command, float(x), float(y)) for command, x, y in steps]
        for path in root.iter("path")
        if "stroke-width: 1.8" in path.get("style")
        for steps in [re.findall(r"([ML]) ([-\d.]+) ([-\d.]+)", path.get("d"))]
    ]


def dots(root):
    return [(float(dot.get("cx")), float(dot.get("cy"))) for dot in root.iter("circle")]


def ticks(root, colour="muted"):
    """Places of the ticks' labels, by their texts."""
    return {
        text.text: (float(text.get("x")), float(text.get("y")))
        for text in root.iter("text")
        if f"var(--{colour})" in text.get("style") and text.text != "epoch"
    }


def test_linear_values_have_their_places():
    root = draw(line([0.0, 2.5, 10.0], label=None, start=0.0))
    (steps,) = lines_of(root)
    (x0, y0), (x1, y1), (x2, y2) = [step[1:] for step in steps]
    assert (x1 - x0) / (x2 - x0) == pytest.approx(0.5, abs=1e-3)
    assert (y1 - y0) / (y2 - y0) == pytest.approx(0.25, abs=2e-3)


def test_equal_ratios_are_equally_far_apart_on_a_logarithmic_axis():
    _, y, style = line([0.1, 0.2, 0.3], label=None)
    root = draw((np.array([1.0, 10.0, 100.0]), y, style), log_x=True)
    (steps,) = lines_of(root)
    first, second, third = (x for _, x, _ in steps)
    assert second - first == pytest.approx(third - second, abs=0.1)


def test_values_beyond_the_range_asked_for_widen_it():
    root = draw(line([0.5, 1.7], label=None), y_range=(0.0, 1.0))
    assert min(y for _, _, y in lines_of(root)[0]) >= 0
    assert "2" in ticks(root)


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([0.0, 1.0], ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        ([0.0, 3.5e-4], ["0", "0.0001", "0.0002", "0.0003", "0.0004"]),
        ([-1.0, 1.0], ["-1", "-0.5", "0", "0.5", "1"]),
        ([0.0, 2460.0], ["0", "500", "1,000", "1,500", "2,000", "2,500"]),
        ([0.0, 0.9e-5], ["0", "2e-6", "4e-6", "6e-6", "8e-6", "1e-5"]),
        ([0.0, 4e6], ["0", "1e6", "2e6", "3e6", "4e6"]),
    ],
)
def test_the_y_axis_has_round_ticks(values, labels):
    root = draw((np.array([3.0, 4.0]), np.array(values), charts.MAIN))
    left = min(x for x, _ in ticks(root).values())
    # Numbers of the y axis end where its lines begin.
    at_left = [text.text for text in root.iter("text") if "text-anchor: end" in text.get("style")]
    assert at_left == labels
    assert left > 0


def test_lines_are_named_and_told_to_screen_readers():
    root = draw(line([0.1, 0.5], "untrained"), line([0.2, 0.9]))
    assert {"untrained", "trained", "epoch"} <= set(texts(root))
    assert "untrained goes from 0.1 to 0.5; trained goes from 0.2 to 0.9" in root.get("aria-label")


def test_higher_values_are_drawn_higher():
    (((_, _, first), (_, _, last)),) = lines_of(draw(line([0.1, 0.9], label=None)))
    assert last < first


def test_names_cover_neither_each_other_nor_the_lines():
    root = draw(line([0.5, 0.0], "a"), line([0.4, 1.0], "b"), line([0.3, 0.0], "c"))
    places = list(ticks(root, "ink").values())
    assert len(places) == 3
    for index, (x, y) in enumerate(places):
        assert all(abs(x - a) > 12 or abs(y - b) >= 12 for a, b in places[:index])
    # Each line has another one in the legend, right before its name.
    drawn = [steps for steps in lines_of(root) if steps[-1][1] > places[-1][0]]
    assert len(drawn) == 3
    assert max(y for _, y in places) < min(y for steps in drawn for _, _, y in steps)


def test_a_line_has_a_gap_where_a_value_is_not_finite():
    root = draw(line([1.0, 2.0, np.nan, np.inf, 3.0, 4.0], label=None))
    (steps,) = lines_of(root)
    assert [command for command, _, _ in steps] == ["M", "L", "M", "L"]
    assert "nan" not in ElementTree.tostring(root, "unicode")


def test_a_point_between_gaps_shows_as_a_dot():
    assert len(dots(draw(line([1.0, np.nan, 2.0, np.nan, 3.0, 4.0], label=None)))) == 2


def test_one_point():
    assert len(dots(draw(line([0.5], label=None)))) == 1
    assert len(dots(draw(line([0.5], label=None), log_x=True))) == 1


def test_dots():
    assert len(dots(draw(line([1.0, np.nan, 3.0], label=None, marker=".")))) == 2


@pytest.mark.parametrize("lines", [[], [line([])], [line([np.nan, np.inf])]])
@pytest.mark.parametrize("log_x", [False, True])
def test_nothing_to_draw_is_said(lines, log_x):
    root = draw(*lines, log_x=log_x)
    assert texts(root) == ["nothing recorded"]
    assert root.get("aria-label") == "chart: nothing recorded"


@pytest.mark.parametrize("values", [[0.0, 0.0], [-2.0, -1.0], [1e-9, 3e-9], [1e30, 2e30]])
def test_any_range_has_ticks_inside_the_picture(values):
    places = ticks(draw(line(values))).values()
    assert len(places) >= 4
    for x, y in places:
        assert 0 <= x <= WIDTH
        assert 0 <= y <= HEIGHT


def test_logarithmic_ranks():
    labels = texts(draw(line(np.linspace(0.5, 1.0, 50)), log_x=True, y_range=(0.0, 1.0)))
    assert {"1", "2", "5", "10", "20", "50"} <= set(labels)


def test_many_powers_of_ten_are_labelled_alone():
    labels = texts(draw((np.array([30.0, 50_000.0]), np.ones(2), charts.MAIN), log_x=True))
    assert {"100", "1,000", "10,000"} <= set(labels)
    assert not {"50", "200", "2,000"} & set(labels)


def test_a_linear_x_axis_starts_at_nought():
    assert "0" in texts(draw(line(np.ones(50), start=0.5)))


def test_a_point_can_be_ringed_and_named():
    ring = np.array([2.0]), np.array([0.9]), {**charts.RING, "label": "best 0.900"}
    root = draw(line([0.1, 0.9, 0.8], label=None), ring)
    assert list(ticks(root, "ink")) == ["best 0.900"]
    (circle, in_legend) = dots(root)
    _, top, _ = lines_of(root)[0]
    assert circle == pytest.approx(top[1:])
    assert in_legend[1] < circle[1]


def test_names_are_escaped():
    svg = draw_svg(line([1.0, 2.0], '<b>"&'), name='"><script>', x_label="<i>")
    root = parse(svg)
    assert root.get("aria-label").startswith('"><script>')
    assert {'<b>"&', "<i>"} <= set(texts(root))
    assert "<script" not in svg
    assert "<i>" not in svg


@pytest.mark.parametrize(
    "name", ["$x$", "中文 👗", ' id="a" #1a1c1e 1.2345 font-family: b; ', "--><b>", "two\nlines"]
)
def test_any_name_is_drawn_as_it_is(name):
    assert name.strip() in "\n".join(map(str, texts(draw(line([1.0, 2.0], name)))))


def test_the_same_lines_give_the_same_text():
    assert draw_svg(line([0.1, 0.9])) == draw_svg(line([0.1, 0.9]))


def test_colours_are_the_page_s():
    svg = draw_svg(line([0.1, 0.9], marker="."), line([0.1, np.nan, 0.2], "b", **charts.FAINT))
    assert not re.search(r"#[0-9a-f]{3}|rgb|black", svg)
    style = (pathlib.Path(page.__file__).parent / "report_page" / "style.css").read_text()
    light, _, dark = style.partition("prefers-color-scheme: dark")
    used = set(re.findall(r"var\((.*?)\)", svg))
    assert used == {"--trained", "--faint", "--ink", "--muted", "--rule"}
    assert all(f"{name}: #" in theme for name in used for theme in (light, dark))


def test_matplotlib_s_settings_stay():
    before = dict(matplotlib.rcParams)
    draw(line([0.1, 0.9]))
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize(("value", "width"), [(0.25, 25.0), (1.7, 100.0), (-1.0, 0.0)])
def test_bar_is_as_long_as_its_value(value, width):
    (drawn,) = parse(bar(value)).findall("*[@class='value']")
    assert float(drawn.get("width")) == width


def test_bar_marks_its_reference():
    (stroke,) = parse(bar(0.8, 0.25)).findall("*[@class='reference']")
    assert stroke.get("d").startswith("M25.0 ")


def test_bar_of_no_number_is_an_empty_track():
    root = parse(bar(float("nan"), float("nan")))
    assert [element.get("class") for element in root] == ["track"]
