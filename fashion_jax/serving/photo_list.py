"""Photos to add to an index: those of folders, or those that a list names."""

import collections
import csv
import dataclasses
import difflib
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence

from fashion_jax.datasets.photos import list_photos
from fashion_jax.datasets.records import DOMAIN_NAMES
from fashion_jax.errors import FashionJaxError, named
from fashion_jax.files import is_folder
from fashion_jax.retrieval.catalogue.items import UNKNOWN_PRODUCT, Item

COLUMNS = ("photo", "category", "product")
DEFAULT_CATEGORY = "item"


@dataclasses.dataclass(frozen=True)
class ListedPhoto:
    """A photo to add.

    Attributes:
        path: path of the file; its content is not checked.
        item: the catalogue's entry.
    """

    path: pathlib.Path
    item: Item


@dataclasses.dataclass(frozen=True)
class Defaults:
    """Values for photos that a list does not cover.

    Attributes:
        category: category of the garment.
        product: identity of the product; `UNKNOWN_PRODUCT` by default.
        domain: `street` or `shop`.
    """

    category: str = DEFAULT_CATEGORY
    product: int = UNKNOWN_PRODUCT
    domain: str = "shop"

    def item(self, photo_id: str, category: str = "", product: int | None = None) -> Item:
        """The catalogue's entry for a photo."""
        identity = self.product if product is None else product
        return Item(photo_id, identity, category or self.category, self.domain)

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
    _refuse(_repeated(photos, lambda photo: photo.item.photo_id), "photos share an id")
    names = [photo.item.photo_id for photo in photos]
    odd = [repr(n) for n in names if n.encode("utf-8", "replace") != n.encode("utf-8", "ignore")]
    _refuse(odd, "photos have names that are not Unicode; rename them")
    return photos


def read_list(path: pathlib.Path, root: pathlib.Path, defaults: Defaults) -> list[ListedPhoto]:
    """Read a CSV file with the column `photo` and, if present, `category` and `product`.

    Photos are paths relative to `root`. An empty cell or a missing column means the default. A
    photo may appear once for each product that it shows.

    Raises:
        FashionJaxError: with all rows that cannot be used.
    """
    if not path.is_file():
        raise FashionJaxError(f"no list at {path.resolve()}")
    if not root.is_dir():
        raise FashionJaxError(
            f"the photos of {path} are relative to a folder: name it with --photos; {root} is not "
            f"a folder"
        )
    photos, problems = [], []
    rows = _rows(path)
    columns = _columns(path, next(rows, (0, []))[1])
    for line, cells in rows:
        try:
            photos.append(_listed(columns, cells, root, defaults))
        except ValueError as error:
            problems.append(f"line {line}: {error}")
    _refuse(problems, f"rows of {path} cannot be used")
    if not photos:
        raise FashionJaxError(f"{path} has no row below its header")
    repeated = _repeated(photos, lambda photo: (photo.item.photo_id, photo.item.identity))
    _refuse(repeated, f"photos are in {path} more than once with the same product")
    return photos


def read_names(path: pathlib.Path) -> list[str]:
    """Read photo ids from a text file, one per line; empty lines are skipped.

    Raises:
        FashionJaxError: no such file, or not text in UTF-8.
    """
    if not path.is_file():
        raise FashionJaxError(f"no list at {path.resolve()}")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise FashionJaxError(f"{path} is not text in UTF-8: {error}") from error
    return [name for name in text.split("\n") if name.strip()]


def _rows(path: pathlib.Path) -> Iterator[tuple[int, list[str]]]:
    """Cells of each line that is not empty, stripped; the header is the first."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            for cells in reader:
                if cells:
                    yield reader.line_num, [cell.strip() for cell in cells]
    except (UnicodeDecodeError, csv.Error) as error:
        raise FashionJaxError(f"{path} is not a CSV file in UTF-8: {error}") from error


def _columns(path: pathlib.Path, header: Sequence[str]) -> list[str]:
    names = [name.lower() for name in header]
    unknown = [name for name in names if name not in COLUMNS]
    if unknown or "photo" not in names or len(set(names)) < len(names):
        near = difflib.get_close_matches(unknown[0], COLUMNS, n=1) if unknown else []
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise FashionJaxError(
            f"{path} has the columns {', '.join(header) or 'none'}{hint}; expected photo and, if "
            f"known, category and product"
        )
    return names


def _listed(
    columns: Sequence[str], cells: Sequence[str], root: pathlib.Path, defaults: Defaults
) -> ListedPhoto:
    if len(cells) > len(columns):
        raise ValueError(f"{len(cells)} cells, but {len(columns)} columns")
    row = dict(zip(columns, cells, strict=False))
    name, product = row.get("photo", ""), row.get("product", "")
    if not name:
        raise ValueError("no photo is named")
    if pathlib.PurePath(name).is_absolute():
        raise ValueError(f"{name} is not relative to a folder")
    if product and not product.isdecimal():
        raise ValueError(f"product {product!r} is not a number")
    number = int(product) if product else None
    return ListedPhoto(root / name, defaults.item(name, row.get("category", ""), number))


def _repeated(photos: Iterable[ListedPhoto], key: Callable[[ListedPhoto], object]) -> Sequence[str]:
    counts = collections.Counter(key(photo) for photo in photos)
    return sorted({p.item.photo_id for p in photos if counts[key(p)] > 1})


def _refuse(names: Sequence[str], what: str) -> None:
    if names:
        raise FashionJaxError(f"{len(names):,} {what}: {named(names)}")
