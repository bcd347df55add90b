"""Conditions on what is known of photos, such as `price<50` and `colour in red,blue`.

A condition compares `photo_id`, `product`, `category`, `domain` or a field with a value. A list of
texts equals a text that it contains. `!=` and `not in` match every photo that `=` and
`in` do not match, including photos without a value. Other comparisons never match a missing value.
"""

import csv
import dataclasses
import datetime
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool

from fashion_jax.datasets.photo_lists.fields import TYPES, type_name
from fashion_jax.errors import FashionJaxError
from fashion_jax.retrieval.catalogue.item_table import ItemTable
from fashion_jax.retrieval.catalogue.items import ITEM_COLUMNS
from fashion_jax.similar_names import did_you_mean, told_apart

_COMPARED: Mapping[str, Callable[[pa.ChunkedArray, pa.Scalar], pa.ChunkedArray]] = {
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}
_NEGATED = {"!=": "=", "not in": "in", "missing": "present"}
OPERATORS = ("=", "!=", "in", "not in", *_COMPARED, "present", "missing")
_ORDERED = ("number", "time")
_TEXT = re.compile(
    r'\s*(?:"(?P<quoted>[^"]+)"|(?P<plain>[^<>=!"]+?))\s*'
    r"(?P<operator><=|>=|!=|<|>|=|(?<=[\s\"])(?:not\s+in|in|present|missing)(?=\s|$))\s*"
    r"(?P<value>.*?)\s*",
    re.DOTALL,
)


class WhereError(FashionJaxError):
    """A condition that cannot be read, or that does not fit the catalogue's fields."""


@dataclasses.dataclass(frozen=True)
class Condition:
    """A condition on photos.

    Attributes:
        field: `photo_id`, `product`, `category`, `domain`, or the name of a field.
        operator: one of `OPERATORS`.
        value: value to compare with; several for `in` and `not in`; `None` for `present` and
            `missing`. Texts stand for values of every type.
    """

    field: str
    operator: str
    value: Any = None

    def __post_init__(self) -> None:
        if self.operator not in OPERATORS:
            raise WhereError(
                f"{self.operator!r} is not an operator; choose from {', '.join(OPERATORS)}"
                f"{did_you_mean(str(self.operator), OPERATORS)}"
            )
        many, none = self.operator.endswith("in"), self.operator in ("present", "missing")
        if isinstance(self.value, list):
            object.__setattr__(self, "value", tuple(self.value))
        if isinstance(self.value, tuple) != many or (self.value is None) != none:
            wanted = "a list of values" if many else "no value" if none else "one value"
            raise WhereError(f"{self.field} {self.operator} takes {wanted}; got {self.value!r}")

    def __str__(self) -> str:
        """The condition as it is written."""
        if self.value is None:
            return f"{self.field} {self.operator}"
        value = ",".join(map(str, self.value)) if isinstance(self.value, tuple) else self.value
        return f"{self.field} {self.operator} {value}"


_One = str | Mapping[str, Any] | Condition
Where = _One | Iterable[_One]


def parse_where(where: Where) -> tuple[Condition, ...]:
    """Read conditions, all of which have to hold.

    Args:
        where: texts such as `price<50`, `colour in red,blue` and `sale present`, in which a comma
            in a value and an operator in a name need double quotes; or the attributes of a
            `Condition` as a mapping; or conditions.

    Raises:
        WhereError: anything else.
    """
    if isinstance(where, str | Mapping | Condition):
        where = [where]
    return tuple(map(_parse, where))


def _parse(condition: str | Mapping[str, Any] | Condition) -> Condition:
    if isinstance(condition, Condition):
        return condition
    if isinstance(condition, str):
        return _parse_text(condition)
    unknown = sorted(map(str, condition.keys() - {"field", "operator", "value"}))
    if unknown or not isinstance(condition.get("field"), str) or "operator" not in condition:
        raise WhereError(f"a condition has field, operator and value; got {dict(condition)!r}")
    return Condition(**condition)


def _parse_text(text: str) -> Condition:
    found = _TEXT.fullmatch(text)
    if found is None:
        raise WhereError(
            f"{text!r} is no condition; write NAME OPERATOR VALUE, such as price<50, with one of "
            f"{', '.join(OPERATORS)}"
        )
    name = found["quoted"] or found["plain"].strip()
    operator = " ".join(found["operator"].split())
    value = found["value"]
    if operator in ("present", "missing"):
        return Condition(name, operator, value or None)
    if operator.endswith("in"):
        values = next(csv.reader([value], skipinitialspace=True), [])
        return Condition(name, operator, tuple(each.strip() for each in values))
    if value.startswith("="):
        raise WhereError(f"{text!r}: write {name}{operator}{value.lstrip('=')}, with a single =")
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1]
    return Condition(name, operator, value)


