"""`fashion-jax weights`: what files of weights hold, and whole models of other frameworks."""

import argparse
from typing import Any

from fashion_jax.cli.command import command, print_result

_CONVERT = """\
The workdir can be used like a run's: evaluate, index, search, export. What the file does not tell
can be set by --config.FIELD=VALUE, for example:
  fashion-jax weights convert market_resnet50.pth --workdir=runs/theirs \\
      --config.image.height=256 --config.image.width=128 --config.model.last_stride=1"""


def add(commands: Any) -> None:
    """Adds `weights` and its actions."""
    weights = commands.add_parser("weights", help="look into a file of weights, or convert it")
    actions = weights.add_subparsers(
        metavar="ACTION", required=True, title="actions", dest="action"
    )
    inspect = command(
        actions, "inspect", _inspect, "say what a file of weights holds and which network fits it"
    )
    convert = command(
        actions,
        "convert",
        _convert,
        "make a run's workdir of another framework's whole model",
        _CONVERT,
    )
    for parser in (inspect, convert):
        parser.add_argument("file", metavar="FILE", help=".safetensors, .pth, .pt, .ckpt or .bin")
    inspect.add_argument("--json", action="store_true", help="print it as JSON")
    convert.add_argument("--workdir", required=True, help="where to write it: new, or empty")
    convert.set_defaults(takes_config=True)


def _inspect(flags: argparse.Namespace) -> None:
    from fashion_jax.inference.weights.inspection import inspect_weights

    print_result(inspect_weights(flags.file), flags)


def _convert(flags: argparse.Namespace) -> None:
    from fashion_jax.training.convert_weights import convert_weights

    print(convert_weights(flags.file, flags.workdir, flags.overrides))
