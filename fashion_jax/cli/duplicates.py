"""`fashion-jax data duplicates` and `fashion-jax index duplicates`."""

import argparse
import pathlib
from collections.abc import Callable
from typing import Any

from fashion_jax.cli.command import Flags, command, print_result
from fashion_jax.datasets.duplicates.limits import Limits
from fashion_jax.datasets.duplicates.words import ANY, COUNTED, FAILURES, TWO_PRODUCTS
from fashion_jax.errors import FashionJaxError

Place = Callable[[argparse.Namespace], pathlib.Path]

_KINDS = """\
Pairs are identical (equal bytes), the same picture (equal pixels), or nearly the same: close
perceptual hashes and close colours. Two colours of one garment do not count as duplicates."""

_DECIDE = """\
To decide on pairs, write same or different into pairs.csv of the report, and pass it to
--decisions: decided pairs are not shown again."""

_DATA = f"""\
{_KINDS}
With --workdir, photos whose embeddings are close may differ more, as by a crop.

{_DECIDE}"""

_INDEX = f"""\
{_KINDS}
Photos are compared by their thumbnails, embeddings, and the checksums of added files.

{_DECIDE}
Then remove photos that are there twice:
  fashion-jax index duplicates --index DIR --decisions pairs.csv --removal_list twice.txt
  fashion-jax index remove --index DIR --from twice.txt"""

_DEFAULT = Limits()
_FLAGS: Flags = {
    "--decisions": {
        "nargs": "+",
        "default": [],
        "metavar": "FILE",
        "help": "CSV lists of decisions: first,second,decision,comment",
    },
    "--removal_list": {
        "metavar": "FILE",
        "help": "text file for the ids of photos to remove: of photos decided to be the same, all "
        "but the first",
    },
    "--report": {
        "metavar": "DIR",
        "default": "duplicates",
        "help": "directory of index.html and pairs.csv, or none (default: %(default)s)",
    },
    "--hash_distance": {
        "type": int,
        "default": _DEFAULT.hash_distance,
        "metavar": "N",
        "help": "most bits of 64 by which hashes differ (default: %(default)s)",
    },
    "--colour_difference": {
        "type": float,
        "default": _DEFAULT.colour_difference,
        "metavar": "E",
        "help": "largest difference between colours of a place (ΔE; default: %(default)s)",
    },
    "--cosine": {
        "type": float,
        "default": _DEFAULT.cosine,
        "metavar": "S",
        "help": "least cosine similarity of close embeddings (default: %(default)s)",
    },
}
_DATA_FLAGS: Flags = {
    "--dataset": {"required": True, "metavar": "NAME", "help": "name of a built dataset"},
    "--data_dir": {
        "default": "data",
        "metavar": "DIR",
        "help": "directory of built datasets (default: %(default)s)",
    },
    "--splits": {
        "nargs": "+",
        "metavar": "NAME",
        "help": "splits to compare, such as train query (default: all)",
    },
    "--workdir": {
        "metavar": "RUN",
        "help": "directory of the run whose model embeds the photos (default: no embeddings)",
    },
}


def add_data_action(actions: Any) -> None:
    """Add `data duplicates`."""
    text = "find photos of a built dataset that are there twice, and leaks between its splits"
    flags = _DATA_FLAGS | _FLAGS | _fail_on(FAILURES)
    command(actions, "duplicates", _data, text, _DATA, flags)


def add_index_action(actions: Any, index: Flags, place: Place) -> None:
    """Add `index duplicates`.

    Args:
        actions: argparse's subparsers.
        index: flags that name an index.
        place: the index's folder by these flags.
    """

    def run(flags: argparse.Namespace) -> None:
        from fashion_jax.retrieval.catalogue import Catalogue

        _find(flags, Catalogue.open(place(flags)))

    text = "find photos of an index that are there twice"
    flags = index | _FLAGS | _fail_on((TWO_PRODUCTS, ANY))
    command(actions, "duplicates", run, text, _INDEX, flags)


def _fail_on(failures: tuple[str, ...]) -> Flags:
    meanings = ", ".join(f"{name} ({COUNTED[name]})" for name in failures)
    return {
        "--fail_on": {
            "choices": failures,
            "help": f"exit with status 2 if there are such pairs: {meanings}",
        }
    }


def _data(flags: argparse.Namespace) -> None:
    from fashion_jax.datasets.dataset import open_dataset
    from fashion_jax.inference.model import load_model

    dataset = open_dataset(flags.dataset, flags.data_dir)
    model = None if flags.workdir is None else load_model(flags.workdir)
    _find(flags, dataset, splits=flags.splits, model=model)


def _find(flags: argparse.Namespace, source: Any, **of_dataset: Any) -> None:
    from fashion_jax.serving.duplicates import find_duplicates

    limits = Limits(flags.hash_distance, flags.colour_difference, flags.cosine)
    found = find_duplicates(
        source,
        decisions=flags.decisions,
        limits=limits,
        report=None if flags.report == "none" else flags.report,
        removal_list=flags.removal_list,
        **of_dataset,
    )
    print_result(found, flags)
    if flags.fail_on is not None and (pairs := found.count(flags.fail_on)):
        raise FashionJaxError(
            f"{pairs:,} pairs {COUNTED[flags.fail_on]} (--fail_on {flags.fail_on})"
        )
