"""`fashion-jax milvus`: collections in Milvus."""

import argparse
from typing import TYPE_CHECKING, Any

from fashion_jax.cli.command import MODEL, QUERY, Flags, command, print_result

if TYPE_CHECKING:
    from fashion_jax.retrieval.milvus.server import MilvusPlace

_URI = """\
--uri is http://HOST:19530 for a cluster, whose token is read from the variable MILVUS_TOKEN, or a
local file NAME.db (milvus-lite). Needs: pip install 'fashion-jax[milvus]'. See docs/milvus.md."""


_COLLECTION: Flags = {
    "--uri": {"required": True, "help": "address of the server, or a file NAME.db"},
    "--collection": {"required": True, "metavar": "NAME", "help": "name of the collection"},
}
_BUILD_FLAGS: Flags = {
    "--embeddings": {
        "required": True,
        "metavar": "DIR",
        "help": "output directory of `fashion-jax embed`",
    }
}
_REMOVE_FLAGS: Flags = {
    "--photo_id": {
        "required": True,
        "nargs": "+",
        "metavar": "ID",
        "help": "ids of the photos to remove",
    }
}


def add(commands: Any) -> None:
    """Add `milvus` and its actions."""
    milvus = commands.add_parser("milvus", help="build, search and change collections in Milvus")
    actions = milvus.add_subparsers(metavar="ACTION", required=True, title="actions", dest="action")
    text = "build a searchable collection of embeddings"
    command(actions, "build", _build, text, _URI, _COLLECTION | _BUILD_FLAGS)
    text = "find the product that a photo shows"
    command(
        actions,
        "search",
        _search,
        text,
        _URI,
        _COLLECTION | QUERY | {"--workdir": MODEL["--workdir"]},
    )
    command(actions, "info", _info, "describe a collection", _URI, _COLLECTION)
    text = "remove photos from a collection"
    command(actions, "remove", _remove, text, _URI, _COLLECTION | _REMOVE_FLAGS)
    text = "drop unfinished builds that killed processes left behind"
    command(actions, "clean", _clean, text, _URI, _COLLECTION)


def _place(flags: argparse.Namespace) -> "MilvusPlace":
    from fashion_jax.retrieval.milvus.server import MilvusPlace, token_from_environment

    return MilvusPlace(flags.uri, flags.collection, token_from_environment())


def _build(flags: argparse.Namespace) -> None:
    from fashion_jax.serving.milvus import build_collection_of

    print_result(build_collection_of(_place(flags), flags.embeddings), flags)


def _search(flags: argparse.Namespace) -> None:
    from fashion_jax.serving.milvus import search_collection

    place, conditions = _place(flags), (flags.by, flags.where)
    answers = search_collection(flags.photos, flags.workdir, place, flags.box, flags.k, *conditions)
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
