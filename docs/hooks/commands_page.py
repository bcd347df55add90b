"""The page of all commands, from the parser that the commands use."""

import argparse
import re
from collections.abc import Iterator

from fashion_jax.cli import make_parser

_HEAD = """\
# Commands

Every command and flag of `fashion-jax`, from its own parser. `fashion-jax COMMAND --help` prints
the same. `--flag VALUE` and `--flag=VALUE` are equivalent.

Exit status: 0 on success; 2 for an error that you can fix (the message says how); 130 after
Ctrl-C.
"""
_WIDTH = 88  # characters of a line of usage
_FLAG = re.compile(r"(?<![\w`-])(--[\w.]+(?:=[\w.]+)?)")


def commands_page() -> str:
    """Return the page in Markdown: one section per command."""
    return "\n".join([_HEAD, *map(_section, leaf_parsers(make_parser()))])


def leaf_parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yield the parser of every command and action that can be run, in their order."""
    inner = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]
    if not inner:
        yield parser
    for choices in inner:
        for child in choices.choices.values():
            yield from leaf_parsers(child)


def _section(parser: argparse.ArgumentParser) -> str:
    name = parser.prog.removeprefix("fashion-jax ")
    tables = [_table(group) for group in parser._action_groups]
    parts = [f"## {name}", parser.description, _usage(parser), *tables, _prose(parser.epilog or "")]
    return "\n\n".join(part for part in parts if part) + "\n"


def _usage(parser: argparse.ArgumentParser) -> str:
    usage = " ".join(parser.format_usage().removeprefix("usage: ").replace("[-h] ", "").split())
    lines = [""]
    for word in re.findall(r"\[.*?\](?=\s|$)|\S+", usage):  # an optional flag is one word
        if len(lines[-1]) + len(word) > _WIDTH:
            lines.append("   ")
        lines[-1] = f"{lines[-1]} {word}".removeprefix(" " * (len(lines) == 1))
    return "\n".join(["```text", *lines, "```"])


def _table(group: argparse._ArgumentGroup) -> str:
    actions = [each for each in group._group_actions if each.help != argparse.SUPPRESS]
    rows = [_row(action) for action in actions if "--help" not in action.option_strings]
    if not rows:
        return ""
    usual = group.title in ("positional arguments", "options")
    head = "" if usual else f"**{(group.title or '').capitalize()}:** {group.description}\n\n"
    return head + "\n".join(["| | |", "|---|---|", *rows])


def _row(action: argparse.Action) -> str:
    value = str(action.metavar or action.dest.upper())
    if action.choices is not None and not action.metavar:
        value = "{" + ",".join(map(str, action.choices)) + "}"
    value += " ..." if action.nargs in ("+", "*") else ""
    flag = " ".join(action.option_strings)
    name = " ".join(word for word in (flag, value if action.nargs != 0 else "") if word)
    required = " **Required.**" if action.required and action.option_strings else ""
    words = (action.help or "") % vars(action)
    text = _marked(words.rstrip(".").replace("|", "\\|").replace("<", "&lt;"))
    return f"| `{name}` | {text[:1].upper()}{text[1:]}{'.' if text else ''}{required} |"


def _marked(text: str) -> str:
    """Flags in a text as code."""
    return _FLAG.sub(r"`\1`", text)


def _prose(epilog: str) -> str:
    """The epilog, whose indented lines are commands."""
    parts = []
    for block in filter(None, epilog.split("\n\n")):
        lines = block.splitlines()
        words = [_marked(line) for line in lines if not line.startswith("  ")]
        commands = [line.removeprefix("  ") for line in lines if line.startswith("  ")]
        parts.append("\n".join(words))
        if commands:
            parts.append("\n".join(["```bash", *commands, "```"]))
    return "\n\n".join(parts)
