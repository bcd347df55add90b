"""`fashion-jax index`: catalogues that can be searched, and how they change."""

import argparse
import pathlib
from typing import Any

from fashion_jax.cli.command import add_model, command, names, print_result
from fashion_jax.errors import FashionJaxError

_BUILD = """\
An index of kind `auto` compares all photos exactly while they are few, and is ScaNN's from the size
where that is faster. Where ScaNN has no wheel, exact search takes its place and says so.

An index that is there already is replaced in a single step."""

_ADD = """\
Of a folder, every file below it is added; a photo's name is its path below the folder. A list is a
CSV file with the column photo (a path below the folder) and, if wanted, category and product (a
number): its photos are added, and no others.

If one photo cannot be used, all of these are named and nothing is added; with --skip_bad the others
are. Nothing is rebuilt, and searches that are under way are not disturbed."""

_REMOVE = """\
Removed photos are never found again from that moment on; their room is free after `index compact`.
If one photo or product is not there, nothing is removed, unless --missing_ok is given."""

_TUNE = """\
Recall is the share of the k nearest photos, as exact search finds them, that are found. Queries are
photos of the index, which are no answers to themselves, or with --split photos of a built dataset.
The fastest settings that reach the recall are stored in the index. A curve of all is drawn."""

_COMPACT = """\
Brings the photos of all additions together, lets go of removed ones, and builds the index anew.
Until it is done, searches find what they found before. Tuned settings have to be tuned again."""


def add(commands: Any) -> None:
    """Adds `index` and its actions."""
    index = commands.add_parser("index", help="make photos searchable; add and remove some")
    actions = index.add_subparsers(metavar="ACTION", required=True, title="actions", dest="action")
    _add_build(actions)
    _add_add(actions)
    _add_remove(actions)
    _add_info(actions)
    _add_tune(actions)
    _add_compact(actions)


def _add_build(actions: Any) -> None:
    text = "embed a gallery with a run's model and make it searchable"
    build = command(actions, "build", _build, text, _BUILD)
    add_model(build)
    build.add_argument("--split", default="gallery", help="default: %(default)s")
    build.add_argument(
        "--kind", choices=("auto", "scann", "exact"), default="auto", help="default: %(default)s"
    )
    build.add_argument("--index", metavar="DIR", help="where to write it (default: WORKDIR/index)")


def _add_add(actions: Any) -> None:
    text = "embed photos with a run's model and add them to an index"
    parser = command(actions, "add", _add, text, _ADD)
    add_model(parser)
    add = parser.add_argument
    add("--index", metavar="DIR", help="to add to (default: WORKDIR/index)")
    add("--photos", nargs="+", metavar="PLACE", help="folders, or files")
    add("--list", metavar="FILE", help="CSV: photo,category,product; photos below --photos")
    add("--split", help="a split of the built dataset, instead of --photos")
    add("--category", default="item", help="of photos that no list says it of (default: item)")
    add("--product", type=int, metavar="N", help="of photos that no list says it of")
    add("--domain", choices=("shop", "street"), default="shop", help="default: %(default)s")
    add("--replace", action="store_true", help="take photos of the same names out")
    add("--skip_bad", action="store_true", help="leave out what is no usable photo")


def _add_remove(actions: Any) -> None:
    remove = command(actions, "remove", _remove, "remove photos from an index", _REMOVE)
    _add_place(remove)
    remove.add_argument("--photo_id", metavar="A,B", help="names of photos")
    remove.add_argument("--identity", metavar="N,M", help="products, all of whose photos go")
    remove.add_argument("--from", dest="file", metavar="FILE", help="names of photos, one a line")
    remove.add_argument("--missing_ok", action="store_true", help="pass over what is not there")


def _add_info(actions: Any) -> None:
    info = command(actions, "info", _info, "check an index and say what it holds")
    _add_place(info)
    info.add_argument("--json", action="store_true", help="print it as JSON")


def _add_tune(actions: Any) -> None:
    text = "measure recall and speed, and search as fast as the recall allows"
    tune = command(actions, "tune", _tune, text, _TUNE)
    _add_place(tune)
    add = tune.add_argument
    add("--recall", type=float, default=0.99, metavar="R", help="default: %(default)s")
    add("--k", type=int, default=10, help="nearest photos that count (default: %(default)s)")
    add("--queries", type=int, default=1000, metavar="N", help="default: %(default)s")
    add("--split", help="measure with photos of this split, such as query; needs --workdir")
    add("--dataset", help="of the split: another built dataset than the run's own")
    add("--data_dir", help="where it lies (default: the run's)")
    add("--picture", metavar="FILE", help="of the curve (default: tuning.png in the index)")
    add("--json", action="store_true", help="print the curve as JSON")


