"""Silhouettes of shoes."""

from .clothes import Cut, Proportions
from .shapes import (
    Dot,
    Part,
    Piece,
    Stroke,
    bend,
    moved,
    rectangle,
    smooth,
)

SHOE_CUTS = {
    "kind": ("sneaker", "boot", "pump", "sandal", "loafer"),
    "sole": ("white", "black", "accent"),
    "height": ("flat", "thick"),
}


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
