"""`fashion-jax milvus`: catalogues in Milvus."""

import argparse
import pathlib
from typing import TYPE_CHECKING, Any

from fashion_jax.cli.command import command, print_result

if TYPE_CHECKING:
    from fashion_jax.retrieval.milvus.server import MilvusPlace

_URI = """\
--uri is http://HOST:19530 of a cluster, whose token the variable MILVUS_TOKEN holds, or a local
file NAME.db (milvus-lite). Needs: pip install 'fashion-jax[milvus]'. See docs/milvus.md."""


def add(commands: Any) -> None:
    """Adds `milvus` and its actions."""
    milvus = commands.add_parser("milvus", help="catalogues in Milvus: build, search, ...")
    actions = milvus.add_subparsers(metavar="ACTION", required=True, title="actions", dest="action")
    build = _action(actions, "build", _build, "make a searchable collection of embeddings")
    build.add_argument("--embeddings", required=True, help="folder that fashion-jax embed wrote")
    search = _action(actions, "search", _search, "find the product that a photo shows")
    search.add_argument("photo", metavar="PHOTO", help="a photo: JPEG, PNG, WebP, GIF, ...")
    search.add_argument("--workdir", required=True, help="of the run whose model to use")
    search.add_argument("--box", metavar="X,Y,W,H", help="where the garment is, in pixels")
    search.add_argument("--k", type=int, default=10, help="answers (default: %(default)s)")
    search.add_argument(
        "--category", action="append", help="only photos of it; may be given several times"
    )
    info = _action(actions, "info", _info, "say what a collection holds")
    for parser in (search, info):
        parser.add_argument("--json", action="store_true", help="print it as JSON")
    remove = _action(actions, "remove", _remove, "remove photos from a collection")
    remove.add_argument("photos", metavar="PHOTO_ID", nargs="+", help="the dataset's own names")
    _action(actions, "clean", _clean, "drop what killed builds have left on a cluster")


def _action(actions: Any, name: str, run: Any, text: str) -> Any:
    parser = command(actions, name, run, text, _URI)
    parser.add_argument("--uri", required=True, help="of the server, or a local file NAME.db")
    parser.add_argument("--collection", required=True, help="its name")
    return parser


def _place(flags: argparse.Namespace) -> "MilvusPlace":
    from fashion_jax.retrieval.milvus.server import MilvusPlace, token_from_environment

    return MilvusPlace(flags.uri, flags.collection, token_from_environment())


def _build(flags: argparse.Namespace) -> None:
    from fashion_jax.serving.milvus_catalogue import build_collection_of

    print(build_collection_of(_place(flags), flags.embeddings))


def _search(flags: argparse.Namespace) -> None:
    from fashion_jax.serving.milvus_catalogue import search_collection

    answers = search_collection(
        pathlib.Path(flags.photo), flags.workdir, _place(flags), flags.box, flags.k, flags.category
    )
    print_result(answers, flags)


def _info(flags: argparse.Namespace) -> None:
    from fashion_jax.serving.milvus_catalogue import collection_info

    print_result(collection_info(_place(flags)), flags)


def _remove(flags: argparse.Namespace) -> None:
    from fashion_jax.serving.milvus_catalogue import remove_photos

    print(remove_photos(_place(flags), flags.photos))


def _clean(flags: argparse.Namespace) -> None:
    from fashion_jax.serving.milvus_catalogue import remove_left_over

    print(remove_left_over(_place(flags)))