def allowed_rows(conditions: Sequence[Condition], items: ItemTable) -> Bool[np.ndarray, " items"]:
    """Return for each item whether all conditions hold.

    Raises:
        WhereError: an unknown field, an operator that a field of its type does not have, or a
            value of another type.
    """
    allowed = np.ones(len(items), bool)
    for condition in conditions:
        allowed &= _holds(condition, items)
    return allowed


def without_matches(conditions: Sequence[Condition], items: ItemTable) -> list[str]:
    """Describe the values that no item has, with the most similar ones there are."""
    described = []
    for condition in conditions:
        column = _column(condition, items)
        if condition.operator not in ("=", "in") or type_name(column.type) not in ("text", "texts"):
            continue
        flat = pc.list_flatten(column) if pa.types.is_list(column.type) else column
        known = pc.unique(flat.drop_null()).to_pylist()
        values = condition.value if isinstance(condition.value, tuple) else (condition.value,)
        described += [
            f"no photo has the {condition.field} {value!r}{did_you_mean(value, known)}"
            for value in sorted(set(map(str, values)) - set(known))
        ]
    return described


def _column(condition: Condition, items: ItemTable) -> pa.ChunkedArray:
    """Column that a condition is about; unknown products are null."""
    name, fields = condition.field, items.fields
    if name in ITEM_COLUMNS:
        column = items.column(name)
        return pc.if_else(pc.equal(column, ""), None, column)
    if name not in fields:
        choices = [*ITEM_COLUMNS, *fields]
        raise WhereError(
            f"there is no field {name!r}; choose from {', '.join(told_apart(choices))}"
            f"{did_you_mean(name, choices)}"
        )
    return fields[name]


def _holds(condition: Condition, items: ItemTable) -> Bool[np.ndarray, " items"]:
    column = _column(condition, items)
    kind = type_name(column.type)
    operator = _NEGATED.get(condition.operator, condition.operator)
    if operator in _COMPARED and kind not in _ORDERED:
        raise WhereError(
            f"{condition}: {condition.field} is {_CALLED[kind]}, which has no order; use =, !=, "
            f"in, not in, present or missing"
        )
    if operator == "present":
        holds = pc.is_valid(column)
    elif operator in _COMPARED:
        holds = _COMPARED[operator](column, _scalar(condition, condition.value, kind))
    else:
        values = condition.value if isinstance(condition.value, tuple) else (condition.value,)
        scalars = [_scalar(condition, value, kind) for value in values]
        holds = _equals_any(column, scalars, kind)
    found = pc.fill_null(holds, False).to_numpy()
    return ~found if condition.operator in _NEGATED else found


def _equals_any(column: pa.ChunkedArray, values: Sequence[pa.Scalar], kind: str) -> pa.ChunkedArray:
    wanted = pa.array(
        [value.as_py() for value in values], TYPES["text" if kind == "texts" else kind]
    )
    if kind != "texts":
        return pc.is_in(column, value_set=wanted)
    lists = column.combine_chunks()
    found = pc.is_in(pc.list_flatten(lists), value_set=wanted)
    parents = pc.list_parent_indices(lists).filter(found).to_numpy()
    holds = np.zeros(len(lists), bool)
    holds[parents] = True
    return pa.chunked_array([holds])


def _scalar(condition: Condition, value: Any, kind: str) -> pa.Scalar:
    """A value of a condition in the type of its field."""
    try:
        return pa.scalar(_CONVERT[kind](value), TYPES["text" if kind == "texts" else kind])
    except (KeyError, ValueError, TypeError, pa.ArrowException) as error:
        raise WhereError(
            f"{condition}: {condition.field} is {_CALLED[kind]}; {value!r} is none"
        ) from error


def _to_number(value: Any) -> float:
    if isinstance(value, bool) or not np.isfinite(number := float(value)):
        raise ValueError(value)
    return number


def _to_boolean(value: Any) -> bool:
    words = {"true": True, "yes": True, "false": False, "no": False}
    return value if isinstance(value, bool) else words[str(value).lower()]


def _to_time(value: Any) -> datetime.datetime:
    time = value if isinstance(value, datetime.datetime) else datetime.datetime.fromisoformat(value)
    return time if time.tzinfo else time.replace(tzinfo=datetime.UTC)


def _to_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(value)
    return str(value)


_CONVERT: Mapping[str, Callable[[Any], Any]] = {
    "text": _to_text,
    "texts": _to_text,
    "number": _to_number,
    "boolean": _to_boolean,
    "time": _to_time,
}
_CALLED = {
    "text": "text",
    "texts": "a list of texts",
    "number": "a number",
    "boolean": "true or false",
    "time": "a time, such as 2026-11-27",
}
