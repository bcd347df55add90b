"""Writes a tiny catalogue: photos, a manifest, and the same as Parquet; with usual defects.

    python -m tests.dummy_data.catalogue FOLDER

24 products have two street photos, each with a box, and two shop photos. Two more have shop photos
only, one has a street photo only.
"""

import argparse
import csv
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.dummy_data.dummy_photos import (
    EMPTY,
    NOT_AN_IMAGE,
    TRUNCATED,
    soft_pattern,
    write_photo,
)

WIDTH, HEIGHT = 48, 64
WHOLE_PRODUCTS = 24
SHOP_ONLY = ("P-025", "P-026")
STREET_ONLY = "P-027"
CATEGORIES = ("coats", "dresses", "hats")
COLUMNS = (
    *("photo", "identity", "domain", "category", "camera", "price"),
    *("x", "y", "width", "height"),
)

MISSING = "street/P-002-1.jpg"
DAMAGE = {
    "street/P-003-1.jpg": EMPTY,
    "shop/P-003-2.jpg": TRUNCATED,
    "shop/P-007-1.jpg": NOT_AN_IMAGE,
}
BOXES = {  # in place of good ones
    "street/P-008-1.jpg": (4, 6, 0, 0),  # empty
    "street/P-009-1.jpg": (200, 6, 20, 20),  # outside
    "street/P-010-1.jpg": (20, -8, 60, 40.5),  # partly outside
}
NAMES = {  # of products, in place of their numbers
    "P-004": 'Kleid "Élan", rot',
    "P-006": "płaszcz\nzimowy",
}
FILES = {  # names of photos, in place of plain ones
    "shop/P-004-1.jpg": 'shop/red, "new".jpg',
    "shop/P-006-1.jpg": "shop/żółty/płaszcz 1.jpg",
}
SHARED_PHOTO = "street/P-011-1.jpg"  # the product P-012 is on it, too
SHARED_BOX = (2, 3, 15, 20)
REPEATED_PHOTO = "shop/P-012-1.jpg"  # its row is there twice

Row = Mapping[str, Any]


def write_dummy_data(folder: pathlib.Path) -> None:
    """Write `items.csv`, `items.parquet` and `photos/`."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = manifest_rows()
    write_csv(folder / "items.csv", rows)
    write_parquet(folder / "items.parquet", rows)
    for photo in photos():
        if photo != MISSING:
            pixels = soft_pattern(number_of(photo), WIDTH, HEIGHT)
            write_photo(folder / "photos" / photo, pixels, DAMAGE.get(photo))


def manifest_rows() -> list[Row]:
    """The rows; what is not given is `None`."""
    rows = list(_rows())
    shared = next(row for row in rows if row["photo"] == SHARED_PHOTO)
    repeated = next(row for row in rows if row["photo"] == REPEATED_PHOTO)
    other = dict(zip(("x", "y", "width", "height"), SHARED_BOX, strict=True))
    return [*rows, {**shared, **other, "identity": "P-012"}, repeated]


def photos() -> list[str]:
    """Names of all photos, the missing one included."""
    return list(dict.fromkeys(row["photo"] for row in manifest_rows()))


def number_of(photo: str) -> int:
    """Pattern on a photo."""
    return photos().index(photo)


def good_box(number: int) -> tuple[float, float, float, float]:
    """Box of product `number` on its street photos."""
    return number % 7, 5 + number % 5, 30, 41


def write_csv(
    path: pathlib.Path,
    rows: Sequence[Row],
    columns: Sequence[str] = COLUMNS,
    encoding: str = "utf-8-sig",
) -> None:
    """Write some columns of rows as spreadsheets do: with a byte order mark, lines with CRLF."""
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def write_parquet(
    path: pathlib.Path, rows: Sequence[Row], columns: Sequence[str] = COLUMNS
) -> None:
    """Write some columns of rows, numbers as numbers."""
    pq.write_table(pa.table({name: [row[name] for row in rows] for name in columns}), path)


def _rows() -> Iterator[Row]:
    for number in range(1, WHOLE_PRODUCTS + 1):
        yield from (_street(number, 1), _street(number, 2), _shop(number, 1), _shop(number, 2))
    for product in SHOP_ONLY:
        yield from (_shop(int(product[2:]), 1), _shop(int(product[2:]), 2))
    yield _street(int(STREET_ONLY[2:]), 1)


def _street(number: int, which: int) -> Row:
    row = _row(number, "street", which)
    box = BOXES.get(row["photo"], good_box(number))
    camera = number % 3 if which == 1 else None
    names = ("x", "y", "width", "height")
    return {**row, "camera": camera, **dict(zip(names, map(float, box), strict=True))}


def _shop(number: int, which: int) -> Row:
    return _row(number, "shop", which)


def _row(number: int, domain: str, which: int) -> dict[str, Any]:
    name = f"P-{number:03d}"
    photo = f"{domain}/{name}-{which}.jpg"
    return {
        **dict.fromkeys(COLUMNS),
        "photo": FILES.get(photo, photo),
        "identity": NAMES.get(name, name),
        "domain": domain,
        "category": CATEGORIES[number % len(CATEGORIES)],
        "price": "9,90",
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="writes a tiny catalogue")
    parser.add_argument("folder", type=pathlib.Path, help="must not exist yet")
    write_dummy_data(parser.parse_args().folder)
