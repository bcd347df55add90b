"""`fashion-jax milvus`: collections in Milvus."""

import argparse
import pathlib
from typing import TYPE_CHECKING, Any

from fashion_jax.cli.command import command, print_result
from fashion_jax.cli.search import add_query

if TYPE_CHECKING:
    from fashion_jax.retrieval.milvus.server import MilvusPlace

_URI = """\
--uri is http://HOST:19530 for a cluster, whose token is read from the variable MILVUS_TOKEN, or a
local file NAME.db (milvus-lite). Needs: pip install 'fashion-jax[milvus]'. See docs/milvus.md."""


def add(commands: Any) -> None:
    """Add `milvus` and its actions."""
    milvus = commands.add_parser("milvus", help="build, search and change collections in Milvus")
    actions = milvus.add_subparsers(metavar="ACTION", required=True, title="actions", dest="action")
    build = _action(actions, "build", _build, "build a searchable collection of embeddings")
    build.add_argument(
        "--embeddings", required=True, metavar="DIR", help="output directory of `fashion-jax embed`"
    )
    search = _action(actions, "search", _search, "find the product that a photo shows")
    add_query(search)
    _action(actions, "info", _info, "describe a collection")
    remove = _action(actions, "remove", _remove, "remove photos from a collection")
    remove.add_argument(
        "--photo_id", required=True, nargs="+", metavar="ID", help="ids of the photos to remove"
    )
    _action(actions, "clean", _clean, "drop unfinished builds that killed processes left behind")


def _action(actions: Any, name: str, run: Any, text: str) -> Any:
    parser = command(actions, name, run, text, _URI)
    parser.add_argument("--uri", required=True, help="address of the server, or a file NAME.db")
    parser.add_argument(
        "--collection", required=True, metavar="NAME", help="name of the collection"
    )
    return parser


def _place(flags: argparse.Namespace) -> "MilvusPlace":
    from fashion_jax.retrieval.milvus.server import MilvusPlace, token_from_environment

    return MilvusPlace(flags.uri, flags.collection, token_from_environment())


def _build(flags: argparse.Namespace) -> None:
    from fashion_jax.serving.milvus import build_collection_of

    print_result(build_collection_of(_place(flags), flags.embeddings), flags)


def _search(flags: argparse.Namespace) -> None:
    from fashion_jax.serving.milvus import search_collection

    answers = search_collection(
        pathlib.Path(flags.photo), flags.workdir, _place(flags), flags.box, flags.k, flags.category
    )
    print_result(answers, flags)


def _info(flags: argparse.Namespace) -> None:
    from fashion_jax.serving.milvus import collection_info

    print_result(collection_info(_place(flags)), flags)


def _remove(flags: argparse.Namespace) -> None:
    from fashion_jax.serving.milvus import remove_photos

    print_result(remove_photos(_place(flags), flags.photo_id), flags)


def _clean(flags: argparse.Namespace) -> None:
    from fashion_jax.serving.milvus import remove_left_over

    print_result(remove_left_over(_place(flags)), flags)
