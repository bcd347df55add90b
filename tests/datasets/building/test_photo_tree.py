import numpy as np
import pytest
from PIL import Image

from fashion_jax.datasets.building.plan import PhotoSource
from fashion_jax.datasets.building.raw_copy import PhotoTree, stays_inside
from fashion_jax.datasets.photos import UndecodablePhotoError, photo_size


@pytest.fixture
def root(tmp_path):
    (tmp_path / "copy" / "img" / "Hüte").mkdir(parents=True)
    Image.new("RGB", (30, 20), "red").save(tmp_path / "copy" / "img" / "Hüte" / "1.png")
    (tmp_path / "copy" / "img" / "page.jpg").write_text("<html>")
    Image.new("RGB", (5, 5)).save(tmp_path / "secret.png")
    return tmp_path / "copy"


@pytest.mark.parametrize("path", ["a.jpg", "img/a/b.jpg", "img/..a/b..jpg", "img/a b.jpg", "./a"])
def test_paths_that_stay_inside(path):
    assert stays_inside(path)


@pytest.mark.parametrize(
    "path",
    ["/a", "//host/a", "../a", "img/../../a", "img/..", "..\\a", "\\a", "C:\\a", "c:a", "a\0b", ""],
)
def test_paths_that_do_not(path):
    assert not stays_inside(path)


def test_photos_are_found_by_their_paths(root):
    photos = PhotoTree(root)
    assert isinstance(photos, PhotoSource)
    assert "img/Hüte/1.png" in photos
    np.testing.assert_array_equal(photos.load("img/Hüte/1.png")[0, 0], (255, 0, 0))


@pytest.mark.parametrize(
    "photo", ["img/2.png", "img", "img/Hüte", "../secret.png", "img/../../secret.png", "", 7]
)
def test_what_is_no_photo_of_the_copy(root, photo):
    assert photo not in PhotoTree(root)


def test_absolute_path_to_a_photo_of_the_copy_is_refused(root):
    assert str(root / "img" / "Hüte" / "1.png") not in PhotoTree(root)


@pytest.mark.parametrize(
    ("photo", "kind"),
    [
        ("img/page.jpg", "not_an_image"),
        ("img/2.png", "unreadable"),
        ("../secret.png", "unreadable"),
    ],
)
def test_what_cannot_be_loaded(root, photo, kind):
    with pytest.raises(UndecodablePhotoError) as caught:
        PhotoTree(root).load(photo)
    assert caught.value.kind == kind


def test_first_place_that_has_the_photo_counts(root):
    photos = PhotoTree(root, lambda photo_id: [f"other/{photo_id}", f"img/{photo_id}"])
    assert photos.path("Hüte/1.png") == root / "img" / "Hüte" / "1.png"
    (root / "other" / "Hüte").mkdir(parents=True)
    Image.new("RGB", (3, 3)).save(root / "other" / "Hüte" / "1.png")
    assert photos.load("Hüte/1.png").shape == (3, 3, 3)


def test_place_outside_the_copy_is_refused(root):
    assert "x" not in PhotoTree(root, lambda photo_id: ["../secret.png"])


@pytest.mark.parametrize(("orientation", "size"), [(1, (20, 30)), (3, (20, 30)), (6, (30, 20))])
def test_size_is_that_of_the_upright_photo(tmp_path, orientation, size):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (30, 20)).save(tmp_path / "photo.jpg", exif=exif)
    assert photo_size(tmp_path / "photo.jpg") == size


def test_size_needs_the_header_only(tmp_path):
    Image.effect_noise((300, 200), 99).save(tmp_path / "photo.jpg")
    data = (tmp_path / "photo.jpg").read_bytes()
    (tmp_path / "photo.jpg").write_bytes(data[: len(data) // 4])
    assert photo_size(tmp_path / "photo.jpg") == (200, 300)


@pytest.mark.parametrize("content", [b"", b"<html>", b"\xff\xd8\xff\xe0"])
def test_size_of_what_is_no_photo(tmp_path, content):
    (tmp_path / "photo.jpg").write_bytes(content)
    assert photo_size(tmp_path / "photo.jpg") is None
    assert photo_size(tmp_path / "none.jpg") is None
