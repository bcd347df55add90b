"""`fashion-jax index`: searchable indexes, and changes to them."""

import argparse
import pathlib
from typing import Any

from fashion_jax.cli import duplicates, feed, reembed
from fashion_jax.cli.command import (
    LIST_CELLS,
    LIST_DEFAULTS,
    MODEL,
    YES,
    Flags,
    command,
    print_result,
)
from fashion_jax.errors import FashionJaxError

KINDS = ("auto", "exact", "scann")

_BUILD = """\
`auto` searches small galleries exactly and switches to ScaNN where that is faster. Without a ScaNN
wheel, exact search takes its place, with a warning. An existing index is replaced in one step."""

_ADD = """\
Of a directory, every file below it is added; a photo's id is its path below the directory. A list
is CSV, Parquet or JSON lines with the column photo (a path below the directory) and, if known,
product, category, domain, a box and any fields: the list that a dataset was built from will do.
Only its photos are added.

If photos are unusable, all of them are named and nothing is added; --skip_bad adds the rest.
Nothing is rebuilt, and running searches are not disturbed."""

_REMOVE = """\
Removed photos are excluded from results immediately; `index compact` reclaims the space. If a photo
or product is not in the index, nothing is removed, unless --missing_ok is given."""

_TUNE = """\
Recall is the share of the k nearest photos of exact search that the index finds. Queries are photos
of the index, which do not count as answers to themselves, or photos of --split. The fastest
settings that reach the recall are stored in the index; a curve of all settings is drawn."""

_COMPACT = """\
Merges all additions, drops removed photos, and rebuilds the index. Searches keep answering from the
old state until it is done. Tuned settings have to be tuned again."""


_INDEX: Flags = {
    "--index": {"metavar": "DIR", "help": "directory of the index"},
    "--workdir": {"metavar": "RUN", "help": "directory of the run whose index is RUN/index"},
}
_BUILD_FLAGS: Flags = {
    "--split": {"default": "gallery", "help": "split to index (default: %(default)s)"},
    "--kind": {
        "choices": KINDS,
        "default": "auto",
        "help": "kind of index (default: %(default)s)",
    },
    "--index": {"metavar": "DIR", "help": "directory to write (default: RUN/index)"},
}
_ADD_FLAGS: Flags = {
    "--index": {"metavar": "DIR", "help": "directory of the index (default: RUN/index)"},
    "--photos": {
        "nargs": "+",
        "metavar": "PATH",
        "help": "photos to add: directories or files",
    },
    "--list": {
        "metavar": "FILE",
        "help": "CSV, Parquet or JSON lines: photo, product, ...; photos below --photos",
    },
    "--split": {"help": "split of the built dataset to add, instead of --photos"},
    **LIST_DEFAULTS,
    **LIST_CELLS,
    "--replace": {"action": YES, "help": "replace existing photos with the same id"},
    "--skip_bad": {"action": YES, "help": "leave out unusable photos, and add the rest"},
}
_REMOVE_FLAGS: Flags = {
    "--photo_id": {
        "nargs": "+",
        "default": [],
        "metavar": "ID",
        "help": "ids of photos to remove",
    },
    "--product": {
        "nargs": "+",
        "default": [],
        "metavar": "NAME",
        "help": "products to remove, with all of their photos",
    },
    "--from": {
        "dest": "file",
        "metavar": "FILE",
        "help": "text file of photo ids to remove, one a line",
    },
    "--missing_ok": {
        "action": YES,
        "help": "skip photos and products that are not in the index",
    },
}
_TUNE_FLAGS: Flags = {
    "--recall": {
        "type": float,
        "default": 0.99,
        "metavar": "R",
        "help": "recall (default: %(default)s)",
    },
    "--k": {
        "type": int,
        "default": 10,
        "metavar": "N",
        "help": "neighbours that the recall counts (default: %(default)s)",
    },
    "--queries": {
        "type": int,
        "default": 1000,
        "metavar": "N",
        "help": "largest number of queries (default: %(default)s)",
    },
    "--split": {"help": "split to take the queries from, such as query; needs --workdir"},
    "--dataset": {
        "metavar": "NAME",
        "help": "dataset of that split (default: the run's own)",
    },
    "--data_dir": MODEL["--data_dir"],
    "--picture": {
        "metavar": "FILE",
        "help": "PNG file for the curve, or none (default: tuning.png in the index)",
    },
}
_COMPACT_FLAGS: Flags = {
    "--kind": {"choices": KINDS, "help": "index type after compaction (default: unchanged)"}
}


