"""Every config field with type, default, allowed values and meaning, read from the dataclasses.

`python -m fashion_jax.config.reference` prints the page.
"""

import dataclasses
import inspect
import typing
from collections.abc import Sequence

import docstring_parser
from tabulate import tabulate

from fashion_jax.config.allowed import allowed_values
from fashion_jax.config.experiment import SECTIONS
from fashion_jax.config.section import field_types


@dataclasses.dataclass(frozen=True)
class FieldReference:
    """One config field.

    Attributes:
        name: full name, such as `training.epochs`.
        type: Python type without its bounds.
        default: default value.
        allowed: allowed values in words.
        meaning: meaning and unit, from the docstring.
    """

    name: str
    type: str
    default: typing.Any
    allowed: str
    meaning: str


def config_reference() -> list[FieldReference]:
    """All fields, in the order of the sections."""
    return [row for section in SECTIONS for row in section_reference(section)]


def section_reference(section: str) -> list[FieldReference]:
    """The fields of a section; one without a meaning in the docstring gets an empty text."""
    kind = SECTIONS[section]
    meanings = {
        param.arg_name: " ".join((param.description or "").split())
        for param in docstring_parser.parse(kind.__doc__ or "").params
    }
    types, bounded = typing.get_type_hints(kind), field_types(kind)
    return [
        FieldReference(
            name=f"{section}.{field.name}",
            type=_type_name(types[field.name]),
            default=field.default,
            allowed=allowed_values(bounded[field.name]),
            meaning=meanings.get(field.name, ""),
        )
        for field in dataclasses.fields(kind)
    ]


def page() -> str:
    """The reference in Markdown, one table per section."""
    return "\n\n".join(["# Config fields", *map(_section_page, SECTIONS)]) + "\n"


def _section_page(section: str) -> str:
    summary = (inspect.getdoc(SECTIONS[section]) or "").partition("\n")[0]
    headers = ["field", "default", "allowed", "meaning"]
    table = tabulate(
        _cells(section_reference(section)), headers, tablefmt="github", disable_numparse=True
    )
    return f"## `{section}`\n\n{summary}\n\n{table}"


def _cells(rows: Sequence[FieldReference]) -> list[list[str]]:
    return [[f"`{row.name}`", f"`{row.default!r}`", row.allowed, row.meaning] for row in rows]


def _type_name(kind: typing.Any) -> str:
    return kind.__name__ if isinstance(kind, type) and not typing.get_args(kind) else str(kind)


if __name__ == "__main__":
    print(page(), end="")
