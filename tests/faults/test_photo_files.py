"""Files that call themselves photos: all pixels are there, or they are named for what they are."""

import contextlib
import io
import os
import pathlib
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from fashion_jax.data_builders.catalogue.photos import CataloguePhotos
from PIL import Image, features

from fashion_jax.datasets.building.build import check
from fashion_jax.datasets.building.raw_copy import PhotoFolder, PhotoTree
from fashion_jax.datasets.photos import (
    LACKS_LAST_BYTES,
    MAX_BYTES,
    UNDECODABLE_KINDS,
    UndecodablePhotoError,
    collect_defects,
    decode_photo,
    list_photos,
    photo_size,
    read_photo,
)
from fashion_jax.errors import FashionJaxError
from fashion_jax.serving.new_photos import find_photos
from fashion_jax.serving.search import read_query
from tests.dummy_data.dummy_photos import soft_pattern
from tests.faults.test_one_door import STRANGE

END = b"\xff\xd9"
RNG = np.random.default_rng(0)
PICTURES = {
    "soft": Image.fromarray(soft_pattern(3, 83, 61)),
    "noise": Image.fromarray(RNG.integers(0, 256, (40, 48, 3)).astype(np.uint8)),
    "white": Image.new("RGB", (90, 70), "white"),
    "black": Image.new("RGB", (64, 64)),
    "red": Image.new("RGB", (33, 47), (255, 0, 0)),
}
JPEGS = {
    "plain": {},
    "fine": {"quality": 95, "subsampling": 0},
    "coarse": {"quality": 20},
    "optimised": {"optimize": True},
    "progressive": {"progressive": True},
    "with restarts": {"restart_marker_blocks": 3},
    "gray": {},
    "inks": {},
}
MODES = {"gray": "L", "inks": "CMYK"}


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def jpeg(picture, kind):
    image = PICTURES[picture].convert(MODES.get(kind, "RGB"))
    return encoded(image, "JPEG", **JPEGS[kind])


def error_of(data):
    with pytest.raises(UndecodablePhotoError) as caught:
        decode_photo(data)
    assert caught.value.kind in UNDECODABLE_KINDS
    return caught.value


@pytest.mark.parametrize("kind", JPEGS)
@pytest.mark.parametrize("picture", PICTURES)
def test_a_jpeg_without_its_end_has_all_its_pixels(picture, kind):
    whole = jpeg(picture, kind)
    assert whole.endswith(END)
    expected = decode_photo(whole)
    for data in (whole[:-1], whole[:-2], whole[:-2] + b"\0\0"):
        if data.endswith(b"\0" * 8):  # as if filled with zeros; see below
            assert error_of(data).kind == "truncated"
            continue
        with collect_defects() as defects:
            np.testing.assert_array_equal(decode_photo(data), expected)
        assert defects == [LACKS_LAST_BYTES]


