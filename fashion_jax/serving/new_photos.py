"""Photos to add to an index: those of folders, or those that a list names."""

import collections
import dataclasses
import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from fashion_jax.datasets.photo_lists.checks import LINK, URI_SCHEMES
from fashion_jax.datasets.photo_lists.columns import ListUse
from fashion_jax.datasets.photo_lists.photo_list import (
    DEFAULT_CATEGORY,
    MAX_BYTES,
    read_photo_list,
)
from fashion_jax.datasets.photos import find_file, list_photos
from fashion_jax.datasets.records import DOMAIN_NAMES
from fashion_jax.errors import FashionJaxError, named
from fashion_jax.files import is_folder, read_file
from fashion_jax.retrieval.catalogue.item_table import ItemTable
from fashion_jax.retrieval.catalogue.items import UNKNOWN_PRODUCT, Item, Origin
from fashion_jax.similar_names import did_you_mean

_BUCKETS = tuple(f"{scheme}://" for scheme in URI_SCHEMES)


@dataclasses.dataclass(frozen=True)
class Defaults:
    """Values for photos that a list does not cover.

    Attributes:
        category: category of the garment.
        product: name or number of the product; `UNKNOWN_PRODUCT` by default.
        domain: `street` or `shop`.
    """

    category: str = DEFAULT_CATEGORY
    product: str = UNKNOWN_PRODUCT
    domain: str = "shop"

    def item(self, photo_id: str) -> Item:
        """The catalogue's entry for a photo."""
        return Item(photo_id, self.product, self.category, self.domain)

    def __post_init__(self) -> None:
        if self.domain not in DOMAIN_NAMES:
            raise FashionJaxError(
                f"domain {self.domain!r} is unknown; choose {' or '.join(DOMAIN_NAMES)}"
            )


def find_photos(*places: str | os.PathLike[str], defaults: Defaults | None = None) -> ItemTable:
    """List all files of folders, and single files.

    A photo's id is its path below the folder, or a single file's name. Hidden files are skipped.

    Args:
        *places: folders, and files.
        defaults: what is known of all of them.

    Returns:
        Their items and origins; the files' content is not checked.

    Raises:
        FashionJaxError: a missing place, two photos with the same id, or no photo.
    """
    paths: list[pathlib.Path] = []
    names: list[str] = []
    defaults = defaults or Defaults()
    for place in map(pathlib.Path, places):
        if not os.path.lexists(place):
            raise FashionJaxError(f"no photo and no folder at {place.absolute()}")
        found = list_photos(place) if is_folder(place) else [place]
        root = place if is_folder(place) else place.parent
        paths += found
        names += [path.relative_to(root).as_posix() for path in found]
    if not paths:
        raise FashionJaxError(f"no photo in {named([str(place) for place in places])}")
    _refuse(_repeated(names), "photos share an id")
    sources = [str(path.absolute()) for path in paths]
    odd = [repr(n) for n in sources if n.encode("utf-8", "replace") != n.encode("utf-8", "ignore")]
    _refuse(odd, "photos have names that are not Unicode; rename them")
    return ItemTable.of(map(defaults.item, names), [Origin(source) for source in sources])


def read_list(
    path: pathlib.Path,
    root: pathlib.Path | None,
    defaults: Defaults,
    types: Mapping[str, str] | None = None,
    none: Sequence[str] = (),
    links: bool = False,
    link: str | None = None,
) -> ItemTable:
    """Read a list of photos, such as the one that a dataset was built from.

    The list is CSV, Parquet or JSON lines, with the column `photo` (a path relative to `root`) and,
    if known, `product`, `category`, `domain`, a box and fields; see
    `data_builders/catalogue/README.md`. An empty cell or a missing column means the default. A
    photo appears once for each product on it.

    Args:
        path: the list.
        root: folder that the photos are relative to.
        defaults: what is known of photos that the list says nothing about.
        types: types of fields, by name, that do not follow from their values.
        none: words for an empty cell.
        links: whether photos may be addresses on the web, which are their origins then.
        link: name of a field with addresses of the photos, which take the place of paths.

    Returns:
        Items and origins; the files are not opened.

    Raises:
        FashionJaxError: with all rows that cannot be used.
    """
    content = read_file(path, MAX_BYTES)
    use = ListUse(("photo",), links=links, splits=False)
    known = defaults.category, defaults.domain
    listed = read_photo_list(content, str(path), use, *known, types, none)
    product = pc.fill_null(listed.rows["product"], defaults.product)
    items = ItemTable(listed.rows.rename_columns({"photo": "photo_id"}))
    items = items.with_columns({"product": product})
    places = items.column("photo_id")
    if link is not None:
        places = pc.coalesce(_addresses(path, items, link), places)
    sources = _sources(path, places.to_pylist(), root)
    return items.with_columns(
        {
            "source": pa.array(sources, pa.string()),
            "box_unit": pc.if_else(pc.is_valid(items.column("x")), listed.box_unit, None),
        }
    )


def require_fields(types: Iterable[str], fields: Sequence[str], path: pathlib.Path) -> None:
    """Refuse types of fields that a list does not have."""
    for name in types:
        if name not in fields:
            raise FashionJaxError(
                f"--types names {name!r}, which is no field of {path}; its fields are "
                f"{named(fields) or 'none'}{did_you_mean(name, fields)}"
            )


def _addresses(path: pathlib.Path, items: ItemTable, link: str) -> pa.ChunkedArray:
    """Addresses in a field; null where a row has none."""
    if items.types.get(link) != "text":
        raise FashionJaxError(
            f"{path} has no column {link!r} of addresses{did_you_mean(link, items.fields)}"
        )
    column = items.fields[link]
    wrong = column.filter(pc.invert(pc.match_substring_regex(column, LINK)))
    _refuse(wrong.drop_null().to_pylist(), f"cells of {link} are not addresses http(s)://")
    return column


def _sources(path: pathlib.Path, places: Sequence[str], root: pathlib.Path | None) -> list[str]:
    """Addresses as they are, and paths below a folder."""
    if (root is None or not root.is_dir()) and not all("://" in place for place in places):
        found = "" if root is None else f"; {root} is not a folder"
        raise FashionJaxError(
            f"the photos of {path} are relative to a folder: name it with --photos{found}"
        )
    _refuse(
        [place for place in places if place.startswith(_BUCKETS)],
        f"photos of {path} are in object storage: copy them into a folder",
    )
    folder = pathlib.Path() if root is None else root.absolute()
    return [place if "://" in place else str(find_file(folder, place)) for place in places]


def read_names(path: pathlib.Path) -> list[str]:
    """Read photo ids from a text file, one per line; empty lines are skipped.

    Raises:
        FashionJaxError: no such file, or not text in UTF-8.
    """
    try:
        text = read_file(path, MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FashionJaxError(f"{path} is not text in UTF-8: {error}") from error
    return [name for name in text.replace("\r\n", "\n").split("\n") if name.strip()]


def _repeated(names: Iterable[str]) -> Sequence[str]:
    return sorted(name for name, count in collections.Counter(names).items() if count > 1)


def _refuse(names: Sequence[str], what: str) -> None:
    if names:
        raise FashionJaxError(f"{len(names):,} {what}: {named(names)}")
