"""Photos to add to an index: those of folders, or those that a list names."""

import collections
import dataclasses
import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from fashion_jax.datasets.boxes import Box
from fashion_jax.datasets.photo_lists.columns import BOX
from fashion_jax.datasets.photo_lists.photo_list import (
    DEFAULT_CATEGORY,
    MAX_BYTES,
    read_photo_list,
)
from fashion_jax.datasets.photos import find_file, list_photos
from fashion_jax.datasets.records import DOMAIN_NAMES
from fashion_jax.errors import FashionJaxError, named
from fashion_jax.files import is_folder, read_file
from fashion_jax.retrieval.catalogue.items import UNKNOWN_PRODUCT, Item


@dataclasses.dataclass(frozen=True)
class ListedPhoto:
    """A photo to add.

    Attributes:
        path: path of the file; its content is not checked.
        item: the catalogue's entry.
        box: box around the product; `None` for the whole photo.
        box_unit: unit of the box; one of `fashion_jax.datasets.boxes.UNITS`.
    """

    path: pathlib.Path
    item: Item
    box: Box | None = None
    box_unit: str = "pixels"


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


def find_photos(
    *places: str | os.PathLike[str], defaults: Defaults | None = None
) -> list[ListedPhoto]:
    """List all files of folders, and single files.

    A photo's id is its path below the folder, or a single file's name. Hidden files are skipped.

    Args:
        *places: folders, and files.
        defaults: what is known of all of them.

    Raises:
        FashionJaxError: a missing place, two photos with the same id, or no photo.
    """
    photos = []
    defaults = defaults or Defaults()
    for place in map(pathlib.Path, places):
        if not os.path.lexists(place):
            raise FashionJaxError(f"no photo and no folder at {place.absolute()}")
        if is_folder(place):
            photos += [
                ListedPhoto(path, defaults.item(path.relative_to(place).as_posix()))
                for path in list_photos(place)
            ]
        else:
            photos.append(ListedPhoto(place, defaults.item(place.name)))
    if not photos:
        raise FashionJaxError(f"no photo in {named([str(place) for place in places])}")
    _refuse(_repeated(photos), "photos share an id")
    names = [photo.item.photo_id for photo in photos]
    odd = [repr(n) for n in names if n.encode("utf-8", "replace") != n.encode("utf-8", "ignore")]
    _refuse(odd, "photos have names that are not Unicode; rename them")
    return photos


def read_list(path: pathlib.Path, root: pathlib.Path, defaults: Defaults) -> list[ListedPhoto]:
    """Read a list of photos, such as the one that a dataset was built from.

    The list is CSV or Parquet, with the column `photo` (a path relative to `root`) and, if known,
    `product`, `category`, `domain` and a box; see `data_builders/catalogue/README.md`. An empty
    cell or a missing column means the default. A photo appears once for each product on it.

    Args:
        path: the list.
        root: folder that the photos are relative to.
        defaults: what is known of photos that the list says nothing about.

    Raises:
        FashionJaxError: with all rows that cannot be used.
    """
    content = read_file(path, MAX_BYTES)
    if not root.is_dir():
        raise FashionJaxError(
            f"the photos of {path} are relative to a folder: name it with --photos; {root} is not "
            f"a folder"
        )
    known = defaults.category, defaults.domain
    listed = read_photo_list(content, str(path), ("photo",), *known)
    remote = [name for name in listed.rows["photo"].to_pylist() if "://" in name]
    _refuse(remote, f"photos of {path} are in object storage: copy them into {root}")
    return [
        ListedPhoto(find_file(root, row["photo"]), _item(row, defaults), _box(row), listed.box_unit)
        for row in _once_each(listed.rows)
    ]


def _once_each(rows: pa.Table) -> list[dict[str, Any]]:
    """Rows without those that differ by their split or camera alone."""
    columns = rows.select(["photo", "product", "category", "domain", *BOX])
    return list({tuple(row.values()): row for row in columns.to_pylist()}.values())


def _item(row: Mapping[str, Any], defaults: Defaults) -> Item:
    return Item(row["photo"], row["product"] or defaults.product, row["category"], row["domain"])


def _box(row: Mapping[str, Any]) -> Box | None:
    return None if row["x"] is None else Box(*(row[name] for name in BOX))


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


def _repeated(photos: Iterable[ListedPhoto]) -> Sequence[str]:
    counts = collections.Counter(photo.item.photo_id for photo in photos)
    return sorted(name for name, count in counts.items() if count > 1)


def _refuse(names: Sequence[str], what: str) -> None:
    if names:
        raise FashionJaxError(f"{len(names):,} {what}: {named(names)}")
