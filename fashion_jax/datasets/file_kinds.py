"""Files that are not photos of a format we read: what they are, and what to do about it."""

import contextlib
import io
import re

from PIL import ExifTags, Image, TiffImagePlugin

# Pillow can open more, some by way of other programs (EPS runs Ghostscript): photos from strangers
# are not handed to those. A build of Pillow may lack some of these.
_WANTED = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM")
Image.init()
FORMATS = tuple(name for name in _WANTED if name in Image.OPEN)

_READ = re.compile(
    rb"\xff\xd8\xff|\x89PNG|GIF8|RIFF....WEBP|BM|II\*\x00|MM\x00\*|\x00\x00\x00\x0cjP  "
    + (rb"|....ftyp(avi[fs]|(mif1|msf1).{4,40}avif)" if "AVIF" in FORMATS else b""),
    re.DOTALL,
)

# Before an XML's first element; groups that never give back what they took end soon on any text.
_PROLOGUE = rb"(?>\s+|<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^\[>]*(\[.*?\]\s*)?>)*+"

# Media files begin with the length of a box and its name.
_PICTURES = (
    (rb"....ftyp(hei|hev)", "a HEIC photo"),
    (rb"....ftyp(avi[fs]|(mif1|msf1).{4,40}avif)", "an AVIF photo"),
    (rb"....ftyp(mif1|msf1)", "a HEIF photo"),
    (rb"....ftypcrx ", "a camera's raw photo (CR3)"),
    (rb"II\x1a\x00\x00\x00HEAP", "a camera's raw photo (CRW)"),
    (rb"FUJIFILMCCD-RAW", "a camera's raw photo (RAF)"),
    (rb"II(RO|RS|U\x00)|MMOR", "a camera's raw photo (ORF or RW2)"),
    (rb"FOVb|\x00MRM", "a camera's raw photo (X3F or MRW)"),
    (rb"\xff\x0a|\x00\x00\x00\x0cJXL ", "a JPEG XL photo"),
    (rb"II\xbc", "a JPEG XR photo"),
    (rb"8BPS", "a Photoshop picture (PSD)"),
    (rb"gimp xcf", "a GIMP picture (XCF)"),
    (rb"\x76\x2f\x31\x01", "an OpenEXR picture"),
    (rb"#\?(RADIANCE|RGBE)", "a Radiance picture (HDR)"),
    (rb"DDS ", "a texture (DDS)"),
    (rb"\x00\x00[\x01\x02]\x00[^\x00]\x00|icns", "an icon"),
    (_PROLOGUE + rb"<(svg:)?svg\b", "an SVG drawing"),
)
_OTHERS = (
    (rb"....(ftyp|moov|mdat|wide|free|skip)", "a video (MP4, MOV or the like)"),
    (rb"\x1aE\xdf\xa3|RIFF....AVI |FLV\x01|\x00\x00\x01[\xb3\xba]", "a video"),
    (rb"%PDF-", "a PDF document"),
    (rb"(\xc5\xd0\xd3\xc6.*)?%!PS", "a PostScript document"),
    (rb"PK(\x03\x04|\x05\x06)", "a zip archive, or a document stored as one"),
    (rb"\x1f\x8b|7z\xbc\xaf|Rar!|BZh|\xfd7zXZ", "an archive"),
    (rb"\xd0\xcf\x11\xe0", "an Office document"),
    (rb"\x00\x05\x16\x07", "a side file of macOS, without the photo"),
    (rb"version https://git-lfs", "a pointer of Git LFS, without the photo: run git lfs pull"),
    (rb"\s*(<!DOCTYPE html|<html|<head|<script)", "a web page"),
    (rb"\s*<\?xml", "an XML text"),
    (rb"\s*\{\s*\"", "a JSON text"),
)
_LOOKED_AT = 4096  # bytes; comments may come before an SVG's first element

_REDUCED = 1  # bit of NewSubfileType
_RAW_COLOURS = (32803, 34892)  # PhotometricInterpretation: a sensor's filters, and linear raw
_SUB_IFDS = ExifTags.Base.SubIFDs


def explain(data: bytes) -> tuple[str, str]:
    """Explain why a file cannot be opened as a photo.

    Returns:
        One of `UNDECODABLE_KINDS`, and what the file is.
    """
    if _READ.match(data):
        return "truncated", f"{len(data):,} bytes with a broken header, or of a rare kind of file"
    if picture := _first(_PICTURES, data):
        return "unsupported_format", f"{picture}; export it as JPEG"
    detail = f"{len(data):,} bytes that start with {data[:32]!r}"
    other = _first(_OTHERS, data)
    return "not_an_image", f"{other}: {detail}" if other else detail


def is_raw_photo(data: bytes) -> bool:
    """Whether a TIFF is a camera's raw photo (DNG, NEF, ARW, CR2): its first image is a thumbnail.

    Opened as a TIFF, it would give the thumbnail.
    """
    if data[:4] not in (b"II*\0", b"MM\0*"):
        return False
    if data[8:10] == b"CR":
        return True
    with contextlib.suppress(Exception):  # a damaged TIFF is named when it is opened
        first = _directory(data, None)
        if ExifTags.Base.DNGVersion in first:
            return True
        if first.get(ExifTags.Base.PhotometricInterpretation) in _RAW_COLOURS:
            return True
        others = first.get(_SUB_IFDS, ())
        inner = [
            _directory(data, at) for at in (others if isinstance(others, tuple) else (others,))
        ]
        reduced = first.get(ExifTags.Base.NewSubfileType, 0) & _REDUCED
        if reduced and (inner or first.next):
            return True
        return any(_pixels(each) > _pixels(first) for each in inner)
    return False


def _first(kinds: tuple[tuple[bytes, str], ...], data: bytes) -> str | None:
    start = data[:_LOOKED_AT].removeprefix(b"\xef\xbb\xbf")
    found = (name for pattern, name in kinds if re.match(pattern, start, re.DOTALL | re.IGNORECASE))
    return next(found, None)


def _directory(data: bytes, offset: int | None) -> TiffImagePlugin.ImageFileDirectory_v2:
    """Read the tags of one of a TIFF's images, by default the first."""
    directory = TiffImagePlugin.ImageFileDirectory_v2(data[:8])
    file = io.BytesIO(data)
    file.seek(directory.next if offset is None else offset)
    directory.load(file)
    return directory


def _pixels(directory: TiffImagePlugin.ImageFileDirectory_v2) -> int:
    return directory[ExifTags.Base.ImageWidth] * directory[ExifTags.Base.ImageLength]
