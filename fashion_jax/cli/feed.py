"""`fashion-jax index sync` and `index update`: a shop's lists, whole and in part."""

import argparse
import functools
import pathlib
from collections.abc import Callable
from typing import Any

from fashion_jax.cli.command import (
    LIST_CELLS,
    LIST_DEFAULTS,
    MODEL,
    YES,
    Flags,
    command,
    print_result,
)
from fashion_jax.datasets.download.options import DownloadOptions

Place = Callable[[argparse.Namespace], pathlib.Path]

_SYNC = """\
The list is the whole wanted state: new photos are embedded and added, photos that it does not have
are removed, photos whose bytes changed are embedded again, and what else changed of products and
fields is exchanged. A missing index is made. Searches see the old state or the new one.

A list is CSV, Parquet or JSON lines: photo, product, category, domain, a box, and any fields.
Photos are paths below --photos, or http(s) addresses, which are downloaded into --photos; without
the column photo, image_link or image_url is the photo."""

_UPDATE = """\
The list has the column photo or, for all photos of a product, product; its other columns are
exchanged. An empty cell means no value. Fields that the list does not have stay. No model is
needed."""

_LIST: Flags = {
    "--list": {"required": True, "metavar": "FILE", "help": "CSV, Parquet or JSON lines"},
    **LIST_CELLS,
    "--dry_run": {"action": YES, "help": "print what would change, and change nothing"},
}
_SYNC_FLAGS: Flags = {
    "--workdir": MODEL["--workdir"],
    "--index": {"metavar": "DIR", "help": "directory of the index (default: RUN/index)"},
    "--photos": {
        "metavar": "DIR",
        "help": "directory of the list's photos; photos at addresses are downloaded into it",
    },
    **_LIST,
    **LIST_DEFAULTS,
    "--link": {
        "metavar": "COLUMN",
        "help": "column with the photos' addresses, in a list that names the photos as well",
    },
    "--skip_bad": {"action": YES, "help": "leave out unusable photos, and use the rest"},
    "--checksum": {
        "action": YES,
        "help": "read all files (default: those whose size or time changed)",
    },
    "--max_removed": {
        "type": float,
        "default": 1.0,
        "metavar": "SHARE",
        "help": "refuse a list that would remove more of the photos, such as 0.2",
    },
    "--per_host": {
        "type": int,
        "metavar": "N",
        "default": DownloadOptions().per_host,
        "help": "downloads at once from one host (default: %(default)s)",
    },
    "--allow_private_hosts": {
        "action": YES,
        "help": "follow links into the local network; only for a list that you trust",
    },
}
_UPDATE_FLAGS: Flags = {
    **_LIST,
    "--missing_ok": {
        "action": YES,
        "help": "skip photos and products that are not in the index",
    },
}


def add_actions(actions: Any, index: Flags, place: Place) -> None:
    """Add the actions.

    Args:
        actions: the subparsers of `index`.
        index: flags that name an index.
        place: function that gives the index's directory.
    """
    text = "bring an index in line with a list: add, remove and change photos"
    command(actions, "sync", _sync, text, _SYNC, _SYNC_FLAGS)
    text = "exchange fields of an index's photos, such as prices and stock"
    update = functools.partial(_update, place)
    command(actions, "update", update, text, _UPDATE, index | _UPDATE_FLAGS)


def _sync(flags: argparse.Namespace) -> None:
    from fashion_jax.datasets.photo_lists.fields import parse_types
    from fashion_jax.serving.new_photos import Defaults
    from fashion_jax.serving.sync_index import sync_index

    result = sync_index(
        flags.workdir,
        flags.list,
        flags.photos,
        flags.index,
        defaults=Defaults(flags.category, flags.product, flags.domain),
        types=parse_types(flags.types),
        none=flags.none,
        link=flags.link,
        skip_bad=flags.skip_bad,
        checksum=flags.checksum,
        max_removed=flags.max_removed,
        dry_run=flags.dry_run,
        download=DownloadOptions(
            per_host=flags.per_host, allow_private_hosts=flags.allow_private_hosts
        ),
    )
    print_result(result, flags)


def _update(place: Place, flags: argparse.Namespace) -> None:
    from fashion_jax.datasets.photo_lists.fields import parse_types
    from fashion_jax.serving.update_index import update_index

    result = update_index(
        place(flags),
        flags.list,
        types=parse_types(flags.types),
        none=flags.none,
        missing_ok=flags.missing_ok,
        dry_run=flags.dry_run,
    )
    print_result(result, flags)
