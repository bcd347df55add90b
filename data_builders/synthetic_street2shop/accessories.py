"""Silhouettes of hats, bags and shoes."""

from data_builders.synthetic_street2shop.clothes import Cut, Proportions
from data_builders.synthetic_street2shop.shapes import (
    Dot,
    Part,
    Piece,
    Stroke,
    bend,
    both_sides,
    ellipse,
    mirrored,
    moved,
    rectangle,
    smooth,
)

HAT_CUTS = {
    "kind": ("cap", "beanie", "fedora", "sunhat", "bucket"),
    "trim": ("plain", "band", "badge"),
}
BAG_CUTS = {
    "kind": ("tote", "flap", "backpack", "bucket", "clutch"),
    "trim": ("plain", "buckle", "tassel", "pocket"),
}
SHOE_CUTS = {
    "kind": ("sneaker", "boot", "pump", "sandal", "loafer"),
    "sole": ("white", "black", "accent"),
    "height": ("flat", "thick"),
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


def shoes(cut: Cut, proportions: Proportions) -> list[Part]:
    """A pair of shoes, seen from the side, one behind the other."""
    draw = {"sneaker": _sneaker, "boot": _boot, "pump": _pump, "sandal": _sandal, "loafer": _loafer}
    thickness = 0.05 if cut["height"] == "flat" else 0.1
    shoe = draw[cut["kind"]](0.78 - thickness, thickness, cut["sole"], 0.05 * proportions[0])
    return [
        *(moved(part, 0.06, -0.2) for part in shoe),
        *(moved(part, -0.05, 0.06) for part in shoe),
    ]


def _sole(floor: float, thickness: float, fill: str) -> Piece:
    bottom = floor + thickness
    corners = [(-0.42, floor - 0.02)] * 2 + [(0.4, floor - 0.02), (0.46, floor + 0.01)]
    return Piece(
        smooth([*corners, (0.42, bottom), (-0.4, bottom), (-0.44, bottom - 0.02)], 2), fill
    )


def _sneaker(floor: float, thickness: float, fill: str, extra: float) -> list[Part]:
    collar = floor - 0.25 - extra
    upper = smooth(
        [(-0.41, floor)] * 2
        + [(-0.42, collar + 0.02), (-0.37, collar - 0.01), (-0.22, collar + 0.05), (-0.08, collar)]
        + [(0.16, floor - 0.12), (0.38, floor - 0.09), (0.44, floor), (0.44, floor)]
    )
    laces: list[Part] = [
        Stroke(
            bend(
                [
                    (-0.08 + 0.07 * step, collar + 0.09 + 0.035 * step),
                    (0.0 + 0.07 * step, collar + 0.03 + 0.035 * step),
                ]
            ),
            0.018,
            "white",
        )
        for step in range(3)
    ]
    wave = Stroke(
        bend([(-0.3, floor - 0.05), (-0.1, floor - 0.03), (0.0, floor - 0.13)]), 0.035, "accent"
    )
    toe = Piece(
        smooth([(0.26, floor), (0.28, floor - 0.1), (0.42, floor - 0.06), (0.44, floor)]), fill
    )
    return [Piece(upper), wave, toe, *laces, _sole(floor, thickness, fill)]


def _boot(floor: float, thickness: float, fill: str, extra: float) -> list[Part]:
    shaft = floor - 0.48 - 2 * extra
    upper = smooth(
        [(-0.41, floor)] * 2
        + [
            (-0.4, floor - 0.25),
            (-0.42, shaft),
            (-0.42, shaft),
            (-0.12, shaft),
            (-0.12, shaft),
            (-0.1, floor - 0.22),
        ]
        + [(0.2, floor - 0.16), (0.42, floor - 0.1), (0.44, floor), (0.44, floor)]
    )
    heel = Piece(rectangle(-0.42, floor, -0.2, floor + thickness + 0.06), fill)
    cuff = Stroke(bend([(-0.41, shaft + 0.06), (-0.13, shaft + 0.06)]), 0.03, "accent")
    zipper = Stroke(bend([(-0.24, shaft + 0.08), (-0.24, floor - 0.05)]), 0.012, "metal")
    return [Piece(upper), cuff, zipper, heel, _sole(floor, thickness * 0.7, fill)]


def _pump(floor: float, thickness: float, fill: str, extra: float) -> list[Part]:
    lift = (0.2 if thickness < 0.06 else 0.3) + extra
    topline = [(-0.4, floor - lift - 0.2)] * 2 + [(-0.31, floor - lift - 0.08)]
    topline += [(-0.1, floor - 0.6 * lift - 0.06), (0.06, floor - 0.12), (0.16, floor - 0.17)]
    toe = [(0.34, floor - 0.1), (0.48, floor - 0.02), (0.48, floor - 0.02), (0.44, floor + 0.015)]
    sole = [(0.14, floor + 0.015), (-0.06, floor - 0.4 * lift + 0.06), (-0.26, floor - lift + 0.06)]
    upper = smooth(
        [*topline, *toe, *sole, (-0.4, floor - lift + 0.04), (-0.41, floor - lift - 0.1)]
    )
    heel = smooth(
        [
            *[(-0.41, floor - lift)] * 2,
            *[(-0.24, floor - lift + 0.04)] * 2,
            *[(-0.34, floor + 0.02)] * 2,
            *[(-0.385, floor + 0.02)] * 2,
        ],
        rounds=2,
    )
    return [Piece(heel, fill), Piece(upper), Dot(0.16, floor - 0.145, 0.03)]


def _sandal(floor: float, thickness: float, fill: str, extra: float) -> list[Part]:
    front = bend([(0.12, floor), (0.2, floor - 0.15), (0.34, floor - 0.12), (0.38, floor)])
    ankle = bend(
        [(-0.4, floor - 0.05), (-0.36, floor - 0.28 - extra), (-0.18, floor - 0.26 - extra)]
    )
    link = bend([(-0.18, floor - 0.26 - extra), (-0.05, floor - 0.15), (-0.06, floor)])
    back = Piece(
        smooth([(-0.42, floor), (-0.42, floor - 0.14), (-0.3, floor - 0.12), (-0.28, floor)])
    )
    vamp = Piece(
        smooth(
            [(0.02, floor)] * 2
            + [(0.1, floor - 0.17), (0.26, floor - 0.16), (0.3, floor), (0.3, floor)]
        )
    )
    return [
        back,
        vamp,
        Stroke(front, 0.03, "accent"),
        Stroke(ankle, 0.03, "base"),
        Stroke(link, 0.03, "base"),
        Dot(-0.28, floor - 0.27 - extra, 0.02, "metal"),
        _sole(floor, thickness, fill),
    ]


def _loafer(floor: float, thickness: float, fill: str, extra: float) -> list[Part]:
    collar = floor - 0.18 - extra
    upper = smooth(
        [(-0.41, floor)] * 2
        + [
            (-0.42, collar),
            (-0.36, collar - 0.01),
            (-0.1, collar + 0.05),
            (0.02, collar - 0.03),
            (0.1, collar - 0.02),
        ]
        + [(0.34, floor - 0.12), (0.44, floor - 0.03), (0.44, floor)]
    )
    band = smooth([(-0.06, floor), (0.0, collar - 0.01), (0.1, collar - 0.02), (0.1, floor)], 2)
    return [
        Piece(upper),
        Piece(band, "accent"),
        Dot(0.04, collar + 0.04, 0.022, "metal"),
        _sole(floor, thickness, fill),
    ]