def _add_compact(actions: Any) -> None:
    compact = command(actions, "compact", _compact, "bring an index into one piece", _COMPACT)
    _add_place(compact)
    compact.add_argument(
        "--kind", choices=("auto", "scann", "exact"), help="from now on (default: as it was)"
    )


def _add_place(parser: Any) -> None:
    parser.add_argument("--index", metavar="DIR", help="of the index")
    parser.add_argument("--workdir", metavar="RUN", help="of a run whose index is RUN/index")


def _place(flags: argparse.Namespace) -> pathlib.Path:
    from fashion_jax.serving.index_run import index_folder

    if flags.index is None and flags.workdir is None:
        raise FashionJaxError("name the index: --index DIR, or --workdir RUN for RUN/index")
    return index_folder(flags.workdir or "", flags.index)


def _build(flags: argparse.Namespace) -> None:
    from fashion_jax.serving.index_run import index_run

    place = flags.dataset, flags.data_dir
    print(index_run(flags.workdir, *place, flags.kind, flags.index, split=flags.split))


def _add(flags: argparse.Namespace) -> None:
    from fashion_jax.serving.index_photos import add_files, add_split

    if (flags.photos is None) == (flags.split is None):
        raise FashionJaxError(
            "name what to add: --photos DIR, or --split S of the run's dataset or of --dataset"
        )
    if flags.split is not None:
        place = flags.data_dir, flags.index
        print(add_split(flags.workdir, flags.dataset, flags.split, *place, flags.replace))
        return
    photos = _listed(flags)
    print(add_files(flags.workdir, photos, flags.index, flags.replace, flags.skip_bad))


def _listed(flags: argparse.Namespace) -> Any:
    from fashion_jax.serving.photo_list import UNKNOWN_PRODUCT, Defaults, find_photos, read_list

    product = UNKNOWN_PRODUCT if flags.product is None else flags.product
    defaults = Defaults(flags.category, product, flags.domain)
    places = [pathlib.Path(place) for place in flags.photos]
    if flags.list is None:
        return find_photos(places, defaults)
    if len(places) > 1:
        raise FashionJaxError("the photos of a --list lie below one folder: --photos DIR")
    return read_list(pathlib.Path(flags.list), places[0], defaults)


def _remove(flags: argparse.Namespace) -> None:
    from fashion_jax.retrieval.catalogue.changes import remove_photos
    from fashion_jax.serving.photo_list import read_names

    photos = names(flags.photo_id or "")
    if flags.file is not None:
        photos += read_names(pathlib.Path(flags.file))
    products = _numbers(flags.identity or "")
    if not photos and not products:
        raise FashionJaxError("name what to remove: --photo_id A,B, --identity N or --from FILE")
    place = _place(flags)
    change = remove_photos(place, photos, products, flags.missing_ok)
    print(f"{change.removed:,} photos removed; {change.photos:,} now: {place.resolve()}")


def _numbers(text: str) -> list[int]:
    try:
        return [int(number) for number in names(text)]
    except ValueError as error:
        raise FashionJaxError(
            f"--identity takes products' numbers, such as 7,12: {error}"
        ) from error


def _info(flags: argparse.Namespace) -> None:
    from fashion_jax.retrieval.catalogue.info import describe

    print_result(describe(_place(flags)), flags)


def _tune(flags: argparse.Namespace) -> None:
    from fashion_jax.serving.tune_index import tune

    place = _place(flags)
    queries = _queries(flags)
    result = tune(place, flags.recall, flags.k, flags.queries, queries, flags.picture)
    print_result(result, flags)
    if result.failed:
        best = max(point.recall for tuning in result.failed for point in tuning.points)
        raise FashionJaxError(
            f"no settings reach a recall of {flags.recall:g}, the best have {best:.4f}; the index "
            f"is searched as before. Ask for less, or compare exactly: "
            f"fashion-jax index compact --kind exact"
        )


def _queries(flags: argparse.Namespace) -> Any:
    from fashion_jax.serving.tune_index import embed_queries

    if flags.split is None:
        if flags.dataset or flags.data_dir:
            raise FashionJaxError(
                "of --dataset, the split to measure with is missing: --split query"
            )
        return None
    if flags.workdir is None:
        raise FashionJaxError("--split needs --workdir, the run whose model embeds its photos")
    place = flags.dataset, flags.data_dir, flags.index
    return embed_queries(flags.workdir, flags.split, flags.queries, *place)


def _compact(flags: argparse.Namespace) -> None:
    from fashion_jax.retrieval.catalogue.changes import compact

    place = _place(flags)
    done = compact(place, flags.kind)
    print(f"{'in one piece' if done else 'nothing to do'}: {place.resolve()}")
