"""`fashion-jax export`: the embedder for other programs."""

import argparse
from typing import Any

from fashion_jax.cli.command import command, print_result

FORMATS = ("stablehlo", "safetensors", "onnx")

_EPILOG = """\
StableHLO loads with JAX alone and carries its preprocessing; safetensors has PyTorch's names. ONNX
is not offered: docs/export.md says why."""


def add(commands: Any) -> None:
    """Add `export`."""
    text = "write a run's best model for other programs, and check that it embeds the same"
    export = command(commands, "export", _export, text, _EPILOG)
    export.add_argument(
        "--workdir", required=True, metavar="RUN", help="directory of the run whose model to export"
    )
    export.add_argument("--format", required=True, choices=FORMATS, help="format to write")
    export.add_argument(
        "--output", metavar="DIR", help="directory to write (default: RUN/export/FORMAT)"
    )


def _export(flags: argparse.Namespace) -> None:
    from fashion_jax.inference.export.export import export

    print_result(export(flags.workdir, flags.format, flags.output), flags)