@pytest.mark.parametrize("kind", JPEGS)
@pytest.mark.parametrize("picture", PICTURES)
def test_a_jpeg_that_lacks_pixels_is_never_read(picture, kind):
    whole = jpeg(picture, kind)
    expected = decode_photo(whole)
    refused = 0
    for cut in (*range(3, 40), *range(40, len(whole), 1 + len(whole) // 12)):
        try:
            decoded = decode_photo(whole[:-cut])
        except UndecodablePhotoError:
            refused += 1
        else:
            np.testing.assert_array_equal(decoded, expected)
    assert refused > 30


@pytest.mark.parametrize("missing", [10, 20, 200, 400])
@pytest.mark.parametrize("kind", JPEGS)
def test_a_jpeg_filled_with_zeros_is_never_read(kind, missing):
    whole = jpeg("noise", kind)
    assert error_of(whole[:-missing] + b"\0" * missing).kind == "truncated"


def test_a_progressive_jpeg_between_two_scans_lacks_detail():
    whole = jpeg("soft", "progressive")
    starts = [at for at in range(len(whole)) if whole[at : at + 2] == b"\xff\xda"]
    assert len(starts) > 5
    for start in starts:
        assert error_of(whole[:start]).kind == "truncated"


@pytest.mark.parametrize("behind", [b"\0", b"\0" * 500, b"\xff", b"a text", b"\xff\xd8\xff\xe0"])
def test_what_comes_after_the_end_is_no_defect(behind):
    whole = jpeg("soft", "plain")
    with collect_defects() as defects:
        np.testing.assert_array_equal(decode_photo(whole + behind), decode_photo(whole))
    assert defects == []


def test_the_end_of_a_thumbnail_is_not_the_end():
    exif = b"Exif\0\0" + encoded(Image.new("RGB", (8, 8)), "JPEG")
    whole = encoded(PICTURES["soft"], "JPEG", exif=exif)
    with collect_defects() as defects:
        decode_photo(whole[:-2])
    assert defects == [LACKS_LAST_BYTES]
    assert error_of(whole[: len(whole) * 2 // 3]).kind == "truncated"


def test_colours_and_orientation_of_a_jpeg_without_its_end():
    exif = Image.Exif()
    exif[0x0112] = 8
    whole = encoded(PICTURES["soft"], "JPEG", exif=exif)
    decoded = decode_photo(whole[:-2])
    assert decoded.shape == (83, 61, 3)
    np.testing.assert_array_equal(decoded, decode_photo(whole))


def test_defects_are_those_of_the_photos_inside():
    cut_off = jpeg("soft", "plain")[:-2]
    decode_photo(cut_off)
    with collect_defects() as outer:
        with collect_defects() as inner:
            decode_photo(cut_off)
        decode_photo(jpeg("soft", "plain"))
    assert (inner, outer) == ([LACKS_LAST_BYTES], [])


def test_a_report_counts_photos_without_their_last_bytes_and_uses_them(tmp_path):
    rows = ["photo,identity"]
    for number in range(6):
        data = jpeg("soft", "plain")
        if number in (1, 4):
            data = data[:-2]
        (tmp_path / f"{number}.jpg").write_bytes(data)
        rows.append(f"{number}.jpg,{number // 2}")
    (tmp_path / "7.jpg").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    rows.append("7.jpg,2")
    (tmp_path / "items.csv").write_text("\n".join(rows))
    places = {"manifest": str(tmp_path / "items.csv"), "photos": str(tmp_path)}
    report = check("catalogue", progress=False, **places)
    assert report.counts["photos"]["usable"] == 6
    assert report.counts["photos"]["unsupported_format"] == 1
    assert report.problems[LACKS_LAST_BYTES] == ["1.jpg", "4.jpg"]
    assert "lacks last bytes (2): 1.jpg, 4.jpg" in report.to_table()
    assert "unsupported format (1): 7.jpg" in report.to_table()


def media(brand, *others):
    body = b"ftyp" + brand + b"\0\0\0\0" + b"".join(others)
    return struct.pack(">I", len(body) + 4) + body + b"\0" * 100


OTHER_PICTURES = {
    "a HEIC photo": [media(b"heic", b"mif1"), media(b"heix"), media(b"hevc"), media(b"heim")],
    "a HEIF photo": [media(b"mif1", b"heic"), media(b"msf1", b"hevc")],
    "raw photo (CR3)": [media(b"crx ", b"crx ")],
    "raw photo (CRW)": [b"II\x1a\0\0\0HEAPCCDR"],
    "raw photo (RAF)": [b"FUJIFILMCCD-RAW 0201FF"],
    "raw photo (ORF or RW2)": [
        b"IIRO\x08\0\0\0",
        b"IIRS\x08\0\0\0",
        b"MMOR\0\0\0\x08",
        b"IIU\0\x18",
    ],
    "raw photo (X3F or MRW)": [b"FOVb\0\0\3\0", b"\0MRM\0\0"],
    "a JPEG XL photo": [b"\xff\x0a\xfa\x7f", b"\0\0\0\x0cJXL \r\n\x87\n"],
    "a JPEG XR photo": [b"II\xbc\x01\x08\0\0\0"],
    "a Photoshop picture (PSD)": [b"8BPS\0\1" + b"\0" * 40],
    "a GIMP picture (XCF)": [b"gimp xcf v011\0"],
    "an OpenEXR picture": [b"\x76\x2f\x31\x01\2\0\0\0"],
    "a Radiance picture": [b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n"],
    "a texture (DDS)": [b"DDS |\0\0\0"],
    "an icon": [b"\0\0\1\0\1\0\x20\x20", b"icns\0\0\1\0"],
    "an SVG drawing": [
        b"<svg>",
        b'\xef\xbb\xbf\n<svg xmlns="http://www.w3.org/2000/svg"/>',
        b'<?xml version="1.0"?>\n<!-- Generator: <svg> -->\n<svg width="1">',
        b'<?xml version="1.0"?><!DOCTYPE svg PUBLIC "-//W3C" [<!ENTITY a "b">]>\n<svg:svg>',
    ],
}
NO_PICTURES = {
    "a video": [
        media(b"isom", b"mp42"), media(b"qt  "), media(b"3gp5"), media(b"M4V "),
        b"\0\0\0\x08wide\0\0\0\0mdat", b"\0\0\1\0moov", b"\x1aE\xdf\xa3\1", b"RIFF\0\0\0\0AVI LIST",
    ],
    "a PDF document": [b"%PDF-1.7\n"],
    "a PostScript document": [b"%!PS-Adobe-3.0 EPSF-3.0", b"\xc5\xd0\xd3\xc6\x1e\0\0\0%!PS"],
    "a zip archive": [b"PK\x03\x04\x14\0", b"PK\x05\x06" + b"\0" * 18],
    "an archive": [b"\x1f\x8b\x08\0", b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07"],
    "an Office document": [b"\xd0\xcf\x11\xe0\xa1\xb1"],
    "a side file of macOS": [b"\0\x05\x16\x07\0\2\0\0Mac OS X"],
    "a pointer of Git LFS": [b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"],
    "a web page": [b"\r\n <!doctype HTML>", b"<html><body>", b"<HTML lang=en>"],
    "an XML text": [b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>'],
    "a JSON text": [b'{"error": "not found"}', b' {\n "message": "x"}'],
}  # fmt: skip


@pytest.mark.parametrize("name", OTHER_PICTURES)
def test_pictures_of_other_formats_are_named_with_a_remedy(name):
    for data in OTHER_PICTURES[name]:
        error = error_of(data)
        assert error.kind == "unsupported_format"
        assert name in error.detail
        assert error.detail.endswith("export it as JPEG")


@pytest.mark.parametrize("name", NO_PICTURES)
def test_what_is_no_picture_is_named(name):
    for data in NO_PICTURES[name]:
        error = error_of(data)
        assert error.kind == "not_an_image"
        assert name in error.detail


@pytest.mark.parametrize(
    "data", [b"<" * 4000, b"<!---->" * 600, b"<??>" * 999, b" " * 4000, b"{ " * 999]
)
def test_texts_that_lead_nowhere_end_soon(data):
    assert error_of(data).kind == "not_an_image"


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
@pytest.mark.parametrize("brand", [b"avif", b"mif1"])
def test_a_damaged_avif_is_truncated(brand):
    data = encoded(Image.new("RGB", (32, 32)), "AVIF")
    assert error_of(data[:8] + brand + data[12:100]).kind == "truncated"


def tiff(*images, order="<"):
    """A TIFF of gray images, each a dict of tags; lists under `SubIFDs` are images as well."""
    out = bytearray((b"II*\0" if order == "<" else b"MM\0*") + b"\0" * 4)
    link = 4
    for image in images:
        link = add(out, image, link, order)
    return bytes(out)


def add(out, image, link, order):
    subs = []
    for sub in image.get(330, []):
        hole = len(out)
        out += b"\0" * 4
        add(out, sub, hole, order)
        subs.append(struct.unpack_from(order + "I", out, hole)[0])
    width, height = image["size"]
    tags = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: len(out), 277: 1, 278: height,
            279: width * height}  # fmt: skip
    out += b"\x80" * (width * height)
    tags |= {tag: value for tag, value in image.items() if isinstance(tag, int)}
    if subs:
        tags[330] = subs[0] if len(subs) == 1 else len(out)
        out += b"".join(struct.pack(order + "I", each) for each in subs)
    struct.pack_into(order + "I", out, link, len(out))
    out += struct.pack(order + "H", len(tags))
    for tag, value in sorted(tags.items()):
        count = len(subs) if tag == 330 else 1
        out += struct.pack(order + "HHII", tag, 4, count, value)
    out += b"\0" * 4
    return len(out) - 4


SMALL, LARGE = (8, 6), (40, 30)
RAW_PHOTOS = {
    "DNG": [{"size": SMALL, 50706: 0x00000401}],
    "a thumbnail in front of the photo": [{"size": SMALL, 254: 1}, {"size": LARGE}],
    "a thumbnail above the photo": [{"size": SMALL, 254: 1, 330: [{"size": SMALL}]}],
    "a larger photo below": [{"size": SMALL, 330: [{"size": LARGE}]}],
    "a larger photo below, one of two": [{"size": SMALL, 330: [{"size": SMALL}, {"size": LARGE}]}],
    "a sensor's values": [{"size": LARGE, 262: 32803}],
    "linear raw": [{"size": LARGE, 262: 34892}],
}


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("name", RAW_PHOTOS)
def test_raw_photos_do_not_give_their_thumbnails(name, order):
    error = error_of(tiff(*RAW_PHOTOS[name], order=order))
    assert error.kind == "unsupported_format"
    assert "raw photo" in error.detail
    assert "export it as JPEG" in error.detail


def test_a_cr2_does_not_give_its_thumbnail():
    data = tiff({"size": SMALL})
    assert error_of(data[:8] + b"CR\2\0" + data[12:]).kind == "unsupported_format"


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(
    "images",
    [
        [{"size": LARGE}],
        [{"size": LARGE}, {"size": SMALL, 254: 1}],
        [{"size": LARGE, 330: [{"size": SMALL, 254: 1}]}],
        [{"size": LARGE, 330: [{"size": SMALL}, {"size": SMALL}]}],
        [{"size": LARGE, 254: 2}, {"size": LARGE, 254: 2}],
        [{"size": LARGE, 254: 1}],  # it says to be a thumbnail, and there is no other image
        [{"size": LARGE, 330: [{"size": SMALL}], 271: 0}],
    ],
)
def test_tiffs_with_thumbnails_and_pages_are_photos(images, order):
    assert decode_photo(tiff(*images, order=order)).shape == (30, 40, 3)


@pytest.mark.parametrize("place", range(8, 60, 5))
def test_a_raw_photo_with_damaged_tags_is_an_error_like_any_other(place):
    data = bytearray(tiff(*RAW_PHOTOS["a larger photo below"]))
    data[-place] ^= 0xFF
    with contextlib.suppress(UndecodablePhotoError):
        assert decode_photo(bytes(data)).ndim == 3


def png_of(width, height):
    """A PNG that promises so many pixels."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))]
    chunks.append((b"IDAT", zlib.compress(b"\0" * 1000)))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


def gif_of(width, height):
    """A GIF that promises so many pixels."""
    data = bytearray(encoded(Image.new("L", (1, 1)), "GIF"))
    place = data.index(b",", 13) + 5
    data[6:10] = data[place : place + 4] = struct.pack("<HH", width, height)
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "size", "megapixels"),
    [
        (png_of(12_000, 9_000), "12000×9000", "108.0"),
        (png_of(16_320, 12_240), "16320×12240", "199.8"),
        (png_of(60_000, 60_000), "60000×60000", "3,600.0"),
        (png_of(2**31 - 1, 2**31 - 1), f"{2**31 - 1}×{2**31 - 1}", "4,611,686,014,132.4"),
        (png_of(65_000_001, 1), "65000001×1", "65.0"),
        (gif_of(65_535, 65_535), "65535×65535", "4,294.8"),
        (encoded(Image.new("L", (9_000, 8_000)), "JPEG", quality=1), "9000×8000", "72.0"),
    ],
)
def test_a_photo_that_is_too_large_says_by_how_much(data, size, megapixels):
    error = error_of(data)
    assert error.kind == "too_large"
    assert error.detail.startswith(f"{size} are {megapixels} megapixels; the limit for ")
    assert error.detail.endswith("is 65; reduce the photo")


def test_limits_of_costly_formats_are_lower():
    blank = Image.new("RGB", (7_100, 7_100))
    error = error_of(encoded(blank, "WEBP", quality=1, method=0))
    assert error.detail.startswith("7100×7100 are 50.4 megapixels; the limit for WEBP is 50; ")


def test_a_tile_larger_than_its_image_counts():
    image = {"size": LARGE, 322: 40_000, 323: 40_000, 324: 8, 325: 1200}
    error = error_of(tiff(image))
    assert error.kind == "too_large"
    assert "40000×40000 are 1,600.0 megapixels" in error.detail


def test_large_photos_of_phones_are_read():
    data = encoded(Image.new("L", (9_248, 6_944)), "JPEG", quality=1)
    assert decode_photo(data).shape == (6_944, 9_248, 3)


MEASURED = """
import io, resource, sys
from PIL import Image
from fashion_jax.datasets.photos import UndecodablePhotoError, decode_photo
mode, kind, width, height = sys.argv[1:]
file = sys.stdin.buffer.read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert decode_photo(file).shape == (int(height), int(width), 3)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems count memory in other units")
@pytest.mark.parametrize(("mode", "kind", "side"), [("I;16", "PNG", 5000), ("RGBA", "WEBP", 4000)])
def test_memory_for_a_pixel_is_bounded(mode, kind, side):
    """At most 21 bytes for a pixel: 1 GiB for the largest photo that each format may have."""
    data = encoded(Image.new(mode, (side, side)), kind, **({"method": 0} if kind == "WEBP" else {}))
    command = [sys.executable, "-c", MEASURED, mode, kind, str(side), str(side)]
    done = subprocess.run(command, input=data, capture_output=True, check=True, timeout=100)
    assert int(done.stdout) * 1024 < 21 * side**2


@pytest.mark.parametrize("kind", STRANGE)
def test_files_that_are_no_files(kind, tmp_path):
    path = pathlib.Path(STRANGE[kind][0](tmp_path))
    with pytest.raises(UndecodablePhotoError) as caught:
        read_photo(path)
    large = kind == "60 GB of nothing"
    assert caught.value.kind == ("too_large" if large else "unreadable")
    assert photo_size(path) is None
    with pytest.raises(FashionJaxError):
        read_query(path)


def relative(path, folder):
    return os.fspath(path).removeprefix(f"{folder}/") or "."


@pytest.mark.parametrize("kind", STRANGE)
def test_strange_files_in_a_raw_copy_and_a_catalogue(kind, tmp_path):
    name = relative(STRANGE[kind][0](tmp_path), tmp_path)
    for photos in (PhotoTree(tmp_path), CataloguePhotos(str(tmp_path))):
        assert (name in photos) == (kind == "60 GB of nothing")
        with pytest.raises(UndecodablePhotoError) as caught:
            photos.load(name)
        assert caught.value.kind in ("unreadable", "too_large", "missing")


@pytest.mark.parametrize(
    "kind", ["a pipe", "a link to a pipe", "a link to itself", "a link to nothing", "a socket"]
)
def test_strange_files_among_photos_are_not_listed(kind, tmp_path):
    STRANGE[kind][0](tmp_path)
    (tmp_path / "photo.jpg").write_bytes(jpeg("soft", "plain"))
    assert list_photos(tmp_path) == [tmp_path / "photo.jpg"]
    assert find_photos(tmp_path).column("source").to_pylist() == [str(tmp_path / "photo.jpg")]
    folder = PhotoFolder([tmp_path], lambda name: name)
    assert len(folder) == 1
    assert "photo.jpg" in folder


def test_more_bytes_than_any_photo():
    assert error_of(b"\xff\xd8\xff" + b"\0" * MAX_BYTES).kind == "too_large"
