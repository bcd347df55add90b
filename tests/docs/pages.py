"""The pages that users read, and what they show: code, commands, links."""

import pathlib
import re
import textwrap
from collections.abc import Iterator
from typing import NamedTuple

ROOT = pathlib.Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted(DOCS.rglob("*.md")),
    *sorted((ROOT / "data_builders").glob("*/README.md")),
]

_FENCE = re.compile(r"^( *)```([^\n`]*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)


class Block(NamedTuple):
    """A block of code on a page.

    Attributes:
        language: word behind the fence; empty where there is none, or for an indented block.
        line: number of its first line, from 1.
        code: its text, dedented.
    """

    language: str
    line: int
    code: str


def name_of(page: pathlib.Path) -> str:
    """The page's path in the repository."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: pathlib.Path) -> list[Block]:
    """All fenced and indented blocks of a page."""
    text = page.read_text()
    fenced = [
        Block(match[2].strip(), _line(text, match.start(3)), textwrap.dedent(match[3]))
        for match in _FENCE.finditer(text)
    ]
    return [*fenced, *_indented(_without_fenced(text))]


def prose(page: pathlib.Path) -> str:
    """The page without its fenced blocks, whose lines are left empty."""
    return _without_fenced(page.read_text())


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def _without_fenced(text: str) -> str:
    return _FENCE.sub(lambda match: "\n" * match[0].count("\n"), text)


def _indented(text: str) -> Iterator[Block]:
    lines = text.splitlines()
    for number, line in enumerate(lines):
        begins = line.startswith("    ") and (number == 0 or not lines[number - 1].strip())
        if begins:
            end = number
            while end < len(lines) and lines[end].startswith("    "):
                end += 1
            yield Block("", number + 1, textwrap.dedent("\n".join(lines[number:end])))
