"""ICC profiles made by hand, and what their numbers mean."""

import struct
from collections.abc import Callable, Mapping, Sequence

import numpy as np

# Published colours of red, green and blue, moved to the white of profiles (D50): XYZ.
SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))
DISPLAY_P3 = (
    (0.51512, 0.24120, -0.00105),
    (0.29198, 0.69225, 0.04189),
    (0.15710, 0.06657, 0.78407),
)
ADOBE_RGB = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
PROPHOTO = ((0.79767, 0.28804, 0.0), (0.13519, 0.71188, 0.0), (0.03134, 0.00009, 0.82491))
SWAPPED = (SRGB[2], SRGB[0], SRGB[1])  # its red is blue, its green red, its blue green
WHITE = (0.9642, 1.0, 0.8249)

Primaries = Sequence[Sequence[float]]
Curve = Callable[[np.ndarray], np.ndarray]


def srgb_light(value):
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def srgb_value(light):
    light = np.clip(light, 0, 1)
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def to_srgb(pixels, primaries: Primaries, light: Curve):
    """The same colours in sRGB, in floats from 0 to 255."""
    xyz = light(np.asarray(pixels) / 255) @ np.array(primaries)
    return 255 * srgb_value(xyz @ np.linalg.inv(np.array(SRGB)))


def fixed(*numbers: float) -> bytes:
    return b"".join(struct.pack(">i", round(number * 65536)) for number in numbers)


def sampled(light: Curve, samples: int = 1024) -> bytes:
    """A curve as a table, as most programs write it."""
    levels = np.rint(light(np.linspace(0, 1, samples)) * 65535).astype(">u2")
    return b"curv\0\0\0\0" + struct.pack(">I", samples) + levels.tobytes()


def power(gamma: float) -> bytes:
    """A curve as one number with 8 bits behind the point."""
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))


def profile(
    tags: Mapping[str, bytes], space: str = "RGB ", kind: str = "mntr", between: str = "XYZ "
) -> bytes:
    table, body = struct.pack(">I", len(tags)), b""
    for name, value in tags.items():
        place = 132 + 12 * len(tags) + len(body)
        table += name.encode() + struct.pack(">II", place, len(value))
        body += value + b"\0" * (-len(value) % 4)
    head = b"none" + struct.pack(">I", 0x02400000) + f"{kind}{space}{between}".encode()
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + b"\0" * 28 + fixed(*WHITE)
    head = head.ljust(124, b"\0")
    return struct.pack(">I", 128 + len(table) + len(body)) + head + table + body


def rgb(primaries: Primaries, curve: bytes, name: str = "by hand", kind: str = "mntr") -> bytes:
    text = name.encode() + b"\0"
    tags = {"desc": b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + b"\0" * 78}
    tags["wtpt"] = b"XYZ \0\0\0\0" + fixed(*WHITE)
    for letter, each in zip("rgb", primaries, strict=True):
        tags[f"{letter}XYZ"] = b"XYZ \0\0\0\0" + fixed(*each)
        tags[f"{letter}TRC"] = curve
    return profile(tags, kind=kind)


def gray(curve: bytes) -> bytes:
    return profile({"wtpt": b"XYZ \0\0\0\0" + fixed(*WHITE), "kTRC": curve}, space="GRAY")


def cmyk(darkest: int = 20) -> bytes:
    """Inks that each take away one colour; black ink alone leaves a lightness of `darkest`."""
    corners = bytearray()
    for number in range(16):  # cyan changes slowest
        cyan, magenta, yellow, black = (number >> bit & 1 for bit in (3, 2, 1, 0))
        lightness = 100 - 30 * cyan - 40 * magenta - 10 * yellow
        lightness = darkest if black or lightness < darkest else lightness
        a = 0 if black else 60 * (magenta - cyan)
        b = 0 if black else 60 * (yellow - (cyan + magenta) / 2)
        corners += bytes([round(lightness * 2.55), round(128 + a), round(128 + b)])
    black_ink = b"".join(b"\0\0\0" + bytes([0 if number & 4 else 255]) for number in range(8))
    inks_to_lab, lab_to_inks = _table(4, 3, bytes(corners)), _table(3, 4, black_ink)
    tags = {"wtpt": b"XYZ \0\0\0\0" + fixed(*WHITE), "A2B0": inks_to_lab, "A2B1": inks_to_lab}
    tags["B2A0"] = lab_to_inks
    return profile(tags, space="CMYK", kind="prtr", between="Lab ")


def _table(taken: int, given: int, corners: bytes) -> bytes:
    line = bytes(range(256))
    head = b"mft1\0\0\0\0" + bytes([taken, given, 2, 0]) + fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    return head + line * taken + corners + line * given
