"""`fashion-jax index` and `fashion-jax search`."""

import argparse
import pathlib
from typing import Any

from fashion_jax.cli.command import add_model, command, print_result


def add(commands: Any) -> None:
    """Adds the commands of this file."""
    _add_index(commands)
    _add_search(commands)


def _add_index(commands: Any) -> None:
    index = command(commands, "index", _index, "embed a gallery and make it searchable")
    add_model(index)
    index.add_argument(
        "--kind", choices=("scann", "exact"), default="scann", help="default: %(default)s"
    )
    index.add_argument("--index", help="where to write it (default: WORKDIR/index)")


def _add_search(commands: Any) -> None:
    search = command(commands, "search", _search, "find the product that a photo shows")
    search.add_argument("photo", metavar="PHOTO", help="a photo: JPEG, PNG, WebP, GIF, ...")
    search.add_argument("--workdir", required=True, help="of the run whose model to use")
    search.add_argument("--index", help="the index to search (default: WORKDIR/index)")
    search.add_argument("--box", metavar="X,Y,W,H", help="where the garment is, in pixels")
    search.add_argument("--k", type=int, default=10, help="answers (default: %(default)s)")
    search.add_argument(
        "--picture", default="search.png", help="of the ranked list (default: %(default)s)"
    )
    search.add_argument("--json", action="store_true", help="print the answers as JSON")


def _index(flags: argparse.Namespace) -> None:
    from fashion_jax.serving.index_run import index_run

    print(index_run(flags.workdir, flags.dataset, flags.data_dir, flags.kind, flags.index))


def _search(flags: argparse.Namespace) -> None:
    from fashion_jax.serving.search_photo import search_photo

    answer = search_photo(
        pathlib.Path(flags.photo), flags.workdir, flags.index, flags.box, flags.k, flags.picture
    )
    print_result(answer, flags)
