"""`fashion-jax data`: fetch, check and build datasets."""

import argparse
import sys
from typing import Any

from fashion_jax.cli.command import command, print_result
from fashion_jax.datasets.download.options import DownloadOptions
from fashion_jax.errors import FashionJaxError

_DOWNLOAD = """\
Photos that are present are skipped. An answer is kept only if it decodes as a photo. A journal
beside the list of links records the outcome of each photo, with the reason of each failure.

Safe to interrupt or kill; run the same command again to resume. It retries failures that may
have passed (no answer, an overloaded host) and skips photos that are gone for good (no such
photo, a web page instead) unless --retry_failed is given. A host that keeps failing is left
alone until the next run.

Exit status: 0 when every photo was tried, whether it was found or not; 130 after Ctrl-C."""

_BUILDER_OPTIONS = """\
Any option of the dataset's builder can be set by --option.NAME=VALUE, for example:
  --option.margin=0.1 --option.longest_side=320 --option.jpeg_quality=90
A dataset's own options are in data_builders/DATASET/README.md; a wrong name lists them all."""


def add(commands: Any) -> None:
    """Adds `data` and its actions."""
    data = commands.add_parser("data", help="fetch, check or build a dataset")
    actions = data.add_subparsers(metavar="ACTION", required=True, title="actions", dest="action")
    check = command(
        actions, "check", _data_check, "say what a raw copy of a dataset holds", _BUILDER_OPTIONS
    )
    build = command(
        actions,
        "build",
        _data_build,
        "build a dataset's records and their report",
        _BUILDER_OPTIONS,
    )
    for parser in (check, build):
        parser.set_defaults(takes_options=True)
        parser.add_argument("--dataset", required=True, help="a builder, such as street2shop")
        parser.add_argument("--manual_dir", help="folder with the raw dataset")
        parser.add_argument(
            "--manifest", metavar="FILE", help="of the dataset catalogue: a CSV or Parquet file"
        )
        parser.add_argument(
            "--photos", metavar="DIR", help="of the dataset catalogue: a folder, gs:// or s3://"
        )
        parser.add_argument("--splits", help="only these, such as query,gallery")
    check.add_argument(
        "--contact_sheet",
        metavar="FILE",
        help="picture of boxes and crops to look at, or none (default: DATASET_crops.png)",
    )
    build.add_argument("--data_dir", default="data", help="where to write (default: %(default)s)")
    build.add_argument("--overwrite", action="store_true", help="build again what is there already")
    _add_download(actions)


def _add_download(actions: Any) -> None:
    text = "fetch the photos that a raw copy lacks from its list of links"
    download = command(actions, "download", _data_download, text, _DOWNLOAD)
    default = DownloadOptions()
    add = download.add_argument
    add("--dataset", required=True, help="dataset that publishes links: street2shop")
    add("--manual_dir", metavar="RAW", help="directory of the raw copy, with the list of links")
    _add_number(download, "concurrency", default.concurrency, "photos at once, over all hosts")
    _add_number(download, "per_host", default.per_host, "photos at once on one host")
    _add_number(download, "retries", default.retries, "further attempts if a failure may pass")
    add(
        "--timeout",
        type=float,
        metavar="S",
        default=default.timeout,
        help="seconds without data after which an attempt fails; an answer that trickles in fails "
        f"after {default.total_timeouts:g} times as long (default: %(default)g)",
    )
    add("--limit", type=int, metavar="N", help="fetch at most N photos in this run")
    add("--retry_failed", action="store_true", help="retry photos that were gone for good")
    add(
        "--allow_private_hosts",
        action="store_true",
        help="follow links into the local network; only for a list that you trust",
    )


def _add_number(parser: Any, name: str, default: int, text: str) -> None:
    text = f"{text} (default: %(default)s)"
    parser.add_argument(f"--{name}", type=int, metavar="N", default=default, help=text)


def _data_check(flags: argparse.Namespace) -> None:
    from fashion_jax.datasets.building.build import check

    options = _builder_options(flags)
    sheet = flags.contact_sheet or f"{flags.dataset}_crops.png"
    sheet = None if sheet == "none" else sheet
    report = check(flags.dataset, flags.manual_dir, _splits(flags), contact_sheet=sheet, **options)
    print_result(report, flags)
    if sheet is not None:  # not to stdout, which may be JSON
        print(f"crops to look at: {sheet}", file=sys.stderr)


def _data_build(flags: argparse.Namespace) -> None:
    from fashion_jax.datasets.building.build import build

    report = build(
        flags.dataset,
        flags.data_dir,
        flags.manual_dir,
        _splits(flags),
        flags.overwrite,
        **_builder_options(flags),
    )
    print_result(report, flags)


def _data_download(flags: argparse.Namespace) -> None:
    from fashion_jax.datasets.download.download import download

    options = DownloadOptions(
        concurrency=flags.concurrency,
        per_host=flags.per_host,
        timeout=flags.timeout,
        retries=flags.retries,
        limit=flags.limit,
        retry_failed=flags.retry_failed,
        allow_private_hosts=flags.allow_private_hosts,
    )
    report = download(flags.dataset, flags.manual_dir, options)
    print_result(report, flags)
    if report.interrupted:
        raise KeyboardInterrupt


def _splits(flags: argparse.Namespace) -> tuple[str, ...] | None:
    return tuple(flags.splits.split(",")) if flags.splits else None


def _builder_options(flags: argparse.Namespace) -> dict[str, Any]:
    """The `--option.NAME=VALUE`s; refused here already, where they are not the builder's."""
    from fashion_jax.datasets.building.build import builder_class
    from fashion_jax.datasets.building.options import given_options

    options = builder_class(flags.dataset).OPTIONS
    return given_options(options, flags.overrides | _catalogue_options(flags))


def _catalogue_options(flags: argparse.Namespace) -> dict[str, str]:
    """`--manifest` and `--photos`, which are options of one builder only."""
    places = {"manifest": flags.manifest, "photos": flags.photos}
    given = {name: place for name, place in places.items() if place is not None}
    if given and flags.dataset != "catalogue":
        raise FashionJaxError(
            f"--manifest and --photos are for --dataset catalogue; {flags.dataset} takes "
            "--manual_dir"
        )
    return given
