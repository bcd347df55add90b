"""Silhouettes of pants and skirts."""

from .clothes import Cut, Proportions
from .shapes import (
    Dot,
    Part,
    Piece,
    Points,
    Stroke,
    bend,
    both_sides,
    mirrored,
    rectangle,
    smooth,
)

PANTS_CUTS = {
    "leg": ("skinny", "straight", "wide", "flared"),
    "length": ("shorts", "cropped", "full"),
    "detail": ("plain", "jeans", "cargo", "stripe"),
}
SKIRT_CUTS = {
    "flare": ("pencil", "aline", "circle"),
    "length": ("mini", "knee", "midi"),
    "detail": ("plain", "pleats", "buttons", "tiers"),
}

_LEGS = {  # half width at the knee and at the ankle
    "skinny": (0.066, 0.045),
    "straight": (0.078, 0.074),
    "wide": (0.098, 0.115),
    "flared": (0.068, 0.115),
}


def pants(cut: Cut, proportions: Proportions) -> list[Part]:
    """Trousers, jeans or shorts."""
    fit, length, width = proportions
    waist, hip = 0.15 + 0.015 * fit, 0.195 + 0.02 * width
    bottom = {"shorts": 0.48, "cropped": 0.82, "full": 1.06}[cut["length"]] + 0.05 * length
    knee, ankle = _LEGS[cut["leg"]]
    if cut["length"] == "shorts":
        knee, ankle = knee + 0.02, max(knee, ankle) + 0.025
    axis = hip - 0.085
    right: Points = [
        *[(0.0, 0.0)] * 2,
        *[(waist, 0.0)] * 2,
        (hip, 0.22),
        (axis + knee + 0.015, 0.26 + 0.45 * (bottom - 0.26)),
        *[(axis + ankle + 0.015, bottom)] * 2,
        *[(axis - ankle + 0.015, bottom)] * 2,
        (axis - knee + 0.01, 0.3 + 0.4 * (bottom - 0.3)),
        *[(0.0, 0.34)] * 2,
    ]
    leg = smooth(right)
    band = rectangle(-waist - 0.005, -0.015, waist + 0.005, 0.045)
    fly = Stroke(bend([(0.0, 0.05), (0.0, 0.34)]))
    parts: list[Part] = [Piece(mirrored(leg), light=0.96), Piece(leg), Piece(band, light=0.88), fly]
    return [*parts, Dot(0.0, 0.016, 0.014), *_pants_detail(cut["detail"], hip, axis, bottom)]


def _pants_detail(kind: str, hip: float, axis: float, bottom: float) -> list[Part]:
    if kind == "plain":
        crease = bend([(axis + 0.01, 0.12), (axis + 0.015, bottom - 0.02)])
        return [Stroke(crease), Stroke(mirrored(crease))]
    if kind == "stripe":
        line = bend(
            [(hip - 0.02, 0.08), (hip + 0.0, 0.22), (axis + 0.075, 0.5), (axis + 0.075, bottom)]
        )
        return [Stroke(line, 0.03, "accent"), Stroke(mirrored(line), 0.03, "accent")]
    pocket = bend([(0.06, 0.05), (0.08, 0.12), (hip - 0.02, 0.14)])
    parts: list[Part] = [Stroke(pocket, 0.008, "accent"), Stroke(mirrored(pocket), 0.008, "accent")]
    if kind == "cargo":
        flap = rectangle(axis, 0.42, axis + 0.1, 0.56, round_by=1)
        lid = rectangle(axis - 0.005, 0.41, axis + 0.105, 0.455)
        parts += [Piece(each, light=0.9) for side in (flap, lid) for each in (side, mirrored(side))]
    return parts


def skirt(cut: Cut, proportions: Proportions) -> list[Part]:
    """A skirt with its waistband."""
    fit, length, width = proportions
    waist = 0.15 + 0.02 * fit
    bottom = {"mini": 0.46, "knee": 0.68, "midi": 0.95}[cut["length"]] + 0.06 * length
    hem = {"pencil": 0.2, "aline": 0.31, "circle": 0.44}[cut["flare"]] + 0.03 * width
    right: Points = [
        *[(0.0, 0.0)] * 2,
        *[(waist, 0.0)] * 2,
        (waist + 0.05 + 0.35 * (hem - waist), 0.36 * bottom),
        *[(hem, bottom - 0.03)] * 2,
        (hem * 0.5, bottom + 0.02),
        (0.0, bottom + 0.02),
    ]
    cloth = Piece(smooth(both_sides(right)))
    band = Piece(rectangle(-waist - 0.004, -0.02, waist + 0.004, 0.045), light=0.85)
    return [cloth, *_skirt_detail(cut["detail"], waist, hem, bottom), band]


def _skirt_detail(kind: str, waist: float, hem: float, bottom: float) -> list[Part]:
    if kind == "buttons":
        line = Stroke(bend([(0.0, 0.03), (0.0, bottom)]))
        rows = range(int((bottom - 0.08) / 0.1))
        return [line, *(Dot(0.0, 0.1 + 0.1 * row, 0.016) for row in rows)]
    if kind == "tiers":
        heights = [0.4 * bottom, 0.72 * bottom]
        widths = [waist + (hem - waist) * (0.3 + 0.55 * height / bottom) for height in heights]
        return [
            Stroke(bend([(-half, at - 0.02), (0.0, at + 0.02), (half, at - 0.02)]), 0.016, fill)
            for at, half in zip(heights, widths, strict=True)
            for fill in ("accent", "seam")
        ]
    count = 9 if kind == "pleats" else 3
    places = [(index + 1) / (count + 1) * 2 - 1 for index in range(count)]
    start = 0.05 if kind == "pleats" else 0.4 * bottom
    return [
        Stroke(
            bend(
                [(waist * at, start), (0.5 * (waist + hem) * at, 0.5 * bottom), (hem * at, bottom)]
            )
        )
        for at in places
    ]
