import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from fashion_jax.reports.charts import (
    Axis,
    Line,
    Note,
    bar,
    line_chart,
    round_ticks,
    tick_label,
)


def line(values, label="trained", start=1.0, **options):
    y = np.asarray(values, dtype=np.float64)
    return Line(label, start + np.arange(y.size, dtype=np.float64), y, **options)


def parse(svg):
    """A chart is well-formed XML, and asks for nothing outside itself."""
    root = ElementTree.fromstring(str(svg))
    assert root.tag == "svg"
    assert not {"href", "src"} & {name for element in root.iter() for name in element.attrib}
    return root


def texts(root):
    return [element.text for element in root.iter("text")]


def by_class(root, name):
    return [element for element in root.iter() if name in element.get("class", "").split()]


def moves(root):
    (drawn,) = by_class(root, "line")
    return re.findall(r"([ML])([-\d.]+) ([-\d.]+)", drawn.get("d"))


def draw(*lines, **options):
    return parse(line_chart(lines, name="chart", x_label="epoch", **options))


def test_axis_places_linear_and_logarithmic_values():
    assert Axis(0.0, 10.0, 40.0, 200.0, ()).place(2.5) == pytest.approx(90.0)
    assert Axis(1.0, 100.0, 40.0, 200.0, (), log=True).place(10.0) == pytest.approx(140.0)


def test_axis_holds_values_beyond_its_range_at_its_ends():
    axis = Axis(1.0, 10.0, 0.0, 90.0, (), log=True)
    assert (axis.place(0.0), axis.place(1e9)) == (0.0, 90.0)


def test_axis_without_extent_places_in_the_middle():
    assert Axis(3.0, 3.0, 0.0, 90.0, ()).place(3.0) == 45.0


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.0, 1.0, (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)),
        (0.0, 3.5e-4, (0.0, 1e-4, 2e-4, 3e-4)),
        (-1.0, 1.0, (-1.0, -0.5, 0.0, 0.5, 1.0)),
        (0.0, 2460.0, (0.0, 500.0, 1000.0, 1500.0, 2000.0)),
        (7.0, 7.0, (7.0,)),
    ],
)
def test_round_ticks(low, high, ticks):
    assert round_ticks(low, high) == ticks


@pytest.mark.parametrize(
    ("value", "label"), [(-0.0, "0"), (3.5e-4, "3.5e-4"), (0.05, "0.05"), (123456.0, "1.235e5")]
)
def test_tick_label(value, label):
    assert tick_label(value) == label


def test_lines_are_labelled_at_their_ends_and_told_to_screen_readers():
    root = draw(line([0.1, 0.5], "untrained"), line([0.2, 0.9]))
    assert {"untrained", "trained", "epoch"} <= set(texts(root))
    assert "trained goes from 0.2 to 0.9" in root.get("aria-label")


def test_higher_values_are_drawn_higher():
    (_, _, first), (_, _, last) = moves(draw(line([0.1, 0.9])))
    assert float(last) < float(first)


def test_labels_of_lines_that_end_together_do_not_cover_each_other():
    root = draw(line([0.5, 0.0], "a"), line([0.4, 0.0], "b"), line([0.3, 0.0], "c"))
    heights = sorted(float(element.get("y")) for element in by_class(root, "name"))
    assert np.diff(heights).min() >= 12.0
    assert heights[-1] < 200.0


def test_a_line_has_a_gap_where_a_value_is_not_finite():
    root = draw(line([1.0, 2.0, np.nan, np.inf, 3.0, 4.0]))
    assert [command for command, _, _ in moves(root)] == ["M", "L", "M", "L"]
    assert "nan" not in ElementTree.tostring(root, "unicode")


def test_a_point_between_gaps_shows_as_a_dot():
    assert len(by_class(draw(line([1.0, np.nan, 2.0, np.nan, 3.0, 4.0])), "dot")) == 2


def test_one_point():
    assert len(by_class(draw(line([0.5])), "dot")) == 1


def test_dots():
    assert len(by_class(draw(line([1.0, np.nan, 3.0], dots=True)), "dot")) == 2


@pytest.mark.parametrize("lines", [[], [line([])], [line([np.nan, np.inf])]])
def test_nothing_to_draw_is_said(lines):
    assert texts(draw(*lines)) == ["nothing recorded"]


@pytest.mark.parametrize("values", [[0.0, 0.0], [-2.0, -1.0], [1e-9, 3e-9], [1e30, 2e30]])
def test_any_range_has_ticks_inside_the_picture(values):
    for element in by_class(draw(line(values)), "tick"):
        assert 0 <= float(element.get("x")) <= 340
        assert 0 <= float(element.get("y")) <= 200


def test_logarithmic_ranks():
    labels = texts(draw(line(np.linspace(0.5, 1.0, 50)), log_x=True, y_high=1.0))
    assert {"1", "2", "5", "10", "20", "50"} <= set(labels)


def test_a_linear_x_axis_starts_at_nought_if_the_data_almost_do():
    assert "0" in texts(draw(line(np.ones(50), start=0.5)))


def test_note_lies_within_the_picture():
    root = draw(line([0.1, 0.9, 0.8]), note=Note(2.0, 0.9, "best 0.900"))
    (note,) = by_class(root, "note")
    assert note.text == "best 0.900"
    assert 0 < float(note.get("y")) < 200


def test_names_are_escaped():
    svg = str(line_chart([line([1.0, 2.0], '<b>"&')], name='"><script>', x_label="<i>"))
    assert parse(svg).get("aria-label").startswith('"><script>')
    assert "<script" not in svg
    assert "<i>" not in svg


@pytest.mark.parametrize(("value", "width"), [(0.25, 25.0), (1.7, 100.0), (-1.0, 0.0)])
def test_bar_is_as_long_as_its_value(value, width):
    (drawn,) = by_class(parse(bar(value)), "value")
    assert float(drawn.get("width")) == width


def test_bar_marks_its_reference():
    (stroke,) = by_class(parse(bar(0.8, 0.25)), "reference")
    assert stroke.get("d").startswith("M25.0 ")


def test_bar_of_no_number_is_an_empty_track():
    root = parse(bar(float("nan"), float("nan")))
    assert [element.get("class") for element in root] == ["track"]


def test_many_powers_of_ten_are_labelled_alone():
    labels = texts(draw(Line("", np.array([30.0, 50_000.0]), np.ones(2)), log_x=True))
    assert {"100", "1,000", "10,000"} <= set(labels)
    assert not {"50", "200", "2,000"} & set(labels)
