"""ICC profiles of colour spaces that a file describes by numbers: primaries, white and curve."""

import struct
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

Chromaticity = tuple[float, float]
"""CIE x and y."""

_D50 = np.array([0.9642, 1.0, 0.8249])  # white of all profiles
# Bradford's cone responses, by which ICC profiles move a white point.
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
_HEADER = ">I4xI4s4s4s12x4s28x12s48x"  # size, version, kind, spaces, signature, white
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def gamma_curve(gamma: float) -> bytes:
    """Encode the curve `light = value ** gamma`."""
    return b"para" + struct.pack(">4xHH", 0, 0) + _fixed([gamma])


def srgb_curve() -> bytes:
    """Encode the curve of sRGB: a power, with a straight piece in the darks."""
    return b"para" + struct.pack(">4xHH", 3, 0) + _fixed(_SRGB_CURVE)


def table_curve(light: Float[np.ndarray, " values"]) -> bytes:
    """Encode a curve by its light, cut off at 0 and 1, at evenly spaced values."""
    levels = np.rint(np.clip(light, 0, 1) * 65535).astype(">u2")
    return b"curv" + struct.pack(">4xI", len(levels)) + levels.tobytes()


def rgb_profile(white: Chromaticity, primaries: Sequence[Chromaticity], curve: bytes) -> bytes:
    """Make the profile of an RGB colour space.

    Args:
        white: chromaticity of equal red, green and blue.
        primaries: chromaticities of red, green and blue.
        curve: encoded light by value, the same for all three.

    Raises:
        ValueError: if no colour space has these chromaticities.
    """
    columns = (_to_d50(white) @ _to_xyz(white, primaries)).T
    tags = {}
    for name, column in zip((b"r", b"g", b"b"), columns, strict=True):
        tags[name + b"XYZ"] = b"XYZ " + struct.pack(">4x") + _fixed(column.tolist())
        tags[name + b"TRC"] = curve
    return _file(tags)


def _to_xyz(white: Chromaticity, primaries: Sequence[Chromaticity]) -> Float[np.ndarray, "3 3"]:
    directions = np.stack([_xyz(each) for each in primaries], axis=1)
    if abs(np.linalg.det(directions)) < 1e-3:
        raise ValueError(f"the primaries {primaries} lie on a line")
    return directions * np.linalg.solve(directions, _xyz(white))


def _to_d50(white: Chromaticity) -> Float[np.ndarray, "3 3"]:
    scale = (_BRADFORD @ _D50) / (_BRADFORD @ _xyz(white))
    return np.linalg.inv(_BRADFORD) @ (scale[:, None] * _BRADFORD)


def _xyz(chromaticity: Chromaticity) -> Float[np.ndarray, " 3"]:
    x, y = chromaticity
    if y <= 0:
        raise ValueError(f"no colour has the chromaticity {chromaticity}")
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _fixed(values: Sequence[float]) -> bytes:
    """Encode numbers in 16.16 bits."""
    try:
        return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))
    except (struct.error, OverflowError) as error:
        raise ValueError(f"{values} do not fit into a profile") from error


def _file(tags: dict[bytes, bytes]) -> bytes:
    table, content = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, value in tags.items():
        table += name + struct.pack(">II", start + len(content), len(value))
        content += value + b"\0" * (-len(value) % 4)
    kinds = b"mntr", b"RGB ", b"XYZ ", b"acsp"
    size, white = start + len(content), _fixed(_D50.tolist())
    return struct.pack(_HEADER, size, 0x04300000, *kinds, white) + table + content
