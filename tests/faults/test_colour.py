"""Photos say what their numbers mean: the same garment has the same pixels in any colour space."""

import io
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageCms, features
from PIL.PngImagePlugin import PngInfo

from fashion_jax.datasets import colour
from fashion_jax.datasets.building.crops import CropOptions, process_photo
from fashion_jax.datasets.building.plan import PlannedItem
from fashion_jax.datasets.building.raw_copy import PhotoTree
from fashion_jax.datasets.photos import (
    decode_photo,
    decode_record,
    encode_thumbnail,
    read_photo,
)
from fashion_jax.datasets.records import Domain
from tests.dummy_data import icc_profiles as by_hand

RNG = np.random.default_rng(0)
PATCHES = np.kron(RNG.integers(0, 256, (4, 6, 3)), np.ones((16, 16, 1))).astype(np.uint8)
SPACES = {
    "Display P3": (by_hand.DISPLAY_P3, by_hand.srgb_light, by_hand.sampled(by_hand.srgb_light)),
    "Adobe RGB": (by_hand.ADOBE_RGB, lambda v: v ** (563 / 256), by_hand.power(563 / 256)),
    "ProPhoto": (by_hand.PROPHOTO, lambda v: v**1.8, by_hand.power(1.80078125)),
    "swapped": (by_hand.SWAPPED, by_hand.srgb_light, by_hand.sampled(by_hand.srgb_light)),
    "an old Mac": (by_hand.SRGB, lambda v: v**1.8, by_hand.power(1.80078125)),
    "linear": (by_hand.SRGB, lambda v: v, by_hand.power(1)),
}
PROFILES = {name: by_hand.rgb(space[0], space[2]) for name, space in SPACES.items()}
P3 = PROFILES["Display P3"]
IN_SRGB = {n: by_hand.to_srgb(PATCHES, space[0], space[1]) for n, space in SPACES.items()}
needs_avif = pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png(pixels, *chunks, **options):
    """A PNG with chunks in front of its pixels."""
    data = encoded(Image.fromarray(pixels) if isinstance(pixels, np.ndarray) else pixels, **options)
    inserted = b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )
    return data[:33] + inserted + data[33:]


def chunk(name, *numbers):
    """A chunk of 32-bit numbers in units of 1/100,000."""
    return name, struct.pack(f">{len(numbers)}I", *(round(number * 100_000) for number in numbers))


def assert_close(pixels, expected, atol=2.0, share=1.0):
    off = np.abs(pixels - np.asarray(expected, float)).max(axis=2)
    assert (off <= atol).mean() >= share, off.max()


@pytest.mark.parametrize("space", SPACES)
def test_colours_of_a_profile_become_those_of_srgb(space):
    decoded = decode_photo(encoded(Image.fromarray(PATCHES), icc_profile=PROFILES[space]))
    assert_close(decoded, IN_SRGB[space])
    assert np.abs(decoded.astype(int) - PATCHES).max() > 15  # as stored they are other colours


@pytest.mark.parametrize(
    ("kind", "options", "atol"),
    [
        ("PNG", {}, 2),
        ("JPEG", {"quality": 100, "subsampling": 0}, 7),
        ("JPEG", {"quality": 100, "subsampling": 0, "progressive": True}, 7),
        ("MPO", {"quality": 100, "subsampling": 0}, 7),
        ("WEBP", {"lossless": True}, 2),
        (
            "WEBP",
            {"lossless": True, "save_all": True, "append_images": [Image.new("RGB", (96, 64))]},
            2,
        ),
        ("TIFF", {}, 2),
        ("TIFF", {"compression": "tiff_lzw"}, 2),
        pytest.param("AVIF", {"quality": 100, "subsampling": "4:4:4"}, 7, marks=needs_avif),
    ],
)
def test_every_format_that_carries_a_profile(kind, options, atol):
    data = encoded(Image.fromarray(PATCHES), kind, icc_profile=PROFILES["swapped"], **options)
    assert_close(decode_photo(data), IN_SRGB["swapped"], atol)


@pytest.mark.parametrize("kind", ["mntr", "scnr", "prtr", "spac"])
def test_every_device_may_have_a_profile(kind):
    profile = by_hand.rgb(by_hand.SWAPPED, by_hand.power(2.2), kind=kind)
    decoded = decode_photo(encoded(Image.new("RGB", (8, 8), (250, 0, 0)), icc_profile=profile))
    assert decoded[0, 0, 2] > 240
    assert decoded[0, 0, 0] < 10


