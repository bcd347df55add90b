"""Checks of a list's cells, column by column, without a loop over the rows."""

import posixpath
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Int

from fashion_jax.datasets.boxes import as_size, mixed_units
from fashion_jax.datasets.building.list_files import short
from fashion_jax.datasets.photo_lists.cells import Cells
from fashion_jax.datasets.photo_lists.columns import BOX
from fashion_jax.datasets.photo_lists.problems import RowProblems
from fashion_jax.datasets.photo_lists.products import MISSING, ROUNDED
from fashion_jax.datasets.records import DOMAIN_NAMES, LARGEST_CAMERA, SPLITS
from fashion_jax.similar_names import did_you_mean

URI_SCHEMES = ("gs", "s3")

_URI = rf"^({'|'.join(URI_SCHEMES)})://[^/]+/."
LINK = r"(?i)^https?://[^/?#\s]"
"""A photo's address on the web, as far as an expression can tell."""

# A folder without a name (an absolute path begins with one), `.` or `..`.
_ODD_FOLDER = r"(^|/)\.{0,2}(/|$)"
_WRONG_CHARACTER = r"[\\\x00-\x1f\x7f]"
# Short enough to be finite for any digits.
_NUMBER = r"^[+-]?([0-9]{1,15}(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,2})?$"

_GROUPS = np.array([0, 1, 1, 2, 2])  # training, test or validation, for each of SPLITS


def check_cells(cells: Cells, problems: RowProblems, links: bool) -> pa.Table:
    """Check every cell, and convert texts to their types.

    Args:
        cells: cells of the list.
        problems: collector of everything invalid.
        links: whether photos may be addresses on the web.

    Returns:
        One row for each of the list's: `photo`, `product`, `domain`, `category`, `split` as
        text, `camera` as int32, `x`, `y`, `width`, `height` as float64 in the list's unit; null
        for empty or invalid cells.
    """
    check = _Check(cells, problems)
    for name in cells.columns.required:
        check.refuse(
            f"{cells.spelled(name)} is empty", pc.is_null(cells.column(name)), lambda _: ""
        )
    columns = {
        "photo": check.photo(links),
        "product": check.product(),
        "domain": check.word("domain", DOMAIN_NAMES),
        "category": cells.column("category"),
        "split": check.word("split", SPLITS),
        "camera": check.camera(),
        **check.boxes(),
    }
    check.splits_of_all(columns["split"])
    check.one_group_a_product(columns["product"], columns["split"])
    return pa.table(columns)


