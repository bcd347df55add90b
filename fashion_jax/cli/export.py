"""`fashion-jax export`: the embedder for other programs."""

import argparse
from typing import Any

from fashion_jax.cli.command import Flags, command, print_result

FORMATS = ("stablehlo", "safetensors", "onnx")

_EPILOG = """\
StableHLO loads with JAX alone and carries its preprocessing; safetensors has PyTorch's names. ONNX
is not offered: docs/export.md says why."""


_FLAGS: Flags = {
    "--workdir": {
        "required": True,
        "metavar": "RUN",
        "help": "directory of the run whose model to export",
    },
    "--format": {"required": True, "choices": FORMATS, "help": "format to write"},
    "--output": {"metavar": "DIR", "help": "directory to write (default: RUN/export/FORMAT)"},
}


def add(commands: Any) -> None:
    """Add `export`."""
    text = "write a run's best model for other programs, and check that it embeds the same"
    command(commands, "export", _export, text, _EPILOG, _FLAGS)


def _export(flags: argparse.Namespace) -> None:
    from fashion_jax.inference.export.export import export

    print_result(export(flags.workdir, flags.format, flags.output), flags)
