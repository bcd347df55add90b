"""Flags and output that all commands share."""

import argparse
import json
from collections.abc import Mapping
from typing import Any

import msgspec

from fashion_jax.cli.terminal import say

YES = "store_true"
Flags = dict[str, Mapping[str, Any]]  # arguments of argparse's `add_argument`, by flag

# Flags of a command that measures or uses a run's model.
MODEL: Flags = {
    "--workdir": {
        "required": True,
        "metavar": "RUN",
        "help": "directory of the run whose model to use",
    },
    "--dataset": {"metavar": "NAME", "help": "name of a built dataset (default: the run's own)"},
    "--data_dir": {"metavar": "DIR", "help": "directory of built datasets (default: the run's)"},
}

# Flags of a search.
QUERY: Flags = {
    "photos": {
        "metavar": "PHOTO",
        "nargs": "*",
        "help": "photos of one garment to search with: JPEG, PNG, WebP, GIF, ...",
    },
    "--box": {
        "metavar": "X,Y,W,H",
        "help": "box of the garment, in pixels (default: the whole photo)",
    },
    "--by": {
        "default": "product",
        "metavar": "BY",
        "help": "answers: product, photo, or a field that groups them (default: %(default)s)",
    },
    "--where": {
        "action": "append",
        "default": [],
        "metavar": "CONDITION",
        "help": "condition that answers have to meet, such as 'price<50'; may be repeated",
    },
    "--k": {
        "type": int,
        "default": 10,
        "metavar": "N",
        "help": "number of answers (default: %(default)s)",
    },
}


# Flags of a command that reads a list of photos.
LIST_CELLS: Flags = {
    "--types": {
        "default": "",
        "metavar": "NAME=TYPE,...",
        "help": "types of fields: text, number, boolean, time or texts",
    },
    "--none": {
        "nargs": "+",
        "default": [],
        "metavar": "WORD",
        "help": "words for an empty cell, such as N/A",
    },
}

# Values for photos that no list has them of.
LIST_DEFAULTS: Flags = {
    "--category": {
        "default": "item",
        "metavar": "NAME",
        "help": "category of photos without one in --list (default: %(default)s)",
    },
    "--product": {
        "metavar": "NAME",
        "default": "",
        "help": "product of photos without one in --list (default: unknown)",
    },
    "--domain": {
        "choices": ("shop", "street"),
        "default": "shop",
        "help": "domain of photos without one in --list (default: %(default)s)",
    },
}


def command(
    commands: Any,
    name: str,
    run: Any,
    text: str,
    epilog: str = "",
    flags: Flags | None = None,
    json_output: bool = True,
) -> Any:
    """Add a command.

    Args:
        commands: argparse's subparsers.
        name: name of the command.
        run: function to call with the flags.
        text: description in one line, in the imperative.
        epilog: details below the flags.
        flags: its flags.
        json_output: whether it prints a result, and so has `--json`.
    """
    parser = commands.add_parser(
        name,
        help=text,
        description=text[0].upper() + text[1:] + ".",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(run=run, takes_config=False, takes_options=False)
    if json_output:
        parser.add_argument("--json", action=YES, help="print the result as JSON")
    for flag, options in (flags or {}).items():
        parser.add_argument(flag, **options)
    return parser


def print_result(result: Any, flags: argparse.Namespace) -> None:
    """Print a result as a table, or with `--json` as JSON."""
    if not flags.json:
        say(result.to_table())
        return
    plain = result.to_json() if hasattr(result, "to_json") else msgspec.to_builtins(result)
    say(json.dumps(plain, indent=2))
