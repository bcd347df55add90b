import contextlib
import io
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

import numpy as np
import pytest
from PIL import Image, ImageOps

from fashion_jax.datasets.photos import (
    Box,
    BoxError,
    UndecodablePhotoError,
    crop,
    decode_photo,
    encode_jpeg,
    fit_box,
    shrink,
)


def pattern(height=24, width=32):
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 7, y * 9, (x + y) * 3], axis=2).astype(np.uint8)


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png(pixels, **options):
    return encoded(Image.fromarray(pixels), "PNG", **options)


def kind_of(data):
    with pytest.raises(UndecodablePhotoError) as caught:
        decode_photo(data)
    return caught.value.kind


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_formats_keep_every_pixel(kind):
    data = encoded(Image.fromarray(pattern()), kind)
    np.testing.assert_array_equal(decode_photo(data), pattern())


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "JPEG2000"])
def test_lossy_formats_come_close(kind):
    y, x = np.mgrid[0:48, 0:48]
    soft = np.stack([100 + x, 60 + y, 200 - x], axis=2).astype(np.uint8)
    decoded = decode_photo(encoded(Image.fromarray(soft), kind))
    assert np.abs(decoded.astype(int) - soft).mean() < 5


def test_grayscale_becomes_three_equal_channels():
    decoded = decode_photo(png(pattern()[:, :, 0]))
    np.testing.assert_array_equal(decoded, np.repeat(pattern()[:, :, :1], 3, axis=2))


def test_black_and_white_image():
    bits = np.array([[True, False], [False, True]])
    decoded = decode_photo(encoded(Image.fromarray(bits), "PNG"))
    np.testing.assert_array_equal(decoded[:, :, 0], [[255, 0], [0, 255]])


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_palette(kind):
    pixels = np.zeros((4, 6, 3), np.uint8)
    pixels[:, 3:] = (10, 200, 30)
    data = encoded(Image.fromarray(pixels).quantize(4), kind)
    np.testing.assert_array_equal(decode_photo(data), pixels)


def test_palette_with_transparency_in_bytes_is_laid_on_white():
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    data = encoded(image, "PNG", transparency=bytes([255, 0]))
    np.testing.assert_array_equal(decode_photo(data), [[(255, 0, 0), (255, 255, 255)]])


def test_transparency_is_laid_on_white():
    rgba = np.array([[(100, 0, 0, 255), (100, 0, 0, 0), (0, 0, 0, 128)]], np.uint8)
    decoded = decode_photo(png(rgba))
    np.testing.assert_array_equal(decoded[0, :2], [(100, 0, 0), (255, 255, 255)])
    np.testing.assert_allclose(decoded[0, 2], 127, atol=1)


def test_gray_with_alpha():
    decoded = decode_photo(png(np.array([[(50, 255), (50, 0)]], np.uint8)))
    np.testing.assert_array_equal(decoded[0, :, 0], [50, 255])


def test_cmyk():
    red = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    decoded = decode_photo(encoded(red, "JPEG", quality=95))
    np.testing.assert_allclose(decoded[8, 8], (255, 0, 0), atol=4)