def mode_of(image, mode):
    if mode == "transparent palette":
        palette = image.quantize(24)
        palette.info["transparency"] = bytes([255] * 24)
        return palette
    return image.quantize(24) if mode == "P" else image.convert(mode)


@pytest.mark.parametrize("mode", ["RGBA", "P", "transparent palette", "L", "LA", "1"])
def test_images_of_every_mode_follow_an_rgb_profile(mode):
    image = mode_of(Image.fromarray(PATCHES), mode)
    stored = decode_photo(encoded(image))
    expected = by_hand.to_srgb(stored, *SPACES["Adobe RGB"][:2])
    profile = PROFILES["Adobe RGB"]
    assert_close(decode_photo(encoded(image, icc_profile=profile)), expected, atol=3)


def test_transparency_is_laid_on_the_white_of_srgb():
    pixels = np.array([[(0, 200, 0, 255), (0, 200, 0, 128), (9, 9, 9, 0)]], np.uint8)
    decoded = decode_photo(encoded(Image.fromarray(pixels), icc_profile=PROFILES["swapped"]))
    np.testing.assert_allclose(decoded[0, 0], (200, 0, 0), atol=1)
    np.testing.assert_allclose(decoded[0, 1], (227, 127, 127), atol=2)
    np.testing.assert_array_equal(decoded[0, 2], (255, 255, 255))


@pytest.mark.parametrize("mode", ["L", "LA", "1", "I;16"])
def test_gray_profiles(mode):
    ramp = np.tile(np.arange(256, dtype=np.uint8), (4, 1))
    image = Image.fromarray(ramp.astype(np.uint16) * 257) if mode == "I;16" else None
    image = image or Image.fromarray(ramp).convert(mode)
    stored = decode_photo(encoded(image))
    profile = by_hand.gray(by_hand.power(1.5))
    decoded = decode_photo(encoded(image, icc_profile=profile))
    assert_close(decoded, 255 * by_hand.srgb_value((stored / 255) ** 1.5))


def test_strips_of_a_large_photo_meet(monkeypatch):
    monkeypatch.setattr("fashion_jax.datasets.pixels._STRIP", 96 * 5)  # 64 rows: one strip is short
    for mode in ("RGB", "RGBA", "P", "L"):
        image = mode_of(Image.fromarray(PATCHES), mode)
        stored = decode_photo(encoded(image))
        expected = by_hand.to_srgb(stored, *SPACES["Display P3"][:2])
        assert_close(decode_photo(encoded(image, icc_profile=P3)), expected, atol=3)


def test_orientation_and_colours_together():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(Image.fromarray(PATCHES), icc_profile=P3, exif=exif)
    assert_close(decode_photo(data), np.rot90(IN_SRGB["Display P3"], -1))


INKS = [(0, 0, 0, 0), (0, 0, 0, 255), (0, 255, 255, 0), (255, 0, 0, 0), (0, 128, 0, 30)]


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_inks_follow_their_profile(kind):
    """Adobe's JPEGs, which Pillow writes as well, store how much ink is missing."""
    profile = by_hand.cmyk()
    options = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
    found = [
        decode_photo(
            encoded(Image.new("CMYK", (16, 16), ink), kind, icc_profile=profile, **options)
        )
        for ink in INKS
    ]
    paper, black, red, cyan, rose = (pixels[8, 8].astype(int) for pixels in found)
    assert paper.min() >= 253
    assert black.max() <= 8  # not the dark gray that the profile measured
    assert red[0] - red[1:].max() > 60
    assert cyan[1:].min() - cyan[0] > 60
    assert rose[0] > rose[1]


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_inks_without_a_profile_are_what_they_were(kind):
    for ink in INKS:
        data = encoded(Image.new("CMYK", (16, 16), ink), kind)
        expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        np.testing.assert_array_equal(decode_photo(data), expected)