class _Check:
    """Checks of one manifest."""

    def __init__(self, cells: Cells, problems: RowProblems):
        self._cells = cells
        self._problems = problems

    def refuse(self, what: str, wrong: pa.ChunkedArray, value: Callable[[int], str]) -> None:
        """Add the rows where `wrong` is true to the problems, with their places and values."""
        self._add(what, np.flatnonzero(_mask(wrong)), value)

    def photo(self, links: bool) -> pa.ChunkedArray:
        """Check the photos: relative paths, each in its shortest form, or URIs."""
        photo = self._shortest()
        is_uri = pc.match_substring(photo, "://")
        schemes = " or ".join(f"{scheme}://" for scheme in URI_SCHEMES)
        what, form = f"photo in object storage must be {schemes}, a bucket and a name", _URI
        if links:
            what, form = "photo must be a path, or an address http(s):// with a host", LINK
        wrong_uri = pc.invert(pc.match_substring_regex(photo, form))
        self.refuse(what, pc.and_(is_uri, wrong_uri), self._value("photo"))
        is_path = pc.invert(is_uri)
        self.refuse(
            "photo must be a path below --photos: it must not start with / or lead outside",
            pc.and_(is_path, pc.match_substring_regex(photo, _ODD_FOLDER)),
            self._value("photo"),
        )
        self.refuse(
            "photo must have / between folders, no \\, and no control characters",
            pc.and_(is_path, pc.match_substring_regex(photo, _WRONG_CHARACTER)),
            self._value("photo"),
        )
        return photo

    def _shortest(self) -> pa.ChunkedArray:
        """Paths without needless parts: `./a.jpg`, `x/../a.jpg` and `x//../a.jpg` are `a.jpg`."""
        photo = self._cells.column("photo")
        odd = pc.and_(
            pc.match_substring_regex(photo, _ODD_FOLDER),
            pc.invert(pc.match_substring(photo, "://")),
        )
        rows = np.flatnonzero(_mask(odd))
        if not len(rows):
            return photo
        names = photo.take(rows).to_pylist()
        shortest = [posixpath.normpath(name) + "/" * name.endswith("/") for name in names]
        replaced = pc.replace_with_mask(
            photo.combine_chunks(), pa.array(_mask(odd)), pa.array(shortest, pa.string())
        )
        return pa.chunked_array([replaced])

    def product(self) -> pa.ChunkedArray:
        """Check that the products are names, not what a spreadsheet made of them."""
        product, name = self._cells.column("product"), self._cells.spelled("product")
        self.refuse(
            f"{name} is a word for a missing value: leave out the row, or name its product",
            pc.is_in(pc.utf8_lower(product), value_set=pa.array(sorted(MISSING))),
            self._value("product"),
        )
        self.refuse(
            f"{name} was rounded by a spreadsheet: format the column as text, and export it again",
            pc.match_substring_regex(product, ROUNDED),
            self._value("product"),
        )
        return product

    def word(self, name: str, words: tuple[str, ...]) -> pa.ChunkedArray:
        """Check a column of a few words, in upper or lower case."""
        text = pc.utf8_lower(self._cells.column(name))
        right = pc.is_in(text, value_set=pa.array(words))
        wrong = pc.and_(pc.is_valid(text), pc.invert(right))

        def describe(row: int) -> str:
            found = self._cells.column(name)[row].as_py()
            return f"{short(found)}{did_you_mean(found, words)}"

        self.refuse(f"{name} must be one of {', '.join(words)}", wrong, describe)
        return pc.if_else(right, text, None)

    def number(self, name: str) -> pa.ChunkedArray:
        """Check a column of finite numbers."""
        text = self._cells.column(name)
        right = pc.match_substring_regex(text, _NUMBER)
        what = f"{self._cells.spelled(name)} must be a number"
        self.refuse(what, pc.invert(right), self._value(name))
        return pc.cast(pc.if_else(right, text, None), pa.float64())

    def camera(self) -> pa.ChunkedArray:
        """Check the cameras: whole numbers, which a spreadsheet may have written as 3.0."""
        text = self._cells.column("camera")
        number = pc.match_substring_regex(text, _NUMBER)
        value = pc.cast(pc.if_else(number, text, None), pa.float64())
        within = pc.and_(pc.greater_equal(value, 0), pc.less_equal(value, LARGEST_CAMERA))
        right = pc.fill_null(pc.and_(within, pc.equal(pc.floor(value), value)), False)
        wrong = pc.and_(pc.is_valid(text), pc.invert(right))
        self.refuse(
            f"camera must be a whole number in 0..{LARGEST_CAMERA}", wrong, self._value("camera")
        )
        return pc.cast(pc.if_else(right, value, None), pa.int32())

    def boxes(self) -> dict[str, pa.ChunkedArray]:
        """Check that boxes have all four numbers, or none, and are of one unit."""
        numbers = {name: self.number(name) for name in BOX}
        given = np.stack([_mask(pc.is_valid(self._cells.column(name))) for name in BOX])
        count = given.sum(axis=0)
        names = ", ".join(map(self._cells.spelled, BOX))
        values = self._values(BOX)
        partial = np.flatnonzero((count > 0) & (count < len(BOX)))
        self._add(f"{names} must all be given, or none", partial, values)
        first, second, *size = (np.array(numbers[name].to_numpy()) for name in BOX)
        boxes = as_size(self._cells.columns.box_form, first, second, *size)
        mixed = mixed_units(np.stack(boxes, axis=-1))
        self._add(f"{names} is below a pixel, but other boxes are in pixels", mixed, values)
        return {
            name: pa.chunked_array([pa.array(box, from_pandas=True)])
            for name, box in zip(BOX, boxes, strict=True)
        }

    def _values(self, names: Sequence[str]) -> Callable[[int], str]:
        return lambda row: ", ".join(
            f"{self._cells.spelled(name)} {self._cells.column(name)[row].as_py() or '(empty)'}"
            for name in names
        )

    def splits_of_all(self, split: pa.ChunkedArray) -> None:
        """Check that every row has a split, or none."""
        empty = pc.is_null(self._cells.column("split"))
        if split.null_count < len(split):
            self.refuse(
                "split is empty, but other rows have one: fill it in all rows or in none",
                empty,
                lambda _: "",
            )

    def one_group_a_product(self, product: pa.ChunkedArray, split: pa.ChunkedArray) -> None:
        """Check that a product belongs to training, validation or test alone."""
        known = np.flatnonzero(_mask(pc.and_(pc.is_valid(product), pc.is_valid(split))))
        names = codes_of(product)[0][known]
        splits = pc.index_in(split, value_set=pa.array(SPLITS)).to_numpy()[known].astype(int)
        _, first, name = np.unique(names, return_index=True, return_inverse=True)
        clashing = np.flatnonzero(_GROUPS[splits] != _GROUPS[splits][first[name]])
        # The first row of each product that clashes with the product's first row.
        clashing = clashing[np.sort(np.unique(name[clashing], return_index=True)[1])]

        def describe(row: int) -> str:
            here = np.searchsorted(known, row)
            there = first[name[here]]
            return (
                f"{self._value('product')(row)} is in {SPLITS[splits[here]]}, but "
                f"{self._cells.place(int(known[there]))} has it in {SPLITS[splits[there]]}"
            )

        what = "product must be in one of training, validation and test only"
        self._add(what, known[clashing], describe, "product")

    def _value(self, name: str) -> Callable[[int], str]:
        return lambda row: short(self._cells.column(name)[row].as_py())

    def _add(
        self,
        what: str,
        rows: Int[np.ndarray, " wrong"],
        value: Callable[[int], str],
        unit: str = "row",
    ) -> None:
        def describe(row: int) -> str:
            return ": ".join(part for part in (self._cells.place(row), value(row)) if part)

        self._problems.add(what, rows, describe, unit)


def is_link(place: str) -> bool:
    """Whether a photo's place is an address on the web."""
    return place[:8].lower().startswith(("http://", "https://"))


def codes_of(column: pa.ChunkedArray) -> tuple[Int[np.ndarray, " rows"], list[str]]:
    """Encode a column of texts as numbers from 0, and return the texts; null becomes -1."""
    codes, texts = number_values(column)
    return codes, texts.to_pylist()


def number_values(column: pa.ChunkedArray) -> tuple[Int[np.ndarray, " rows"], pa.Array]:
    """Number equal values of a column from 0, and return the values; null becomes -1."""
    encoded = column.combine_chunks().dictionary_encode()
    codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
    return codes.astype(np.int64), encoded.dictionary


def _mask(condition: pa.ChunkedArray) -> Bool[np.ndarray, " rows"]:
    return pc.fill_null(condition, False).to_numpy()