def add(commands: Any) -> None:
    """Add `index` with its actions."""
    index = commands.add_parser("index", help="build, change, tune and describe indexes")
    actions = index.add_subparsers(metavar="ACTION", required=True, title="actions", dest="action")
    text = "embed a gallery with a run's model and make it searchable"
    command(actions, "build", _build, text, _BUILD, MODEL | _BUILD_FLAGS)
    text = "embed photos with a run's model and add them to an index"
    command(actions, "add", _add, text, _ADD, MODEL | _ADD_FLAGS)
    feed.add_actions(actions, _INDEX, _place)
    text = "remove photos from an index"
    command(actions, "remove", _remove, text, _REMOVE, _INDEX | _REMOVE_FLAGS)
    command(actions, "info", _info, "check an index and describe it", "", _INDEX)
    text = "measure recall and speed, and use the fastest settings that reach a recall"
    command(actions, "tune", _tune, text, _TUNE, _INDEX | _TUNE_FLAGS)
    text = "merge an index's segments and drop removed photos"
    command(actions, "compact", _compact, text, _COMPACT, _INDEX | _COMPACT_FLAGS)
    reembed.add_actions(actions)
    duplicates.add_index_action(actions, _INDEX, _place)


def _place(flags: argparse.Namespace) -> pathlib.Path:
    from fashion_jax.serving.build_index import index_folder

    if flags.index is None and flags.workdir is None:
        raise FashionJaxError("name the index: --index DIR, or --workdir RUN for RUN/index")
    return index_folder(flags.workdir or "", flags.index)


def _build(flags: argparse.Namespace) -> None:
    from fashion_jax.serving.build_index import build_index

    place = flags.dataset, flags.data_dir
    result = build_index(flags.workdir, *place, flags.kind, flags.index, split=flags.split)
    print_result(result, flags)


def _add(flags: argparse.Namespace) -> None:
    from fashion_jax.datasets.photo_lists.fields import parse_types
    from fashion_jax.serving.build_index import add_files, add_split
    from fashion_jax.serving.new_photos import Defaults, find_photos, read_list, require_fields

    if (flags.photos is None) == (flags.split is None):
        raise FashionJaxError("name what to add: either --photos PATH or --split NAME")
    if flags.split is not None:
        place = flags.data_dir, flags.index
        result = add_split(flags.workdir, flags.split, flags.dataset, *place, flags.replace)
        print_result(result, flags)
        return
    defaults = Defaults(flags.category, flags.product, flags.domain)
    places = [pathlib.Path(place) for place in flags.photos]
    if flags.list is None:
        photos = find_photos(*places, defaults=defaults)
    elif len(places) > 1:
        raise FashionJaxError("the photos of a --list lie below one directory: --photos DIR")
    else:
        path, types = pathlib.Path(flags.list), parse_types(flags.types)
        photos = read_list(path, places[0], defaults, types, flags.none)
        require_fields(types, list(photos.fields), path)
    result = add_files(flags.workdir, photos, flags.index, flags.replace, flags.skip_bad)
    print_result(result, flags)


def _remove(flags: argparse.Namespace) -> None:
    from fashion_jax.retrieval.catalogue.changes import remove_photos
    from fashion_jax.serving.new_photos import read_names

    photos = list(flags.photo_id)
    if flags.file is not None:
        photos += read_names(pathlib.Path(flags.file))
    if not photos and not flags.product:
        raise FashionJaxError("name what to remove: --photo_id ID, --product NAME or --from FILE")
    print_result(remove_photos(_place(flags), photos, flags.product, flags.missing_ok), flags)


def _info(flags: argparse.Namespace) -> None:
    from fashion_jax.retrieval.catalogue.info import catalogue_info

    print_result(catalogue_info(_place(flags)), flags)


def _tune(flags: argparse.Namespace) -> None:
    from fashion_jax.serving.tune_index import tune

    place = _place(flags)
    queries = _queries(flags)
    picture, draw = flags.picture, flags.picture != "none"
    result = tune(place, flags.recall, flags.k, flags.queries, queries, picture, draw)
    print_result(result, flags)
    if result.failed:
        best = max(point.recall for tuning in result.failed for point in tuning.points)
        raise FashionJaxError(
            f"no settings reach a recall of {flags.recall:g}; the best reach {best:.4f}, and the "
            f"index is searched as before. Lower --recall, or search exactly: "
            f"fashion-jax index compact --kind exact"
        )


def _queries(flags: argparse.Namespace) -> Any:
    from fashion_jax.serving.tune_index import embed_queries

    if flags.split is None:
        if flags.dataset or flags.data_dir:
            raise FashionJaxError("--dataset and --data_dir need --split, such as --split query")
        return None
    if flags.workdir is None:
        raise FashionJaxError("--split needs --workdir, the run whose model embeds its photos")
    place = flags.dataset, flags.data_dir, flags.index
    return embed_queries(flags.workdir, flags.split, flags.queries, *place)


def _compact(flags: argparse.Namespace) -> None:
    from fashion_jax.retrieval.catalogue.changes import compact

    print_result(compact(_place(flags), flags.kind), flags)
