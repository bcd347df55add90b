"""Silhouettes of tops, dresses and coats."""

from collections.abc import Mapping

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

Cut = Mapping[str, str]
Proportions = tuple[float, float, float]

TOP_CUTS = {
    "sleeve": ("none", "short", "elbow", "long"),
    "neck": ("crew", "v", "boat", "turtle", "shirt"),
    "hem": ("straight", "curved", "cropped"),
}
DRESS_CUTS = {
    "sleeve": ("strap", "none", "short", "long"),
    "skirt": ("pencil", "flared", "circle"),
    "length": ("mini", "knee", "maxi"),
    "waist": ("plain", "belt"),
}
COAT_CUTS = {
    "front": ("zip", "buttons", "double", "open"),
    "collar": ("lapel", "hood", "stand"),
    "length": ("short", "hip", "long"),
}

_NECKS = {  # half width, depth
    "crew": (0.095, 0.085),
    "v": (0.1, 0.23),
    "boat": (0.16, 0.05),
    "turtle": (0.08, 0.03),
    "shirt": (0.085, 0.1),
}
_SLEEVES = {  # reach to the side, reach downwards, half width of the cuff
    "short": (0.13, 0.21, 0.075),
    "elbow": (0.16, 0.36, 0.065),
    "long": (0.17, 0.66, 0.048),
}


def top(cut: Cut, proportions: Proportions) -> list[Part]:
    """A shirt, blouse, sweater or tank top."""
    fit, length, width = proportions
    shoulder = (0.2 if cut["sleeve"] == "none" else 0.235) + 0.02 * width
    chest = 0.235 + 0.035 * fit
    hem = chest + 0.03 * (fit - 0.3)
    bottom = 0.64 if cut["hem"] == "cropped" else 0.84 + 0.12 * length
    dip = 0.06 if cut["hem"] == "curved" else 0.01
    body = _body(cut["neck"], shoulder, chest, [(hem, bottom - dip)] * 2 + [(0.0, bottom)])
    parts = [*_neck_inside(cut["neck"]), *_sleeves(cut["sleeve"], shoulder, chest), body]
    return [*parts, *_neck_trim(cut["neck"], bottom), _hem_seam(hem, bottom - dip, bottom)]


def dress(cut: Cut, proportions: Proportions) -> list[Part]:
    """A dress, from its straps to its hem."""
    fit, length, width = proportions
    bottom = {"mini": 0.8, "knee": 0.96, "maxi": 1.16}[cut["length"]] + 0.04 * length
    hem = {"pencil": 0.17, "flared": 0.29, "circle": 0.4}[cut["skirt"]] + 0.03 * width
    waist, shoulder = 0.135 + 0.03 * fit, 0.17 if cut["sleeve"] in ("none", "strap") else 0.19
    neck = "boat" if cut["sleeve"] == "none" else "v" if cut["sleeve"] == "strap" else "crew"
    skirt: Points = [
        (waist, 0.42),
        (waist, 0.42),
        (waist + 0.6 * (hem - waist) + 0.02, 0.42 + 0.45 * (bottom - 0.42)),
        (hem, bottom - 0.02),
        (hem, bottom - 0.02),
        (0.0, bottom + 0.02),
    ]
    parts: list[Part] = [*_sleeves(cut["sleeve"], shoulder, 0.19)]
    if cut["sleeve"] == "strap":
        strap = bend([(0.1, -0.02), (0.11, 0.1), (0.12, 0.2)])
        parts += [Stroke(strap, 0.024, "base"), Stroke(mirrored(strap), 0.024, "base")]
        bodice: Points = [(0.0, 0.2), (0.11, 0.15), (0.13, 0.15), (0.175, 0.25), *skirt]
        parts.append(Piece(smooth(both_sides(bodice))))
    else:
        parts += _neck_inside(neck)
        parts.append(_body(neck, shoulder, 0.185, skirt))
    return parts + _waist(cut["waist"], waist) + _folds(waist, hem, bottom, cut["skirt"])


