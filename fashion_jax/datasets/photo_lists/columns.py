"""Columns of a list of photos, found by their names and the usual spellings of them."""

import collections
import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence

from fashion_jax.datasets.building.list_files import short
from fashion_jax.datasets.photo_lists.problems import PhotoListError
from fashion_jax.similar_names import did_you_mean

BOX = ("x", "y", "width", "height")
COLUMNS = ("photo", "product", "domain", "category", "split", "camera", *BOX)

ITEM_COLUMNS = ("photo_id",)
"""Names of what catalogues know of a photo themselves; no field can have them."""

SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "photo": (
        *("image", "file", "filename", "file_name", "path", "file_path", "filepath"),
        *("image_path", "photo_path", "image_file", "image_name"),
    ),
    "product": ("identity", "product_id", "sku", "item_id", "article_number"),
}
"""Other names of a column, which count where the column itself is missing."""

LINKS = ("image_link", "image_url", "photo_link", "photo_url", "image_src")
"""Names of columns of addresses, of which the first is the photo where no other column is."""

FORMS: Mapping[str, tuple[str, ...]] = {
    "corners": ("left", "top", "right", "bottom"),
    "size": ("left", "top", "width", "height"),
    "centre": ("centre_x", "centre_y", "width", "height"),
}
"""Ways to write a box in four columns; the first that is complete counts."""

_BOX_PREFIX = re.compile(r"^(bbox|box|bb|bounding_box|bndbox|crop)_")
_WHOLE_BOX = {
    *("bbox", "box", "boxes", "bboxes", "bounding_box", "bndbox", "bb", "rect", "roi", "xywh"),
    *("xyxy", "coordinates", "coords", "crop"),
}
_ROLES = {
    "left": ("x", "left", "x_left", "left_x", "xmin", "x_min", "minx", "min_x", "x0", "x_0"),
    "top": ("y", "top", "y_top", "top_y", "ymin", "y_min", "miny", "min_y", "y0", "y_0"),
    "right": ("right", "x_right", "right_x", "xmax", "x_max", "maxx", "max_x", "x2", "x_2"),
    "bottom": ("bottom", "y_bottom", "bottom_y", "ymax", "y_max", "maxy", "max_y", "y2", "y_2"),
    "width": ("width", "w"),
    "height": ("height", "h"),
    "centre_x": ("cx", "xc", "x_center", "x_centre", "center_x", "centre_x", "xcenter"),
    "centre_y": ("cy", "yc", "y_center", "y_centre", "center_y", "centre_y", "ycenter"),
}
_ROLE_OF = {spelling: role for role, spellings in _ROLES.items() for spelling in spellings}
_SIMILAR = 0.75


@dataclasses.dataclass(frozen=True)
class ListUse:
    """Demands on a list, which depend on its use.

    Attributes:
        required: names of the columns that must be filled.
        either: whether the first of them that the list has is enough.
        links: whether photos may be addresses on the web, in a column of `LINKS` as well.
        splits: whether split and camera count, as they do for datasets alone.
    """

    required: Sequence[str] = ("photo", "product")
    either: bool = False
    links: bool = False
    splits: bool = True


@dataclasses.dataclass(frozen=True)
class ColumnPlaces:
    """Places of a list's columns.

    Attributes:
        places: numbers of the known columns, by name, from 0.
        spelled: names of those columns in the list.
        box_form: one of `FORMS`: meaning of the columns `x`, `y`, `width` and `height`.
        further: numbers of the columns with other names, which are fields, by name.
        unnamed: whether there are columns without a name, which are not read.
        required: names of the columns that must be filled.
    """

    places: Mapping[str, int]
    spelled: Mapping[str, str]
    box_form: str
    further: Mapping[str, int]
    unnamed: bool
    required: Sequence[str]


def find_columns(header: Sequence[str], place: str, use: ListUse) -> ColumnPlaces:
    """Find the known columns, in any order, in upper or lower case.

    Args:
        header: names in the list.
        place: path or URI of the list, for messages.
        use: demands on the list.

    Raises:
        PhotoListError: if a required column is missing, a column occurs twice, a name looks
            misspelt, or a box is not in four columns that are understood.
    """
    names = [_normal(name) for name in header]
    places, problems = _plain_places(names, header, use.links)
    form, box_places, box_problems = _box_places(names, header)
    places |= box_places
    problems += box_problems
    required = [name for name in use.required if name in places][:1] if use.either else use.required
    missing = [name for name in required or [" or ".join(use.required)] if name not in places]
    problems += [f"column {name} is missing" for name in missing]
    unknown = [i for i in range(len(names)) if i not in places.values()]
    problems += _slips([names[i] for i in unknown], [header[i] for i in unknown], places)
    further = {header[i].strip(): i for i in unknown if names[i]}
    problems += _twice([names[i] for i in unknown if names[i]], list(places))
    if problems:
        found = ", ".join(map(short, header))
        optional = [name for name in COLUMNS if name not in use.required]
        wanted = (" or " if use.either else ", ").join(use.required)
        raise PhotoListError(
            f"{place}: {'; '.join(problems)}. Its columns are {found}; required are {wanted}, "
            f"optional {', '.join(optional)}"
        )
    return ColumnPlaces(
        {name: places[name] for name in COLUMNS if name in places},
        {name: header[i].strip() for name, i in places.items()},
        form,
        further,
        any(not names[i] for i in unknown),
        required,
    )


