"""Silhouettes of bags."""

from .clothes import Cut, Proportions
from .shapes import (
    Dot,
    Part,
    Piece,
    Stroke,
    bend,
    ellipse,
    mirrored,
    rectangle,
    smooth,
)

BAG_CUTS = {
    "kind": ("tote", "flap", "backpack", "bucket", "clutch"),
    "trim": ("plain", "buckle", "tassel", "pocket"),
}


def bag(cut: Cut, proportions: Proportions) -> list[Part]:
    """A bag with its handles or straps."""
    high, wide, _ = proportions
    half, top, bottom = 0.3 + 0.06 * wide, 0.4 - 0.05 * high, 0.9
    draw = {
        "tote": _tote,
        "flap": _flap,
        "backpack": _backpack,
        "bucket": _bucket_bag,
        "clutch": _clutch,
    }
    parts, top = draw[cut["kind"]](half, top, bottom)
    return [*parts, *_bag_trim(cut["trim"], half, 0.5 * (top + bottom) + 0.06)]


def _tote(half: float, top: float, bottom: float) -> tuple[list[Part], float]:
    loop = bend(
        [
            (0.14, top + 0.1),
            (0.14, top - 0.2),
            (0.08, top - 0.32),
            (-0.08, top - 0.32),
            (-0.14, top - 0.2),
            (-0.14, top + 0.1),
        ]
    )
    body = smooth(
        [(-half, top)] * 2
        + [(half, top)] * 2
        + [(half * 0.92, bottom)] * 2
        + [(-half * 0.92, bottom)] * 2
    )
    hem = Stroke(bend([(-half, top + 0.05), (half, top + 0.05)]))
    return [Stroke(loop, 0.03, "accent"), Piece(body), hem], top


def _flap(half: float, top: float, bottom: float) -> tuple[list[Part], float]:
    top += 0.1
    strap = bend(
        [
            (half * 0.9, top + 0.05),
            (half * 0.8, top - 0.3),
            (0.0, top - 0.52),
            (-half * 0.8, top - 0.3),
            (-half * 0.9, top + 0.05),
        ]
    )
    lid = smooth(
        [(-half, top)] * 2
        + [(half, top)] * 2
        + [(half * 0.95, top + 0.2), (0.0, top + 0.34), (-half * 0.95, top + 0.2)]
    )
    body = rectangle(-half, top, half, bottom, round_by=2)
    return [
        Stroke(strap, 0.022, "metal"),
        Piece(body),
        Piece(lid, light=0.88),
        Dot(0.0, top + 0.27, 0.03, "metal"),
    ], top


def _backpack(half: float, top: float, bottom: float) -> tuple[list[Part], float]:
    half, top = half * 0.9, top - 0.1
    body = smooth(
        [
            (-half * 0.9, top),
            (half * 0.9, top),
            (half, bottom),
            (half, bottom),
            (-half, bottom),
            (-half, bottom),
        ]
    )
    pocket = Piece(
        rectangle(-half * 0.72, 0.62, half * 0.72, bottom - 0.03, round_by=2), light=0.88
    )
    loop = bend([(-0.07, top + 0.05), (-0.07, top - 0.07), (0.07, top - 0.07), (0.07, top + 0.05)])
    strap = bend([(half * 0.8, top + 0.08), (half + 0.1, 0.5), (half + 0.08, bottom - 0.05)])
    straps = [Stroke(strap, 0.05, "accent"), Stroke(mirrored(strap), 0.05, "accent")]
    zipper = Stroke(
        bend([(-half * 0.8, top + 0.2), (0.0, top + 0.07), (half * 0.8, top + 0.2)]), 0.015, "metal"
    )
    return [*straps, Stroke(loop, 0.025, "accent"), Piece(body), zipper, pocket], top


def _bucket_bag(half: float, top: float, bottom: float) -> tuple[list[Part], float]:
    half *= 0.85
    strap = bend(
        [
            (half * 0.85, top + 0.02),
            (half * 0.5, top - 0.28),
            (-half * 0.5, top - 0.28),
            (-half * 0.85, top + 0.02),
        ]
    )
    body = smooth(
        [(-half, top)] * 2 + [(half, top)] * 2 + [(half * 0.8, bottom), (-half * 0.8, bottom)]
    )
    rim = Piece(ellipse(0.0, top + 0.01, 2 * half, 0.09), "inside")
    cord = Stroke(bend([(-half, top + 0.1), (0.0, top + 0.13), (half, top + 0.1)]), 0.02, "accent")
    return [Stroke(strap, 0.04, "leather"), Piece(body), rim, cord], top


def _clutch(half: float, top: float, bottom: float) -> tuple[list[Part], float]:
    half, top, bottom = half * 1.25, top + 0.12, bottom - 0.04
    body = rectangle(-half, top, half, bottom, round_by=1)
    fold = smooth(
        [(-half, top)] * 2 + [(half, top)] * 2 + [(0.0, 0.5 * (top + bottom) + 0.05)] * 2, rounds=2
    )
    return [
        Piece(body),
        Piece(fold, light=0.88),
        Stroke(bend([(-half, top + 0.01), (half, top + 0.01)]), 0.02, "metal"),
    ], top


def _bag_trim(kind: str, half: float, middle: float) -> list[Part]:
    if kind == "buckle":
        band = rectangle(-0.03, middle - 0.08, 0.03, middle + 0.12)
        return [
            Piece(band, "leather"),
            Piece(rectangle(-0.05, middle, 0.05, middle + 0.05), "metal"),
        ]
    if kind == "tassel":
        cord = bend([(half * 0.6, middle - 0.15), (half * 0.62, middle)])
        fringe = smooth(
            [
                (half * 0.62 - 0.02, middle),
                (half * 0.62 + 0.02, middle),
                (half * 0.62 + 0.05, middle + 0.17),
                (half * 0.62 - 0.05, middle + 0.17),
            ]
        )
        return [Stroke(cord, 0.012, "accent"), Piece(fringe, "accent")]
    if kind == "pocket":
        return [
            Piece(
                rectangle(-half * 0.5, middle - 0.04, half * 0.5, middle + 0.16, round_by=1),
                light=0.86,
            )
        ]
    return []
