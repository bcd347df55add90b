"""Labels of photos: the product on each photo, and what else is known about it."""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from fashion_jax.errors import FashionJaxError

# NumPy's kinds of dtypes that compare exactly.
_KINDS = {"i": "integers", "u": "integers", "U": "texts", "T": "texts", "S": "bytes"}


class MetricsError(FashionJaxError):
    """Labels, protocols, ranks or scores that do not fit together."""


@dataclasses.dataclass(frozen=True)
class Labels:
    """Labels of photos, one value per photo in each column; all but `identity` are optional.

    Attributes:
        identity: product on each photo, an integer or a text.
        category: kind of product, such as `dresses`.
        camera: number of the camera, negative where unknown.
        photo_id: id of the photo; equal ids in queries and gallery mean the same photo.
        domain: origin of the photo, such as `street` or `shop`.

    Raises:
        MetricsError: if columns differ in length or hold values that cannot be compared, such as
            floats.
    """

    # Shapes and dtypes are checked below, with messages for people.
    identity: np.ndarray
    category: np.ndarray | None = None
    camera: np.ndarray | None = None
    photo_id: np.ndarray | None = None
    domain: np.ndarray | None = None

    def __post_init__(self) -> None:
        columns = {name: _checked(name, column) for name, column in self._columns().items()}
        lengths = {name: len(column) for name, column in columns.items()}
        if len(set(lengths.values())) > 1:
            found = ", ".join(f"{length} of {name}" for name, length in lengths.items())
            raise MetricsError(f"expected one value per photo in each column, found {found}")
        for name, column in columns.items():
            object.__setattr__(self, name, column)  # the dataclass is frozen

    @classmethod
    def of(cls, split: Any, domain: np.ndarray | None = None) -> "Labels":
        """Read the labels of a dataset's split, or of any object with the same attributes.

        Args:
            split: object with `identity` and, optionally, `category`, `camera` and `photo_id`.
            domain: domain of each photo, as text [N]; a split has numbers.
        """
        optional = {name: getattr(split, name, None) for name in ("category", "camera", "photo_id")}
        return cls(split.identity, **optional, domain=domain)

    def __len__(self) -> int:
        """Number of photos."""
        return len(self.identity)

    def take(self, rows: Int[np.ndarray, " chosen"]) -> "Labels":
        """Return the labels of some rows."""
        return Labels(**{name: column[rows] for name, column in self._columns().items()})

    def _columns(self) -> dict[str, np.ndarray]:
        """Columns that are given, by name."""
        columns = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: column for name, column in columns.items() if column is not None}


def check_pair(queries: Labels, gallery: Labels) -> None:
    """Check that labels of queries and gallery can be compared with each other.

    Raises:
        MetricsError: if only one side has cameras or photo ids, or one side of a column holds
            integers and the other texts.
    """
    for name in ("camera", "photo_id"):
        sides = {"queries": getattr(queries, name), "gallery": getattr(gallery, name)}
        missing = [side for side, column in sides.items() if column is None]
        if len(missing) == 1:
            raise MetricsError(
                f"{name} is missing for the {missing[0]} only; give it for both or for neither"
            )
    for name in ("identity", "category", "photo_id"):
        kinds = [_kind(getattr(each, name)) for each in (queries, gallery)]
        if None not in kinds and kinds[0] != kinds[1]:
            raise MetricsError(
                f"{name} holds {kinds[0]} for the queries and {kinds[1]} for the gallery, which "
                f"never match; convert one of them"
            )


def numbered(queries: Labels, gallery: Labels) -> tuple[Labels, Labels]:
    """Replace identities and photo ids by integers, which compare many times faster than texts.

    Returns:
        The labels of queries and gallery; numbers are equal where the values were.
    """
    identities: dict[Any, int] = {}
    photos: dict[Any, int] = {}

    def replace(labels: Labels) -> Labels:
        photo_id = None if labels.photo_id is None else _numbers(labels.photo_id, photos)
        identity = _numbers(labels.identity, identities)
        return dataclasses.replace(labels, identity=identity, photo_id=photo_id)

    return replace(queries), replace(gallery)


def loses_other_products(queries: Labels, gallery: Labels) -> Bool[np.ndarray, " queries"]:
    """Find queries whose photo id is also that of a gallery photo of another product.

    Args:
        queries: labels from `numbered`.
        gallery: labels from `numbered`.
    """
    if queries.photo_id is None or gallery.photo_id is None:
        return np.zeros(len(queries), dtype=bool)
    # One number per pair of photo and product.
    count = 1 + max(queries.identity.max(initial=0), gallery.identity.max(initial=0))
    asked = queries.photo_id.astype(np.int64) * count + queries.identity
    found = np.unique(gallery.photo_id.astype(np.int64) * count + gallery.identity)
    products = np.bincount(found // count, minlength=1 + queries.photo_id.max(initial=0))
    return products[queries.photo_id] > np.isin(asked, found)


def _checked(name: str, values: Any) -> np.ndarray:
    """A column as an array of integers, texts or bytes."""
    column = np.asarray(values)
    if column.ndim != 1:
        raise MetricsError(f"{name} has shape {column.shape}; expected one value per photo")
    if len(column) == 0:
        return column.astype(np.int64) if column.dtype.kind == "f" else column
    if column.dtype.kind == "O" and all(isinstance(value, str) for value in column):
        column = column.astype(str)
    allowed = "iu" if name == "camera" else "".join(_KINDS)
    if column.dtype.kind not in allowed:
        wanted = "integers, negative where unknown" if name == "camera" else "integers or texts"
        raise MetricsError(f"{name} has dtype {column.dtype}; expected {wanted}")
    return column


def _kind(column: np.ndarray | None) -> str | None:
    """Kind of the values; None where there are none."""
    return None if column is None or len(column) == 0 else _KINDS[column.dtype.kind]


def _numbers(values: np.ndarray, known: dict[Any, int]) -> Int[np.ndarray, " values"]:
    """Number of each value in the order of first appearance; `known` takes in new ones."""
    return np.array(
        [known.setdefault(each, len(known)) for each in values.tolist()], dtype=np.int32
    )
