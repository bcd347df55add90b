"""Flags and output that all commands share."""

import argparse
import json
from typing import Any

import msgspec

YES = "store_true"


def command(
    commands: Any, name: str, run: Any, text: str, epilog: str = "", json_output: bool = True
) -> Any:
    """Add a command.

    Args:
        commands: argparse's subparsers.
        name: name of the command.
        run: function to call with the flags.
        text: description in one line, in the imperative.
        epilog: details below the flags.
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
    return parser


def add_model(parser: Any) -> None:
    """Add the flags of a command that measures or uses a run's model."""
    parser.add_argument(
        "--workdir", required=True, metavar="RUN", help="directory of the run whose model to use"
    )
    parser.add_argument(
        "--dataset", metavar="NAME", help="name of a built dataset (default: the run's own)"
    )
    parser.add_argument(
        "--data_dir", metavar="DIR", help="directory of built datasets (default: the run's)"
    )


def print_result(result: Any, flags: argparse.Namespace) -> None:
    """Print a result as a table, or with `--json` as JSON."""
    if not flags.json:
        print(result.to_table())
        return
    plain = result.to_json() if hasattr(result, "to_json") else msgspec.to_builtins(result)
    print(json.dumps(plain, indent=2))