@pytest.mark.parametrize(
    ("mode", "profile"),
    [
        ("CMYK", P3),
        ("CMYK", by_hand.gray(by_hand.power(1))),
        ("RGB", by_hand.gray(by_hand.power(1))),
        ("RGB", by_hand.cmyk()),
        ("L", by_hand.cmyk()),
        ("RGB", by_hand.rgb(by_hand.SWAPPED, by_hand.power(1), kind="link")),
        ("RGB", by_hand.rgb(by_hand.SWAPPED, by_hand.power(1), kind="nmcl")),
        ("RGB", by_hand.profile({}, space="Lab ")),
        ("RGB", by_hand.profile({}, space="XYZ ")),
    ],
)
def test_a_profile_of_something_else_is_ignored(mode, profile):
    image = Image.fromarray(PATCHES).convert(mode)
    data = encoded(image, "TIFF", icc_profile=profile)
    np.testing.assert_array_equal(decode_photo(data), decode_photo(encoded(image, "TIFF")))


SRGB_PROFILES = {
    "of LittleCMS": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
    "as a table": by_hand.rgb(by_hand.SRGB, by_hand.sampled(by_hand.srgb_light), "sRGB"),
    "as a long table": by_hand.rgb(by_hand.SRGB, by_hand.sampled(by_hand.srgb_light, 4096)),
    "without its name": by_hand.rgb(by_hand.SRGB, by_hand.sampled(by_hand.srgb_light), "camera"),
    "with rounded numbers": by_hand.rgb(
        np.round(by_hand.SRGB, 4).tolist(), by_hand.sampled(by_hand.srgb_light, 256)
    ),
}


@pytest.mark.parametrize("name", SRGB_PROFILES)
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_a_profile_of_srgb_changes_no_pixel(name, kind):
    noise = RNG.integers(0, 256, (64, 64, 3)).astype(np.uint8)
    for image in (Image.fromarray(noise), Image.fromarray(noise[:, :, 0])):
        with_profile = encoded(image, kind, icc_profile=SRGB_PROFILES[name])
        expected = np.asarray(Image.open(io.BytesIO(encoded(image, kind))).convert("RGB"))
        np.testing.assert_array_equal(decode_photo(with_profile), expected)


def test_what_is_called_srgb_and_is_not_counts_by_its_numbers():
    profile = by_hand.rgb(by_hand.SWAPPED, by_hand.power(2.2), "sRGB IEC61966-2.1")
    decoded = decode_photo(encoded(Image.new("RGB", (8, 8), (250, 0, 0)), icc_profile=profile))
    assert decoded[0, 0, 2] > 240


DAMAGED = {
    "a letter": b"x",
    "zeros": b"\0" * 128,
    "letters": b"x" * 5000,
    "cut in its header": P3[:127],
    "cut after its header": P3[:128],
    "cut in its table": P3[:140],
    "cut in its content": P3[:400],
    "without its signature": P3[:36] + b"spca" + P3[40:],
    "of an unknown space": P3[:16] + b"????" + P3[20:],
    "of endless tags": P3[:128] + b"\xff" * 4 + P3[132:],
    "without light": by_hand.rgb([(0, 0, 0)] * 3, by_hand.power(2.2)),
    "of faint light": by_hand.rgb([(0.01, 0.01, 0.01)] * 3, by_hand.power(2.2)),
    "without green and blue": by_hand.profile({"rXYZ": b"XYZ \0\0\0\0" + by_hand.fixed(1, 1, 1)}),
    "of an endless curve": by_hand.rgb(by_hand.SWAPPED, b"curv\0\0\0\0\xff\xff\xff\xff"),
    "larger than any": PROFILES["swapped"] + b"\0" * colour.LARGEST_PROFILE,
}


@pytest.mark.parametrize("name", DAMAGED)
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG"])
def test_a_damaged_profile_is_ignored(name, kind):
    data = encoded(Image.fromarray(PATCHES), kind, icc_profile=DAMAGED[name])
    expected = decode_photo(encoded(Image.fromarray(PATCHES), kind))
    np.testing.assert_array_equal(decode_photo(data), expected)


