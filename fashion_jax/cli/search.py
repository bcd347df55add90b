"""`fashion-jax search`."""

import argparse
import pathlib
from typing import Any

from fashion_jax.cli.command import command, names, print_result


def add(commands: Any) -> None:
    """Adds the command."""
    search = command(commands, "search", _search, "find the product that a photo shows")
    search.add_argument("photo", metavar="PHOTO", help="a photo: JPEG, PNG, WebP, GIF, ...")
    search.add_argument("--workdir", required=True, help="of the run whose model to use")
    search.add_argument("--index", help="the index to search (default: WORKDIR/index)")
    search.add_argument("--box", metavar="X,Y,W,H", help="where the garment is, in pixels")
    search.add_argument("--category", metavar="A,B", help="search among photos of these only")
    search.add_argument("--k", type=int, default=10, help="answers (default: %(default)s)")
    search.add_argument(
        "--picture", default="search.png", help="of the ranked list (default: %(default)s)"
    )
    search.add_argument("--json", action="store_true", help="print the answers as JSON")


def _search(flags: argparse.Namespace) -> None:
    from fashion_jax.serving.search_photo import search_photo

    answer = search_photo(
        pathlib.Path(flags.photo),
        flags.workdir,
        flags.index,
        flags.box,
        flags.k,
        flags.picture,
        names(flags.category) if flags.category is not None else None,
    )
    print_result(answer, flags)