def test_sixteen_bits_are_scaled_to_eight():
    levels = np.array([[0, 257, 32896, 65535]], np.uint16)
    np.testing.assert_array_equal(decode_photo(png(levels))[0, :, 1], [0, 1, 128, 255])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 65535]], np.int32), [0, 255]),
        (np.array([[0, 200]], np.int32), [0, 200]),
        (np.array([[0.0, 0.5]], np.float32), [0, 128]),
        (np.array([[np.nan, 255.0]], np.float32), [0, 255]),
    ],
)
def test_thirty_two_bits_are_scaled_to_eight(values, expected):
    data = encoded(Image.fromarray(values), "TIFF")
    np.testing.assert_array_equal(decode_photo(data)[0, :, 0], expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_exif_is_applied(orientation):
    image = Image.fromarray(pattern())
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(image, "PNG", exif=exif)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    np.testing.assert_array_equal(decode_photo(data), np.asarray(expected))


@pytest.mark.parametrize("exif", [b"Exif\x00\x00garbage", b"Exif\x00\x00MM\x00*\xff\xff\xff\xff"])
def test_damaged_exif_does_not_lose_the_photo(exif):
    data = encoded(Image.fromarray(pattern()), "JPEG", exif=exif)
    assert decode_photo(data).shape == (24, 32, 3)


def test_exif_that_cannot_be_rewritten_does_not_lose_the_orientation(monkeypatch):
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(Image.fromarray(pattern()), "PNG", exif=exif)
    failing = mock.Mock(side_effect=struct.error)
    monkeypatch.setattr(Image.Exif, "tobytes", failing)
    np.testing.assert_array_equal(decode_photo(data), np.rot90(pattern(), -1))
    failing.assert_called()


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_first_frame_of_an_animation(kind):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ((250, 0, 0), (0, 0, 250))]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    np.testing.assert_array_equal(decode_photo(data)[4, 4], (250, 0, 0))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"])
@pytest.mark.parametrize("share", [0.06, 0.5, 0.9])
def test_cut_off_files(kind, share):
    noise = np.random.default_rng(0).integers(0, 256, size=(64, 64, 3)).astype(np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    assert kind_of(data[: int(share * len(data))]) == "truncated"


def test_cut_off_progressive_jpeg():
    data = encoded(Image.fromarray(pattern(64, 64)), "JPEG", progressive=True)
    assert kind_of(data[:-40]) == "truncated"


def test_png_with_a_damaged_chunk():
    data = bytearray(png(pattern()))
    data[data.index(b"IDAT") + 10] ^= 0xFF
    assert kind_of(bytes(data)) == "truncated"


def test_empty():
    assert kind_of(b"") == "empty"


@pytest.mark.parametrize(
    "data",
    [
        b"<html><body>404</body></html>",
        b"\n\n<!DOCTYPE html>",
        b"PK\x03\x04 a zip",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage",
        b"RIFF\x00\x00\x00\x00WAVEfmt ",
        b"\x00" * 1000,
        b"\xff",
    ],
)
def test_what_is_no_image(data):
    assert kind_of(data) == "not_an_image"


def test_message_says_what_was_found():
    with pytest.raises(UndecodablePhotoError, match=r"not an image.*29 bytes.*<html><body>404</"):
        decode_photo(b"<html><body>404</body></html>")


@pytest.mark.parametrize("side", [9_000, 12_000, 60_000])
def test_decompression_bomb(side):
    def chunk(name, body):
        checksum = struct.pack(">I", zlib.crc32(name + body))
        return struct.pack(">I", len(body)) + name + body + checksum

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    assert kind_of(start + chunk(b"IDAT", zlib.compress(b"\x00" * 1000))) == "too_large"


def test_no_bytes_lead_to_anything_but_pixels_or_the_error():
    rng = np.random.default_rng(0)
    for kind in ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"):
        original = encoded(Image.fromarray(pattern()), kind)
        for _ in range(60):
            data = bytearray(original)
            for place in rng.integers(0, len(data), size=4):
                data[place] = rng.integers(256)
            with contextlib.suppress(UndecodablePhotoError):
                assert decode_photo(bytes(data)).ndim == 3


def test_pillow_warnings_stay_inside_in_threads():
    # Pillow warns that this EXIF promises five tags and ends in the first.
    image = Image.new("RGB", (8, 8))
    data = encoded(image, "JPEG", exif=b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x05\x00\x12\x01")
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        for pixels in pool.map(decode_photo, [data] * 200):
            assert pixels.shape == (8, 8, 3)
    assert list(warnings.filters) == before


def test_jpeg_comes_close_and_is_reproducible():
    y, x = np.mgrid[0:40, 0:56]
    image = np.stack([x * 4, y * 6, 255 - x * 4], axis=2).astype(np.uint8)
    data = encode_jpeg(image, 95)
    assert data == encode_jpeg(image.copy(), 95)
    assert np.abs(decode_photo(data).astype(int) - image).mean() < 3
    assert len(encode_jpeg(image, 30)) < len(data)


@pytest.mark.parametrize(
    ("box", "fitted", "defect"),
    [
        (Box(2, 3, 10, 12), Box(2, 3, 10, 12), None),
        (Box(0, 0, 32, 24), Box(0, 0, 32, 24), None),
        (Box(-4, 3, 10, 12), Box(0, 3, 6, 12), "clipped"),
        (Box(20, 20, 100, 100), Box(20, 20, 12, 4), "clipped"),
        (Box(2.4, 3.6, 4.2, 4.0), Box(2, 4, 5, 4), None),
        (Box(3, 3, 0.2, 0.2), Box(3, 3, 1, 1), None),
        (Box(2, 3, 0, 12), None, "empty"),
        (Box(2, 3, 10, -1), None, "empty"),
        (Box(32, 3, 10, 12), None, "outside"),
        (Box(-10, 3, 10, 12), None, "outside"),
        (Box(2, 24, 10, 12), None, "outside"),
    ],
)
def test_fit_box(box, fitted, defect):
    result = fit_box(box, height=24, width=32)
    assert (result.box, result.defect) == (fitted, defect)


def test_margin_is_added_on_each_side_and_clipped_without_being_a_defect():
    assert fit_box(Box(10, 10, 10, 4), 24, 32, margin=0.5).box == Box(5, 8, 20, 8)
    result = fit_box(Box(0, 0, 10, 10), 24, 32, margin=0.1)
    assert (result.box, result.defect) == (Box(0, 0, 11, 11), None)


def test_crop_is_the_box_pixel_by_pixel():
    np.testing.assert_array_equal(crop(pattern(), Box(5, 7, 9, 11)), pattern()[7:18, 5:14])


@pytest.mark.parametrize(
    ("box", "message"),
    [
        (Box(1, 2, 0, 5), r"0×5 at x=1, y=2 has no area; the photo is 32×24"),
        (Box(40, 0, 5, 5), r"5×5 at x=40, y=0 lies entirely outside"),
    ],
)
def test_crop_refuses_a_box_of_which_nothing_is_left(box, message):
    with pytest.raises(BoxError, match=message):
        crop(pattern(), box)


def test_shrink_limits_the_longest_side_only():
    assert shrink(pattern(24, 32), 16).shape == (12, 16, 3)
    assert shrink(pattern(24, 32), 32).shape == (24, 32, 3)
    assert shrink(pattern(1, 300), 30).shape == (1, 30, 3)