def _normal(name: str) -> str:
    return re.sub(r"[\s.\-]+", "_", name.strip().lower())


def _plain_places(
    names: Sequence[str], header: Sequence[str], links: bool
) -> tuple[dict[str, int], list[str]]:
    """Places of all columns but those of boxes; each under its name, or one other spelling."""
    places, problems = {}, []
    for column in COLUMNS:
        if column in BOX:
            continue
        found = [i for i, name in enumerate(names) if name == column]
        found = found or [i for i, name in enumerate(names) if name in SPELLINGS.get(column, ())]
        if not found and links and column == "photo":
            link = next((name for name in LINKS if name in names), None)
            found = [i for i, name in enumerate(names) if name == link]
        if len(found) > 1 and len({names[i] for i in found}) == 1:
            problems.append(f"column {header[found[0]].strip()} occurs more than once")
        elif len(found) > 1:
            either = " and ".join(header[i].strip() for i in found)
            problems.append(f"columns {either} may each be the {column}: name one of them {column}")
        if found:
            places[column] = found[0]
    return places, problems


def _box_places(
    names: Sequence[str], header: Sequence[str]
) -> tuple[str, dict[str, int], list[str]]:
    """Form and places of the columns of boxes."""
    roles = collections.defaultdict(list)
    for i, role in _box_roles(names):
        roles[role].append(i)
    for form, wanted in FORMS.items():
        if all(len(roles.get(role, ())) == 1 for role in wanted):
            rest = {role: places for role, places in roles.items() if role not in wanted}
            # Beside corners, width and height are those of the photo.
            if not rest or (form == "corners" and set(rest) <= {"width", "height"}):
                places = dict(zip(BOX, (roles[role][0] for role in wanted), strict=True))
                return form, places, []
    if not roles:
        return "size", {}, []
    found = ", ".join(header[i].strip() for places in roles.values() for i in places)
    return (
        "size",
        dict(zip(BOX, (-1, -1, -1, -1), strict=True)),
        [
            f"{found}: not a box in four columns; write x, y, width, height, or xmin, ymin, xmax, "
            "ymax, or rename what is no box"
        ],
    )


def _box_roles(names: Sequence[str]) -> Iterator[tuple[int, str]]:
    for i, name in enumerate(names):
        bare = _BOX_PREFIX.sub("", name)
        if bare in ("x1", "y1", "x_1", "y_1"):  # the second corner beside x0, else the first
            first = bare[0] + "0" not in {_BOX_PREFIX.sub("", n).replace("_", "") for n in names}
            corner = ("left", "right") if bare[0] == "x" else ("top", "bottom")
            yield i, corner[0 if first else 1]
        elif bare in _ROLE_OF:
            yield i, _ROLE_OF[bare]
        elif name in _WHOLE_BOX:
            yield i, "whole"


def _twice(further: Sequence[str], known: Sequence[str]) -> list[str]:
    """Name further columns that occur twice, or that have a known column's other name."""
    counted = collections.Counter([*further, *ITEM_COLUMNS])
    return [
        f"column {name} occurs more than once, or beside {' and '.join(known)}: rename one of them"
        for name, count in counted.items()
        if count > 1
    ]


def _slips(names: Sequence[str], header: Sequence[str], places: Mapping[str, int]) -> list[str]:
    """Name the missing columns that names of nearly the same length misspell.

    Teams often have further columns, such as `category_id` or `photographer`.
    """
    free = [column for column in COLUMNS if places.get(column, -1) < 0]
    hints = {
        found: did_you_mean(
            name, [each for each in free if abs(len(each) - len(name)) <= 1], _SIMILAR
        )
        for name, found in zip(names, header, strict=True)
        if name not in COLUMNS
    }
    return [f"unknown column {short(found)}{hint}" for found, hint in hints.items() if hint]
