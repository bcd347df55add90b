"""Silhouettes of hats and caps."""

from .clothes import Cut, Proportions
from .shapes import (
    Dot,
    Part,
    Piece,
    Stroke,
    bend,
    both_sides,
    ellipse,
    mirrored,
    smooth,
)

HAT_CUTS = {
    "kind": ("cap", "beanie", "fedora", "sunhat", "bucket"),
    "trim": ("plain", "band", "badge"),
}


def hat(cut: Cut, proportions: Proportions) -> list[Part]:
    """A hat or cap, seen from the front or from the side."""
    high, wide, _ = proportions
    draw = {"cap": _cap, "beanie": _beanie, "fedora": _fedora, "sunhat": _sunhat, "bucket": _bucket}
    top = 0.3 - 0.06 * high
    parts, half, base = draw[cut["kind"]](top, 0.27 + 0.03 * wide)
    if cut["trim"] == "band":
        arc = bend([(-half, base - 0.05), (0.0, base - 0.01), (half, base - 0.05)])
        parts.append(Stroke(arc, 0.055, "accent"))
    if cut["trim"] == "badge":
        parts += [
            Dot(0.0, 0.5 * (top + base) + 0.03, 0.065),
            Dot(0.0, 0.5 * (top + base) + 0.03, 0.04, "second"),
        ]
    return parts


def _dome(top: float, half: float, base: float) -> Piece:
    side = [(0.0, top), (half * 0.75, top), (half, top + 0.14), (half, base), (half, base)]
    return Piece(smooth(both_sides([*side, (0.0, base + 0.035)])))


def _cap(top: float, half: float) -> tuple[list[Part], float, float]:
    visor = smooth(
        [(-0.02, 0.62), (0.3, 0.58), (0.58, 0.66), (0.56, 0.7), (0.25, 0.66), (-0.02, 0.67)]
    )
    seam = bend([(0.0, top), (0.1, 0.5), (0.09, 0.62)])
    crown = _dome(top, half, 0.62)
    parts: list[Part] = [
        crown,
        Piece(visor, "accent"),
        Stroke(seam),
        Stroke(mirrored(seam)),
        Dot(0.0, top + 0.005, 0.022),
    ]
    return parts, half, 0.62


def _beanie(top: float, half: float) -> tuple[list[Part], float, float]:
    rim = smooth(
        both_sides(
            [(0.0, 0.57), (half + 0.01, 0.53), (half + 0.02, 0.67), (half, 0.69), (0.0, 0.72)]
        )
    )
    ribs: list[Part] = [
        Stroke(bend([(half * at, 0.57), (half * at, 0.7)]))
        for at in (-0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75)
    ]
    parts: list[Part] = [
        Dot(0.0, top - 0.02, 0.075),
        _dome(top, half, 0.62),
        Piece(rim, light=0.86),
        *ribs,
    ]
    return parts, half, 0.55


def _fedora(top: float, half: float) -> tuple[list[Part], float, float]:
    brim = smooth(both_sides([(0.0, 0.58), (0.4, 0.52), (0.52, 0.6), (0.3, 0.69), (0.0, 0.71)]))
    crown = smooth(
        both_sides(
            [
                (0.0, top + 0.05),
                (half * 0.6, top - 0.02),
                (half * 0.85, top + 0.08),
                (half, 0.6),
                (half, 0.6),
                (0.0, 0.64),
            ]
        )
    )
    return [Piece(brim, light=0.88), Piece(crown)], half, 0.6


def _sunhat(top: float, half: float) -> tuple[list[Part], float, float]:
    brim = Piece(ellipse(0.0, 0.6, 1.12, 0.27), light=0.9)
    ring = Stroke(ellipse(0.0, 0.6, 0.9, 0.19))
    return [brim, ring, _dome(top, half * 0.9, 0.58)], half * 0.9, 0.59


def _bucket(top: float, half: float) -> tuple[list[Part], float, float]:
    brim = smooth(
        both_sides(
            [
                (half * 0.9, 0.53),
                (half * 0.9, 0.53),
                (half + 0.17, 0.72),
                (half + 0.15, 0.74),
                (0.0, 0.79),
            ]
        )
    )
    crown = smooth(both_sides([(half * 0.7, top)] * 2 + [(half * 0.92, 0.56)] * 2 + [(0.0, 0.6)]))
    return [Piece(brim, light=0.9), Piece(crown)], half * 0.9, 0.56
