import numpy as np
import pytest
from PIL import Image, ImageFont

from fashion_jax.reports import ranked_list_picture
from fashion_jax.reports.ranked_list_picture import draw_ranked_list, write_picture

QUERY = np.full((40, 30, 3), 200, np.uint8)
BLUE = np.zeros((40, 30, 3), np.uint8) + np.array([0, 0, 255], np.uint8)


def answers(rights, photo=BLUE, caption="dresses 12"):
    return [(photo, caption, 0.9 - 0.01 * i, right) for i, right in enumerate(rights)]


def frames(picture, colour, thickness):
    """Counts frames by the pixels of their edges, which no photo of these tests has."""
    width, height = ranked_list_picture._TILE
    same = (picture == np.array(colour, np.uint8)).all(axis=-1)
    inner = (width - 2 * thickness) * (height - 2 * thickness)
    edge = width * height - inner
    columns = [
        same[top : top + height, left : left + width].sum() >= edge
        for left, top in corners(picture)
    ]
    return sum(columns)


def corners(picture):
    width, height = ranked_list_picture._TILE
    module = ranked_list_picture
    for top in range(module._MARGIN, picture.shape[0] - height, module._CELL_HEIGHT + 18):
        for left in range(module._answers_left(), picture.shape[1] - width, width + module._GAP):
            yield left, top


def font(size=13):
    return ImageFont.load_default(size)


def test_the_picture_is_rgb_and_holds_every_photo():
    picture = draw_ranked_list(QUERY, answers([None] * 7))
    assert picture.dtype == np.uint8
    assert picture.shape[2] == 3
    tile = int(np.prod(ranked_list_picture._TILE))
    assert (picture == [0, 0, 255]).all(axis=-1).sum() == pytest.approx(7 * tile, rel=0.01)


def test_right_and_wrong_answers_are_framed_and_unknown_ones_not():
    picture = draw_ranked_list(QUERY, answers([True, False, None, False, True, True]))
    assert frames(picture, ranked_list_picture._RIGHT, thickness=4) == 3
    assert frames(picture, ranked_list_picture._WRONG, thickness=1) == 2


def test_the_badges_of_right_and_wrong_differ_in_shape():
    tick, cross = (
        np.asarray(ranked_list_picture._badge(right).convert("L")) for right in (True, False)
    )
    middle = tick.shape[0] // 2
    assert (tick[middle, 2:5] < 128).all()  # filled
    assert (cross[middle, 2:5] > 128).all()  # hollow


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
    fonts = ranked_list_picture._font("ł", 13)
    assert bytes(fonts.getmask("ł")) != bytes(fonts.getmask("\uffff"))


def test_a_caption_that_fits_is_left_alone():
    assert ranked_list_picture._wrapped("dresses 12", font(), 150) == ["dresses 12"]
    assert ranked_list_picture._wrapped("", font(), 150) == []


def test_a_long_caption_breaks_at_a_space_and_is_elided():
    text = "a dress of many colours with a belt, two pockets and a hood"
    first, second = ranked_list_picture._wrapped(text, font(), 150)
    assert text.startswith(first + " ")
    assert second.endswith("…")
    assert text.startswith(f"{first} {second[:-1]}")
    assert max(font().getlength(line) for line in (first, second)) <= 150


def test_a_word_wider_than_a_line_is_broken_within():
    first, second = ranked_list_picture._wrapped("x" * 100, font(), 150)
    assert set(first) == {"x"}
    assert second.endswith("x…")


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