def coat(cut: Cut, proportions: Proportions) -> list[Part]:
    """A jacket, parka or coat."""
    fit, length, width = proportions
    shoulder, chest = 0.25 + 0.02 * width, 0.255 + 0.03 * fit
    bottom = {"short": 0.68, "hip": 0.86, "long": 1.12}[cut["length"]] + 0.04 * length
    hem = chest + 0.015 + (0.05 if cut["length"] == "long" else 0.0) * fit
    body = _body("v", shoulder, chest, [(hem, bottom)] * 2 + [(0.0, bottom + 0.005)])
    parts: list[Part] = []
    if cut["collar"] == "hood":
        parts.append(
            Piece(smooth([(-0.15, 0.1), (-0.16, -0.08), (0.16, -0.08), (0.15, 0.1)]), light=0.8)
        )
        parts.append(
            Piece(smooth([(-0.1, 0.12), (-0.1, -0.03), (0.1, -0.03), (0.1, 0.12)]), "inside")
        )
    parts += [*_neck_inside("v"), *_sleeves("long", shoulder, chest, wide=0.02), body]
    return [
        *parts,
        *_coat_front(cut["front"], bottom),
        *_collar(cut["collar"]),
        *_pockets(hem, bottom),
    ]


def _body(neck: str, shoulder: float, chest: float, below: Points) -> Piece:
    half, depth = _NECKS[neck]
    lowest = [(0.0, depth)] * (2 if neck == "v" else 1)
    side = [(half, 0.0), (half, 0.0), (shoulder, 0.05), (shoulder, 0.05), (chest - 0.02, 0.26)]
    curve = [] if neck == "v" else [(half * 0.75, depth * 0.9)]
    return Piece(smooth(both_sides([*lowest, *curve, *side, (chest - 0.01, 0.42), *below])))


def _neck_inside(neck: str) -> list[Part]:
    half, depth = _NECKS[neck]
    if neck == "turtle":
        return []
    return [
        Piece(
            smooth([(-half, 0.0), (half, 0.0), (half * 0.6, depth), (-half * 0.6, depth)]), "inside"
        )
    ]


def _neck_trim(neck: str, bottom: float) -> list[Part]:
    half, depth = _NECKS[neck]
    if neck == "turtle":
        tube = rectangle(-half * 0.95, -0.1, half * 0.95, 0.05, round_by=2)
        return [Piece(tube, light=0.93), Stroke(bend([(-half, 0.0), (0, 0.03), (half, 0.0)]))]
    if neck == "shirt":
        return _shirt_front(half, bottom)
    middle = [(0.0, depth + 0.005)] * (3 if neck == "v" else 1)
    edge = bend(
        [(-half, 0.0), (-half * 0.7, depth * 0.8), *middle, (half * 0.7, depth * 0.8), (half, 0.0)]
    )
    if neck == "v":
        edge = bend([(-half, 0.0), (0.0, depth), (0.0, depth), (half, 0.0)], rounds=1)
    return [Stroke(edge, 0.016, "base"), Stroke(edge)]


def _shirt_front(half: float, bottom: float) -> list[Part]:
    leaf = smooth(
        [(0.0, 0.09)] * 2 + [(half, -0.02)] * 2 + [(half + 0.045, 0.06), (0.07, 0.16)] * 1
    )
    placket = rectangle(-0.018, 0.1, 0.018, bottom - 0.01)
    buttons = [Dot(0.0, 0.18 + 0.12 * row, 0.011) for row in range(int((bottom - 0.2) / 0.12) + 1)]
    return [
        Piece(placket, "base", 1.05),
        *buttons,
        Piece(leaf, "base"),
        Piece(mirrored(leaf), "base"),
    ]


