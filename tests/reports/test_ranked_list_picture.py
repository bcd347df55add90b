import numpy as np
import pytest
from PIL import Image

from fashion_jax.datasets.photo_sheet import GOOD_COLOUR, PAPER, WRONG_COLOUR, fit_text, font
from fashion_jax.reports import ranked_list_picture
from fashion_jax.reports.ranked_list_picture import draw_ranked_list, write_picture

QUERY = np.full((40, 30, 3), 200, np.uint8)
BLUE = np.zeros((40, 30, 3), np.uint8) + np.array([0, 0, 255], np.uint8)


def answers(rights, photo=BLUE, caption="dresses 12"):
    return [(photo, caption, 0.9 - 0.01 * i, right) for i, right in enumerate(rights)]


def frames(picture, colour, thickness):
    """Count frames by the pixels of their edges, which no photo of these tests has."""
    width, height = ranked_list_picture.TILE
    same = (picture == np.array(colour, np.uint8)).all(axis=-1)
    inner = (width - 2 * thickness) * (height - 2 * thickness)
    edge = width * height - inner
    columns = [
        same[top : top + height, left : left + width].sum() >= edge
        for left, top in corners(picture)
    ]
    return sum(columns)


def corners(picture):
    width, height = ranked_list_picture.TILE
    module = ranked_list_picture
    for top in range(module.MARGIN, picture.shape[0] - height, module.ROW):
        for left in range(module.ANSWERS_LEFT, picture.shape[1] - width, width + module.GAP):
            yield left, top


def test_the_picture_is_rgb_and_holds_every_photo():
    picture = draw_ranked_list(QUERY, answers([None] * 7))
    assert picture.dtype == np.uint8
    assert picture.shape[2] == 3
    tile = int(np.prod(ranked_list_picture.TILE))
    assert (picture == [0, 0, 255]).all(axis=-1).sum() == pytest.approx(7 * tile, rel=0.01)


def test_right_and_wrong_answers_are_framed_and_unknown_ones_not():
    picture = draw_ranked_list(QUERY, answers([True, False, None, False, True, True]))
    assert frames(picture, GOOD_COLOUR, thickness=4) == 3
    assert frames(picture, WRONG_COLOUR, thickness=1) == 2


def test_the_signs_of_right_and_wrong_differ_in_shape():
    picture = draw_ranked_list(QUERY, answers([True, False]))
    signs = []
    for left, top in corners(picture):
        corner = picture[top + 5 : top + 30, left + 115 : left + 145]
        rim = (corner == PAPER).all(axis=-1).sum()
        signs.append((corner != BLUE[0, 0]).any(axis=-1))
        assert 50 < rim < 0.6 * signs[-1].size  # light, on whatever photo
        assert signs[-1].mean() > 0.2
    tick, cross = signs
    assert (tick ^ cross).sum() > 0.2 * tick.sum()


def test_five_answers_in_a_row():
    five, six = (draw_ranked_list(QUERY, answers([None] * n)).shape for n in (5, 6))
    assert five[1] == six[1]
    assert five[0] < six[0]


def test_no_answers_leave_the_query():
    picture = draw_ranked_list(QUERY, [])
    assert (picture == 200).all(axis=-1).sum() > 10_000


@pytest.mark.parametrize("shape", [(1, 1), (1, 900), (900, 1), (2000, 3000)])
def test_photos_of_any_shape(shape):
    photo = np.zeros((*shape, 3), np.uint8)
    assert draw_ranked_list(photo, answers([True], photo)).shape[2] == 3


def test_the_picture_does_not_depend_on_the_length_of_captions():
    short, long = (draw_ranked_list(QUERY, answers([None], caption=c)) for c in ("", "abc " * 999))
    assert short.shape == long.shape


@pytest.mark.parametrize("caption", ["łódź – żółta", "Платье", "中文", "a\nb\tc", "\x00", "👗"])
def test_letters_beyond_ascii(caption):
    picture = draw_ranked_list(QUERY, answers([True], caption=caption), caption)
    assert picture.shape == draw_ranked_list(QUERY, answers([True])).shape


def test_polish_letters_are_drawn_not_boxed():
    assert bytes(font(12).getmask("ł")) != bytes(font(12).getmask("\uffff"))


def test_a_caption_that_fits_is_left_alone():
    assert fit_text("dresses 12", font(12), 150, lines=2) == ["dresses 12"]
    assert fit_text("", font(12), 150, lines=2) == []


def test_a_long_caption_breaks_at_a_space_and_is_elided():
    text = "a dress of many colours with a belt, two pockets and a hood"
    first, second = fit_text(text, font(12), 150, lines=2)
    assert text.startswith(first + " ")
    assert second.endswith("…")
    assert text.startswith(f"{first} {second[:-1]}")
    assert max(font(12).getlength(line) for line in (first, second)) <= 150


def test_a_word_wider_than_a_line_is_broken_within():
    first, second = fit_text("x" * 100, font(12), 150, lines=2)
    assert set(first) == {"x"}
    assert second.endswith("x…")


def test_a_path_loses_its_beginning():
    (path,) = fit_text("street/" * 20 + "12.jpg", font(12), 150, keep_end=True)
    assert path.startswith("…")
    assert path.endswith("street/12.jpg")
    assert 130 < font(12).getlength(path) <= 150


def test_the_written_file_is_the_picture(tmp_path):
    picture = draw_ranked_list(QUERY, answers([True]))
    path = tmp_path / "new" / "list.png"
    write_picture(path, picture)
    assert list(path.parent.iterdir()) == [path]
    with Image.open(path) as image:
        assert image.format == "PNG"
        np.testing.assert_array_equal(np.asarray(image), picture)


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    def fail(descriptor):
        raise OSError("disk full")

    monkeypatch.setattr(ranked_list_picture.os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write_picture(tmp_path / "list.png", QUERY)
    assert list(tmp_path.iterdir()) == []
