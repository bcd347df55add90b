"""`fashion-jax search`."""

import argparse
from typing import Any

from fashion_jax.cli.command import command, print_result


def add(commands: Any) -> None:
    """Add `search`."""
    search = command(commands, "search", _search, "find the product that a photo shows")
    add_query(search)
    search.add_argument(
        "--index", metavar="DIR", help="directory of the index to search (default: RUN/index)"
    )
    search.add_argument(
        "--picture",
        metavar="FILE",
        default="search.png",
        help="PNG file for a picture of the ranked list (default: %(default)s)",
    )


def add_query(search: Any) -> None:
    """Add the flags of a search with a photo."""
    add = search.add_argument
    add("photo", metavar="PHOTO", help="photo to search with: JPEG, PNG, WebP, GIF, ...")
    add("--workdir", required=True, metavar="RUN", help="directory of the run whose model to use")
    add("--box", metavar="X,Y,W,H", help="box of the garment, in pixels (default: the whole photo)")
    add("--category", nargs="+", metavar="NAME", help="restrict the search to these categories")
    add("--k", type=int, default=10, metavar="N", help="number of answers (default: %(default)s)")


def _search(flags: argparse.Namespace) -> None:
    from fashion_jax.serving.search import search_photo

    answers = search_photo(
        flags.photo,
        flags.workdir,
        flags.index,
        flags.box,
        flags.k,
        flags.picture,
        flags.category,
    )
    print_result(answers, flags)