def _sleeves(kind: str, shoulder: float, chest: float, wide: float = 0.0) -> list[Part]:
    if kind not in _SLEEVES:
        return []
    out, down, half = _SLEEVES[kind]
    half += wide
    x, y = shoulder + out, 0.06 + down
    outline = smooth(
        [
            (shoulder - 0.03, 0.045),
            (shoulder - 0.03, 0.045),
            (shoulder + 0.03, 0.07),
            (x - out * 0.25 + half * 0.8, y - down * 0.5),
            (x + half * 0.9, y - half * 0.35),
            (x + half * 0.9, y - half * 0.35),
            (x - half * 0.9, y + half * 0.35),
            (x - half * 0.9, y + half * 0.35),
            (chest + 0.02, 0.34 if kind != "short" else 0.29),
            (chest - 0.04, 0.3),
        ]
    )
    cuff = bend([(x + half * 0.8, y - half * 0.6), (x - half * 0.9, y + half * 0.1)])
    parts: list[Part] = [Piece(outline, light=0.9), Stroke(cuff)]
    return [*parts, Piece(mirrored(outline), light=0.9), Stroke(mirrored(cuff))]


def _hem_seam(half: float, side: float, bottom: float) -> Part:
    return Stroke(
        bend([(-half + 0.01, side - 0.035), (0.0, bottom - 0.035), (half - 0.01, side - 0.035)])
    )


def _waist(kind: str, half: float) -> list[Part]:
    if kind != "belt":
        return [Stroke(bend([(-half, 0.42), (0.0, 0.435), (half, 0.42)]))]
    band = rectangle(-half - 0.005, 0.4, half + 0.005, 0.45)
    return [Piece(band, "accent"), Piece(rectangle(-0.022, 0.402, 0.022, 0.448), "metal")]


def _folds(waist: float, hem: float, bottom: float, kind: str) -> list[Part]:
    count = {"pencil": 0, "flared": 2, "circle": 4}[kind]
    places = [(index + 1) / (count + 1) * 2 - 1 for index in range(count)]
    return [
        Stroke(bend([(waist * 0.8 * at, 0.5), (hem * 0.7 * at, 0.7 * bottom), (hem * at, bottom)]))
        for at in places
    ]


def _coat_front(kind: str, bottom: float) -> list[Part]:
    middle = bend([(0.0, 0.22), (0.0, bottom)])
    if kind == "zip":
        return [Stroke(middle, 0.02, "metal"), Stroke(middle), Dot(0.0, 0.28, 0.016, "metal")]
    rows = range(int((bottom - 0.32) / 0.13) + 1)
    if kind == "buttons":
        return [Stroke(middle), *(Dot(0.02, 0.3 + 0.13 * row, 0.016) for row in rows)]
    if kind == "double":
        sides = [(side, row) for row in rows for side in (-0.07, 0.07)]
        line = bend([(-0.1, 0.24), (-0.1, bottom)])
        return [Stroke(line), *(Dot(side, 0.32 + 0.13 * row, 0.018) for side, row in sides)]
    gap = smooth(
        [(0.0, 0.2), (0.0, 0.2), (0.07, bottom), (0.07, bottom), (-0.07, bottom), (-0.07, bottom)]
    )
    return [Piece(gap, "second"), Stroke(middle)]


def _collar(kind: str) -> list[Part]:
    if kind == "hood":
        strings = bend([(0.05, 0.12), (0.055, 0.25), (0.05, 0.34)])
        return [Stroke(strings, 0.012, "accent"), Stroke(mirrored(strings), 0.012, "accent")]
    if kind == "stand":
        return [
            Piece(
                smooth([(-0.11, 0.05), (-0.1, -0.07), (0.1, -0.07), (0.11, 0.05), (0.0, 0.16)]),
                light=0.85,
            )
        ]
    leaf = smooth(
        [
            (0.0, 0.26),
            (0.0, 0.26),
            (0.08, -0.02),
            (0.08, -0.02),
            (0.15, 0.06),
            (0.13, 0.14),
            (0.16, 0.15),
        ]
    )
    return [Piece(leaf, light=0.85), Piece(mirrored(leaf), light=0.85)]


def _pockets(half: float, bottom: float) -> list[Part]:
    height = min(bottom - 0.16, 0.62)
    slit = bend([(half * 0.45, height), (half * 0.85, height + 0.05)])
    return [Stroke(slit, 0.014, "inside"), Stroke(mirrored(slit), 0.014, "inside")]