@pytest.mark.slow
def test_any_bytes_in_a_profile_give_pixels():
    originals = [P3, by_hand.gray(by_hand.power(1.8)), by_hand.cmyk(), PROFILES["Adobe RGB"]]
    for original in originals:
        mode = {b"GRAY": "L", b"CMYK": "CMYK"}.get(original[16:20], "RGB")
        image = Image.fromarray(PATCHES[::4, ::4]).convert(mode)
        for _ in range(60):
            damaged = bytearray(original)
            for place in RNG.integers(0, min(len(damaged), 600), 3):
                damaged[place] = RNG.integers(256)
            data = encoded(image, "TIFF", icc_profile=bytes(damaged))
            assert decode_photo(data).shape == (16, 24, 3)


SRGB_POINTS = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
ADOBE_POINTS = (0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
P3_POINTS = (0.3127, 0.3290, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)


@pytest.mark.parametrize(
    ("space", "chunks"),
    [
        ("Adobe RGB", [chunk(b"gAMA", 256 / 563), chunk(b"cHRM", *ADOBE_POINTS)]),
        ("Display P3", [chunk(b"cHRM", *P3_POINTS)]),
        ("Display P3", [(b"cICP", bytes([12, 13, 0, 1]))]),
        ("an old Mac", [chunk(b"gAMA", 1 / 1.8), chunk(b"cHRM", *SRGB_POINTS)]),
        ("an old Mac", [chunk(b"gAMA", 1 / 1.8)]),
        ("linear", [chunk(b"gAMA", 1)]),
        ("linear", [(b"cICP", bytes([1, 8, 0, 1]))]),
        # The chunk of the higher rank counts.
        ("Display P3", [chunk(b"gAMA", 1), (b"cICP", bytes([12, 13, 0, 1]))]),
        ("Display P3", [(b"sRGB", b"\0"), (b"cICP", bytes([12, 13, 0, 1]))]),
    ],
)
def test_colours_of_a_png_in_numbers(space, chunks):
    assert_close(decode_photo(png(PATCHES, *chunks)), IN_SRGB[space], atol=3)


def test_ranks_of_a_png_with_a_profile():
    by_codes = (b"cICP", bytes([1, 13, 0, 1]))
    np.testing.assert_array_equal(decode_photo(png(PATCHES, by_codes, icc_profile=P3)), PATCHES)
    by_gamma = chunk(b"gAMA", 1)
    decoded = decode_photo(png(PATCHES, by_gamma, icc_profile=P3))
    assert_close(decoded, IN_SRGB["Display P3"])


@pytest.mark.parametrize(
    "chunks",
    [
        [chunk(b"gAMA", 0.45455), chunk(b"cHRM", *SRGB_POINTS)],  # as written for sRGB
        [chunk(b"gAMA", 0.45455)],
        [chunk(b"gAMA", 0.45454), chunk(b"cHRM", *(point - 0.00001 for point in SRGB_POINTS))],
        [chunk(b"cHRM", *SRGB_POINTS)],
        [(b"sRGB", b"\0"), chunk(b"gAMA", 1), chunk(b"cHRM", *P3_POINTS)],
        [(b"cICP", bytes([1, 13, 0, 1])), chunk(b"gAMA", 1)],
        [(b"cICP", bytes([1, 1, 0, 1]))],
        [(b"cICP", bytes([99, 13, 0, 1]))],
        [(b"cICP", bytes([12, 99, 0, 1]))],
        [chunk(b"gAMA", 0)],
        [chunk(b"gAMA", 0.00001)],
        [chunk(b"gAMA", 40_000)],
        [chunk(b"cHRM", *[0] * 8), chunk(b"gAMA", 1)],
        [chunk(b"cHRM", *[0.3] * 8), chunk(b"gAMA", 1)],
        [chunk(b"cHRM", *[40_000] * 8), chunk(b"gAMA", 1)],
        [chunk(b"cHRM", 0, 0, *SRGB_POINTS[2:]), chunk(b"gAMA", 1)],
    ],
)
def test_numbers_of_srgb_or_of_nothing_change_no_pixel(chunks):
    np.testing.assert_array_equal(decode_photo(png(PATCHES, *chunks)), PATCHES)


def test_text_in_a_png_is_no_chunk():
    info = PngInfo()
    info.add_text("note", "cICP")
    np.testing.assert_array_equal(decode_photo(png(PATCHES, pnginfo=info)), PATCHES)


@pytest.mark.parametrize(("code", "white"), [(16, 0.5807), (18, 0.7499)])
def test_bright_photos_keep_the_white_of_paper(code, white):
    levels = np.array([[0, round(white * 0.5 * 255), round(white * 255), 255]], np.uint8)
    pixels = np.repeat(levels[:, :, None], 3, axis=2)
    decoded = decode_photo(png(pixels, (b"cICP", bytes([9, code, 0, 1]))))[0, :, 0]
    assert decoded[0] == 0
    assert 0 < decoded[1] < 200
    np.testing.assert_allclose(decoded[2:], 255, atol=2)


@needs_avif
@pytest.mark.parametrize(
    ("codes", "space"),
    [((12, 13), "Display P3"), ((1, 8), "linear"), ((1, 13), None), ((77, 77), None)],
)
def test_colours_of_an_avif_in_numbers(codes, space):
    options = {"quality": 100, "subsampling": "4:4:4"}
    data = encoded(Image.fromarray(PATCHES), "AVIF", **options)
    start = data.index(b"colrnclx") + 8
    primaries, curve = codes
    changed = data[:start] + struct.pack(">HH", primaries, curve) + data[start + 4 :]
    expected = decode_photo(data)
    if space is not None:
        expected = by_hand.to_srgb(expected, *SPACES[space][:2])
        assert np.abs(expected - decode_photo(data)).max() > 15
    assert_close(decode_photo(changed), expected)
    if space is None:
        np.testing.assert_array_equal(decode_photo(changed), expected)


def camera_exif(code, rule=None):
    exif = Image.Exif()
    details = exif.get_ifd(0x8769)
    details[0xA001] = code
    if rule is not None:
        details[0xA005] = {1: rule}
    return exif


@pytest.mark.parametrize(
    ("code", "rule", "is_adobe"),
    [(0xFFFF, "R03", True), (2, None, True), (1, "R98", False), (0xFFFF, None, False),
     (0xFFFF, "R98", False), (1, None, False), (77, "R03", False)],
)  # fmt: skip
def test_cameras_that_note_adobe_rgb_in_exif_alone(code, rule, is_adobe):
    options = {"quality": 100, "subsampling": 0}
    image = Image.fromarray(PATCHES)
    plain = decode_photo(encoded(image, "JPEG", **options))
    decoded = decode_photo(encoded(image, "JPEG", exif=camera_exif(code, rule), **options))
    if is_adobe:
        assert_close(decoded, by_hand.to_srgb(plain, *SPACES["Adobe RGB"][:2]), atol=3)
    else:
        np.testing.assert_array_equal(decoded, plain)


def test_a_profile_counts_before_exif():
    options = {"quality": 100, "subsampling": 0, "exif": camera_exif(2)}
    data = encoded(Image.fromarray(PATCHES), "JPEG", icc_profile=PROFILES["swapped"], **options)
    assert_close(decode_photo(data), IN_SRGB["swapped"], atol=7)


def test_colours_in_files_records_and_thumbnails(tmp_path):
    data = encoded(Image.fromarray(PATCHES), "WEBP", lossless=True, icc_profile=P3)
    (tmp_path / "phone.jpg").write_bytes(data)
    expected = IN_SRGB["Display P3"]
    pixels = read_photo(tmp_path / "phone.jpg")
    assert_close(pixels, expected)
    item = PlannedItem("phone.jpg", "hats", ("1",), Domain.STREET)
    result = process_photo([item], PhotoTree(tmp_path), CropOptions(jpeg_quality=100), encode=True)
    for jpeg in (result.stored[0].jpeg, encode_thumbnail(pixels)):
        assert b"ICC_PROFILE" not in jpeg
        middles = decode_record(jpeg)[8::16, 8::16]
        assert_close(middles, expected[8::16, 8::16], atol=12)


def test_one_transform_in_many_threads():
    data = encoded(Image.fromarray(PATCHES), icc_profile=P3)
    expected = decode_photo(data)
    with ThreadPoolExecutor(8) as pool:
        for pixels in pool.map(decode_photo, [data] * 100):
            np.testing.assert_array_equal(pixels, expected)


def test_transforms_are_kept_for_a_few_profiles_only():
    for number in range(40):
        profile = by_hand.rgb(by_hand.SWAPPED, by_hand.power(1 + number / 40))
        decode_photo(encoded(Image.new("RGB", (2, 2)), icc_profile=profile))
    assert colour._transforms.cache_info().currsize <= 16
