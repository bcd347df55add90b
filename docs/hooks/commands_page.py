"""The page of all commands, from the parser that the commands use."""

import argparse
import re
from collections.abc import Iterator

from fashion_jax.cli import make_parser

_HEAD = """\
# Commands

Every command and flag of `fashion-jax`, as its parser has them. `fashion-jax COMMAND --help` prints
the same. Flags are written `--flag VALUE` or `--flag=VALUE`.

Exit status: 0 on success, 2 if something can be mended by the user (the message says how), 130
after Ctrl-C.
"""


def commands_page() -> str:
    """Returns the page in Markdown: one section a command."""
    sections = [_section(parser) for parser in leaf_parsers(make_parser())]
    return "\n".join([_HEAD, *sections])


def leaf_parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yields the parser of every command and action that can be run, in their order."""
    choices = [
        action.choices
        for action in parser._actions
        if isinstance(action, argparse._SubParsersAction)
    ]
    if not choices:
        yield parser
        return
    for inner in choices[0].values():
        yield from leaf_parsers(inner)


def _section(parser: argparse.ArgumentParser) -> str:
    name = parser.prog.removeprefix("fashion-jax ")
    parts = [f"## {name}", parser.description or "", _usage(parser)]
    for group in parser._action_groups:
        actions = [each for each in group._group_actions if each.help != argparse.SUPPRESS]
        if rows := [_row(action) for action in actions if "--help" not in action.option_strings]:
            parts += [_table_head(group), "\n".join(["| | |", "|---|---|", *rows])]
    if parser.epilog:
        parts.append(_prose(parser.epilog))
    return "\n\n".join(part for part in parts if part) + "\n"


def _usage(parser: argparse.ArgumentParser) -> str:
    usage = " ".join(parser.format_usage().removeprefix("usage: ").replace("[-h] ", "").split())
    words = re.findall(r"\[.*?\](?=\s|$)|\S+", usage)  # an optional flag with its value is one word
    lines = [""]
    for word in words:
        if len(lines[-1]) + len(word) > 88:
            lines.append("   ")
        lines[-1] = f"{lines[-1]} {word}" if lines[-1] else word
    return "\n".join(["```text", *lines, "```"])


def _table_head(group: argparse._ArgumentGroup) -> str:
    if group.title in ("positional arguments", "options"):
        return ""
    return f"**{(group.title or '').capitalize()}:** {group.description or ''}"


def _row(action: argparse.Action) -> str:
    flags = ", ".join(f"`{flag}`" for flag in action.option_strings) or f"`{_value(action)}`"
    if action.option_strings and action.nargs != 0:
        flags = flags[:-1] + f" {_value(action)}`"
    return f"| {flags} | {_cell(action)} |"


def _value(action: argparse.Action) -> str:
    if action.choices is not None:
        # In a table, a bar would end the cell.
        return ", ".join(map(str, action.choices)) if not action.metavar else str(action.metavar)
    return str(action.metavar or action.dest.upper())


def _cell(action: argparse.Action) -> str:
    words = (action.help or "") % {**vars(action), "prog": "fashion-jax"}
    words = words.replace("|", "\\|").replace("<", "&lt;")
    words = words[:1].upper() + words[1:] if words.split(" ")[0].islower() else words
    required = " **Required.**" if action.required and action.option_strings else ""
    return f"{words.rstrip('.')}.{required}".removeprefix(".").strip()


def _prose(epilog: str) -> str:
    """The epilog, whose indented lines are commands."""
    parts: list[str] = []
    for block in epilog.split("\n\n"):
        lines = block.splitlines()
        prose = [line for line in lines if not line.startswith("  ")]
        commands = [line for line in lines if line.startswith("  ")]
        parts.append("\n".join(prose))
        if commands:
            indent = min(len(line) - len(line.lstrip()) for line in commands)
            parts.append("\n".join(["```text", *(line[indent:] for line in commands), "```"]))
    return "\n\n".join(parts)
