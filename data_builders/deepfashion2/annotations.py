"""DeepFashion2's annotations, one JSON file per photo: read in threads, validated strictly."""

import dataclasses
import functools
import pathlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from fashion_jax.datasets.boxes import Box
from fashion_jax.datasets.building.list_files import ListProblems, RowError, is_pixels, short
from fashion_jax.datasets.building.ordered import map_in_order
from fashion_jax.datasets.records import Domain
from fashion_jax.files import LARGEST_JSON, UnreadableFileError, read_file
from fashion_jax.similar_names import did_you_mean
from fashion_jax.strict_json import JsonError, decode

from .layout import photo_id

CATEGORIES = (  # in the order of their `category_id`, which starts at 1
    "short sleeve top",
    "long sleeve top",
    "short sleeve outwear",
    "long sleeve outwear",
    "vest",
    "sling",
    "shorts",
    "trousers",
    "skirt",
    "short sleeve dress",
    "long sleeve dress",
    "vest dress",
    "sling dress",
)
_DOMAINS = {"user": Domain.STREET, "shop": Domain.SHOP}
_ITEM_KEY = re.compile(r"item\d+")


@dataclasses.dataclass(frozen=True, slots=True)
class Garment:
    """One annotated item of a photo.

    Attributes:
        name: `item1`, `item2`, ….
        category: one of `CATEGORIES`.
        style: number that tells products of the same pair apart; 0 without a partner.
        box: box in pixels of the photo.
        wrong_id: whether `category_id` belongs to another category.
    """

    name: str
    category: str
    style: int
    box: Box
    wrong_id: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Annotation:
    """Annotation of a photo.

    Attributes:
        photo_id: set and number of the photo.
        domain: street for a customer's photo, or shop.
        pair_id: number shared by a shop's photos and the photos of its customers.
        garments: annotated garments, sorted by name.
    """

    photo_id: str
    domain: Domain
    pair_id: int
    garments: tuple[Garment, ...]


def read_annotations(
    part: str, paths: Iterable[pathlib.Path], threads: int, problems: ListProblems
) -> Iterator[Annotation]:
    """Read annotations, a few at a time.

    Args:
        part: set of the annotations.
        paths: files of the annotations.
        threads: number of reading threads.
        problems: collector of everything invalid.

    Yields:
        The valid annotations, in the order of the files.
    """
    for path, result in map_in_order(functools.partial(_read, part), paths, threads):
        if isinstance(result, Annotation):
            yield result
        for problem in result if isinstance(result, list) else ():
            problems.add(str(path), problem)


def _read(part: str, path: pathlib.Path) -> tuple[pathlib.Path, Annotation | list[str]]:
    """Read an annotation, or list its problems."""
    try:
        content = decode(read_file(path, LARGEST_JSON), any_number=True)  # told with their fields
    except (UnreadableFileError, JsonError) as error:
        return path, [f"not JSON: {error}"]
    if not isinstance(content, dict):
        return path, [f"an object was expected, not {short(content)}"]
    return path, _parse(photo_id(part, path.stem), content)


def _parse(photo: str, content: Mapping[str, Any]) -> Annotation | list[str]:
    names = sorted(key for key in content if key.lower().startswith("item"))
    readers: dict[str, Callable[[Any], Any]] = {"source": _domain, "pair_id": _whole}
    readers |= {name: functools.partial(_garment, name) for name in names}
    read: dict[str, Any] = {}
    wrong: list[str] = []
    for name, reader in readers.items():
        try:
            read[name] = reader(content.get(name))
        except RowError as error:
            wrong.append(f"{name}: {error}")
    if wrong:
        return wrong
    garments = tuple(read[name] for name in names)
    return Annotation(photo, read["source"], read["pair_id"], garments)


def _domain(source: Any) -> Domain:
    if not (isinstance(source, str) and source in _DOMAINS):
        hint = did_you_mean(str(source), _DOMAINS)
        raise RowError(f"one of {', '.join(_DOMAINS)} was expected, not {short(source)}{hint}")
    return _DOMAINS[source]


def _garment(name: str, item: Any) -> Garment:
    if not _ITEM_KEY.fullmatch(name):
        raise RowError("items must be named item1, item2, …")
    if not isinstance(item, dict):
        raise RowError(f"an object was expected, not {short(item)}")
    category = item.get("category_name")
    if category not in CATEGORIES:
        raise RowError(f"category_name must be one of DeepFashion2's 13, not {short(category)}")
    try:
        style = _whole(item.get("style"))
    except RowError as error:
        raise RowError(f"style: {error}") from error
    wrong_id = item.get("category_id") != CATEGORIES.index(category) + 1
    return Garment(name, category, style, _box(item.get("bounding_box")), wrong_id)


def _box(corners: Any) -> Box:
    if not (isinstance(corners, list) and len(corners) == 4 and all(map(is_pixels, corners))):
        raise RowError(f"bounding_box must be [x1, y1, x2, y2], not {short(corners)}")
    x1, y1, x2, y2 = corners
    return Box(x1, y1, x2 - x1, y2 - y1)


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise RowError(f"a whole number was expected, not {short(value)}")
    return value
