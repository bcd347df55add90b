"""`fashion-jax index`: searchable indexes, and changes to them."""

import argparse
import pathlib
from typing import Any

from fashion_jax.cli.command import YES, add_model, command, print_result
from fashion_jax.errors import FashionJaxError

KINDS = ("auto", "exact", "scann")

_BUILD = """\
`auto` searches small galleries exactly and switches to ScaNN where that is faster. Without a ScaNN
wheel, exact search takes its place, with a warning. An existing index is replaced in one step."""

_ADD = """\
Of a directory, every file below it is added; a photo's id is its path below the directory. A list
is a CSV file with the column photo (a path below the directory) and, if known, category and product
(a number); only its photos are added.

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


def add(commands: Any) -> None:
    """Add `index` and its actions."""
    index = commands.add_parser("index", help="build, change, tune and describe indexes")
    actions = index.add_subparsers(metavar="ACTION", required=True, title="actions", dest="action")
    _add_build(actions)
    _add_add(actions)
    _add_remove(actions)
    info = command(actions, "info", _info, "check an index and describe it")
    _add_place(info)
    _add_tune(actions)
    _add_compact(actions)


def _add_build(actions: Any) -> None:
    text = "embed a gallery with a run's model and make it searchable"
    build = command(actions, "build", _build, text, _BUILD)
    add_model(build)
    build.add_argument("--split", default="gallery", help="split to index (default: %(default)s)")
    build.add_argument(
        "--kind", choices=KINDS, default="auto", help="kind of index (default: %(default)s)"
    )
    build.add_argument("--index", metavar="DIR", help="directory to write (default: RUN/index)")


def _add_add(actions: Any) -> None:
    text = "embed photos with a run's model and add them to an index"
    parser = command(actions, "add", _add, text, _ADD)
    add_model(parser)
    add = parser.add_argument
    add("--index", metavar="DIR", help="directory of the index (default: RUN/index)")
    add("--photos", nargs="+", metavar="PATH", help="photos to add: directories or files")
    add("--list", metavar="FILE", help="CSV file: photo,category,product; photos below --photos")
    add("--split", help="split of the built dataset to add, instead of --photos")
    add(
        "--category",
        default="item",
        metavar="NAME",
        help="category for photos not covered by --list (default: %(default)s)",
    )
    add("--product", type=int, metavar="N", help="product for photos not covered by --list")
    add(
        "--domain",
        choices=("shop", "street"),
        default="shop",
        help="domain of the photos (default: %(default)s)",
    )
    add("--replace", action=YES, help="replace existing photos with the same id")
    add("--skip_bad", action=YES, help="leave out unusable photos, and add the rest")


def _add_remove(actions: Any) -> None:
    remove = command(actions, "remove", _remove, "remove photos from an index", _REMOVE)
    _add_place(remove)
    add = remove.add_argument
    add("--photo_id", nargs="+", default=[], metavar="ID", help="ids of photos to remove")
    add(
        "--product",
        nargs="+",
        default=[],
        metavar="N",
        help="products to remove, with all of their photos",
    )
    add("--from", dest="file", metavar="FILE", help="text file of photo ids to remove, one a line")
    add("--missing_ok", action=YES, help="skip photos and products that are not in the index")


def _add_tune(actions: Any) -> None:
    text = "measure recall and speed, and use the fastest settings that reach a recall"
    tune = command(actions, "tune", _tune, text, _TUNE)
    _add_place(tune)
    add = tune.add_argument
    add("--recall", type=float, default=0.99, metavar="R", help="recall (default: %(default)s)")
    add(
        "--k",
        type=int,
        default=10,
        metavar="N",
        help="neighbours that the recall counts (default: %(default)s)",
    )
    add(
        "--queries",
        type=int,
        default=1000,
        metavar="N",
        help="largest number of queries (default: %(default)s)",
    )
    add("--split", help="split to take the queries from, such as query; needs --workdir")
    add("--dataset", metavar="NAME", help="dataset of that split (default: the run's own)")
    add("--data_dir", metavar="DIR", help="directory of built datasets (default: the run's)")
    add(
        "--picture",
        metavar="FILE",
        help="PNG file for the curve (default: tuning.png in the index)",
    )


def _add_compact(actions: Any) -> None:
    text = "merge an index's segments and drop removed photos"
    compact = command(actions, "compact", _compact, text, _COMPACT)
    _add_place(compact)
    compact.add_argument(
        "--kind", choices=KINDS, help="index type after compaction (default: unchanged)"
    )


def _add_place(parser: Any) -> None:
    parser.add_argument("--index", metavar="DIR", help="directory of the index")
    parser.add_argument(
        "--workdir", metavar="RUN", help="directory of the run whose index is RUN/index"
    )


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
    from fashion_jax.serving.build_index import add_files, add_split

    if (flags.photos is None) == (flags.split is None):
        raise FashionJaxError("name what to add: either --photos PATH or --split NAME")
    if flags.split is not None:
        place = flags.data_dir, flags.index
        result = add_split(flags.workdir, flags.dataset, flags.split, *place, flags.replace)
    else:
        photos = _listed(flags)
        result = add_files(flags.workdir, photos, flags.index, flags.replace, flags.skip_bad)
    print_result(result, flags)


def _listed(flags: argparse.Namespace) -> Any:
    from fashion_jax.serving.photo_list import UNKNOWN_PRODUCT, Defaults, find_photos, read_list

    product = UNKNOWN_PRODUCT if flags.product is None else flags.product
    defaults = Defaults(flags.category, product, flags.domain)
    places = [pathlib.Path(place) for place in flags.photos]
    if flags.list is None:
        return find_photos(places, defaults)
    if len(places) > 1:
        raise FashionJaxError("the photos of a --list lie below one directory: --photos DIR")
    return read_list(pathlib.Path(flags.list), places[0], defaults)


def _remove(flags: argparse.Namespace) -> None:
    from fashion_jax.retrieval.catalogue.changes import remove_photos
    from fashion_jax.serving.photo_list import read_names

    photos = list(flags.photo_id)
    if flags.file is not None:
        photos += read_names(pathlib.Path(flags.file))
    products = _numbers(flags.product)
    if not photos and not products:
        raise FashionJaxError("name what to remove: --photo_id ID, --product N or --from FILE")
    print_result(remove_photos(_place(flags), photos, products, flags.missing_ok), flags)


def _numbers(texts: list[str]) -> list[int]:
    try:
        return [int(text) for text in texts]
    except ValueError as error:
        raise FashionJaxError(f"--product takes numbers, such as 7 12: {error}") from error


def _info(flags: argparse.Namespace) -> None:
    from fashion_jax.retrieval.catalogue.info import catalogue_info

    print_result(catalogue_info(_place(flags)), flags)


def _tune(flags: argparse.Namespace) -> None:
    from fashion_jax.serving.tune_index import tune

    place = _place(flags)
    queries = _queries(flags)
    result = tune(place, flags.recall, flags.k, flags.queries, queries, flags.picture)
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
