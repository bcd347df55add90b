"""`fashion-jax export`: the embedder for other programs."""

import argparse
from typing import Any

from fashion_jax.cli.command import command

FORMATS = ("stablehlo", "safetensors", "onnx")


def add(commands: Any) -> None:
    """Adds `export`."""
    export = command(
        commands,
        "export",
        _export,
        "write a run's best model for other programs, and check that it embeds the same",
        "stablehlo needs JAX alone to be loaded; safetensors has PyTorch's names; onnx is not\n"
        "offered: docs/export.md says why.",
    )
    export.add_argument("--workdir", required=True, help="of the run whose model to export")
    export.add_argument("--format", required=True, choices=FORMATS)
    export.add_argument("--output", help="folder to write (default: WORKDIR/export/FORMAT)")


def _export(flags: argparse.Namespace) -> None:
    from fashion_jax.inference.export.export import export

    print(export(flags.workdir, flags.format, flags.output))
