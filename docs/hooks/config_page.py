"""The page of all config fields, from the dataclasses and their docstrings."""

import dataclasses
import inspect
import typing
from collections.abc import Iterator

import griffe

from fashion_jax.config import ExperimentConfig

_HEAD = """\
# Config fields

Every field of an experiment with its default. Set a field in a config file
(`config.training.epochs = 3`) or on the command line (`--config.training.epochs=3`); a wrong name
or value is refused with the nearest right one. A run's `config.json` holds all of them.
"""


class Row(typing.NamedTuple):
    """One field: its name, default and meaning."""

    name: str
    default: str
    meaning: str


def config_page() -> str:
    """Returns the page in Markdown: one table a section."""
    sections = []
    for name, kind in typing.get_type_hints(ExperimentConfig).items():
        rows = [f"| `{row.name}` | `{row.default}` | {row.meaning} |" for row in fields(name, kind)]
        table = "\n".join(["| field | default | meaning |", "|---|---|---|", *rows])
        sections.append(f"## {name}\n\n{_summary(kind)}\n\n{table}\n")
    return "\n".join([_HEAD, *sections])


def fields(section: str, kind: type) -> Iterator[Row]:
    """Yields the fields of a section; the meaning is what the docstring says of the attribute."""
    meanings = _meanings(kind)
    for field in dataclasses.fields(kind):
        yield Row(f"{section}.{field.name}", repr(field.default), meanings.get(field.name, ""))


def _summary(kind: type) -> str:
    text = inspect.getdoc(kind) or ""
    return text.split("\nAttributes:")[0].strip()


def _meanings(kind: type) -> dict[str, str]:
    docstring = griffe.Docstring(inspect.getdoc(kind) or "", parser="google")
    for section in docstring.parse(warnings=False):
        if section.kind is griffe.DocstringSectionKind.attributes:
            return {each.name: " ".join(each.description.split()) for each in section.value}
    return {}
