"""`fashion-jax search`: products that a photo shows, or that are like others."""

import argparse
from typing import Any

from fashion_jax.cli.command import QUERY, Flags, command, print_result
from fashion_jax.errors import FashionJaxError

_SEARCH = """\
Conditions compare photo_id, product, category, domain or a field with a value:
  --where "price<50" --where "colour in red,blue" --where "stock>0" --where "sale present"
with =, !=, <, <=, >, >=, in, not in, present and missing; all of them have to hold.

More like this: --like 00123 searches with a product of the index (or a photo's id), alone or
together with photos; --dislike leads away from one. The answers leave out these products and copies
of their photos. The query is A * mean(photos) + B * mean(liked) - C * mean(disliked): --weights."""

_FLAGS: Flags = {
    "--workdir": {
        "metavar": "RUN",
        "help": "directory of the run whose model embeds the photos",
    },
    "--index": {"metavar": "DIR", "help": "directory of the index to search (default: RUN/index)"},
    "--like": {
        "nargs": "+",
        "default": [],
        "metavar": "NAME",
        "help": "products or photos of the index to be like",
    },
    "--dislike": {
        "nargs": "+",
        "default": [],
        "metavar": "NAME",
        "help": "products or photos of the index to be unlike",
    },
    "--weights": {
        "metavar": "A,B,C",
        "help": "weights of photos, likes and dislikes (default: 1,0.75,0.25)",
    },
    "--picture": {
        "metavar": "FILE",
        "default": "search.png",
        "help": "PNG file for a picture of the ranked list, or none (default: %(default)s)",
    },
    "--explain": {
        "action": "store_true",
        "help": "colour the places in the picture that make the answers similar to the photo",
    },
}


def add(commands: Any) -> None:
    """Add `search`."""
    text = "find the product that a photo shows, or products like others"
    command(commands, "search", _search, text, _SEARCH, QUERY | _FLAGS)


def _search(flags: argparse.Namespace) -> None:
    from fashion_jax.serving.search import search

    answers = search(
        flags.photos,
        flags.workdir,
        flags.index,
        flags.box,
        flags.k,
        None if flags.picture == "none" else flags.picture,
        flags.by,
        flags.where,
        flags.like,
        flags.dislike,
        _weights(flags.weights),
        flags.explain,
    )
    print_result(answers, flags)


def _weights(text: str | None) -> Any:
    from fashion_jax.serving.query import Weights

    if text is None:
        return None
    try:
        photos, like, dislike = map(float, text.split(","))
    except ValueError as error:
        raise FashionJaxError(
            f"--weights has to be three numbers, such as 1,0.75,0.25; got {text!r}"
        ) from error
    return Weights(photos, like, dislike)
