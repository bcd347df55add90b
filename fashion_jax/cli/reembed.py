"""`fashion-jax index reembed`: another model on a live catalogue."""

import argparse
from typing import Any

from fashion_jax.cli.command import MODEL, YES, Flags, command, print_result

_EPILOG = """\
Photos are read from where they lie: their files, or the built dataset that they come from. The new
embeddings are written next to the present ones, which answer searches until a single step replaces
them all. Photos that are added, changed or removed meanwhile are taken into account.

Photos that cannot be read again are named, and nothing is exchanged, unless --skip_bad is given.

Safe to interrupt; run the same command again to resume."""

_FLAGS: Flags = {
    "--workdir": MODEL["--workdir"],
    "--index": {"metavar": "DIR", "help": "directory of the index (default: RUN/index)"},
    "--photos": {
        "metavar": "DIR",
        "help": "directory of the photos, by their ids (default: each photo's own place)",
    },
    "--prepare": {
        "action": YES,
        "help": "stop before the exchange: queries of both models are answered until this command "
        "runs without --prepare",
    },
    "--skip_bad": {"action": YES, "help": "leave out photos that cannot be read again"},
    "--discard": {
        "action": YES,
        "help": "remove unfinished or prepared embeddings of a third model",
    },
}


def add_actions(actions: Any) -> None:
    """Add `index reembed`."""
    text = "embed all photos of an index again, with another run's model"
    command(actions, "reembed", _reembed, text, _EPILOG, _FLAGS)


def _reembed(flags: argparse.Namespace) -> None:
    from fashion_jax.serving.reembed import reembed_index

    result = reembed_index(
        flags.workdir, flags.index, flags.photos, flags.prepare, flags.skip_bad, flags.discard
    )
    print_result(result, flags)
