"""`fashion-jax weights`: files of weights, and whole models of other frameworks."""

import argparse
from typing import Any

from fashion_jax.cli.command import Flags, command, print_result

_CONVERT = """\
The result works like a run's directory: evaluate, index, search, export. Set what the file does not
say by --config.FIELD=VALUE, for example:
  fashion-jax weights convert market_resnet50.pth --workdir=runs/theirs \\
      --config.image.height=256 --config.image.width=128 --config.model.last_stride=1"""


_FILE: Flags = {
    "file": {
        "metavar": "FILE",
        "help": "file of weights: .safetensors, .pth, .pt, .tar, .ckpt or .bin",
    }
}
_CONVERT_FLAGS: Flags = {
    "--workdir": {
        "required": True,
        "metavar": "RUN",
        "help": "directory to write; new, or empty",
    }
}


def add(commands: Any) -> None:
    """Add `weights` and its actions."""
    weights = commands.add_parser("weights", help="inspect or convert a file of weights")
    actions = weights.add_subparsers(
        metavar="ACTION", required=True, title="actions", dest="action"
    )
    text = "show the contents of a file of weights and the backbones that fit it"
    command(actions, "inspect", _inspect, text, "", _FILE)
    text = "make a run's directory from another framework's whole model"
    convert = command(actions, "convert", _convert, text, _CONVERT, _FILE | _CONVERT_FLAGS)
    convert.set_defaults(takes_config=True)


def _inspect(flags: argparse.Namespace) -> None:
    from fashion_jax.inference.weights.inspection import inspect_weights

    print_result(inspect_weights(flags.file), flags)


def _convert(flags: argparse.Namespace) -> None:
    from fashion_jax.training.convert_weights import convert_weights

    print_result(convert_weights(flags.file, flags.workdir, flags.overrides), flags)
