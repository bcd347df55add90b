"""What all commands have in common."""

import argparse
import json
from typing import Any


def command(commands: Any, name: str, run: Any, text: str, epilog: str = "") -> Any:
    """Adds a command; `run` is called with its flags."""
    parser = commands.add_parser(
        name,
        help=text,
        description=text[0].upper() + text[1:] + ".",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(run=run, takes_config=False, takes_options=False)
    return parser


def add_model(parser: Any) -> None:
    """Adds the flags of a command that measures or uses a run's model."""
    parser.add_argument("--workdir", required=True, help="of the run whose model to use")
    parser.add_argument("--dataset", help="another built dataset than the run's own")
    parser.add_argument("--data_dir", help="where it lies (default: the run's)")


def names(text: str) -> list[str]:
    """`A,B` as a list."""
    return [name.strip() for name in text.split(",") if name.strip()]


def print_result(result: Any, flags: argparse.Namespace) -> None:
    """Prints a result as a table, or with `--json` as JSON."""
    print(json.dumps(result.to_json(), indent=2) if flags.json else result.to_table())
