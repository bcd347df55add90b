"""`fashion-jax data`: download, check and build datasets, and find duplicates in them."""

import argparse
from typing import Any

from fashion_jax.cli import duplicates
from fashion_jax.cli.command import YES, Flags, command, print_result
from fashion_jax.cli.terminal import say
from fashion_jax.datasets.download.options import DownloadOptions
from fashion_jax.errors import FashionJaxError

_DOWNLOAD = """\
Needs: pip install 'fashion-jax[download]'.

Photos that are present are skipped. An answer is kept only if it decodes as a photo. A journal
next to the list of links records the outcome of each photo and the reason for each failure.

Safe to interrupt or kill; run the same command again to resume. It retries failures that may
have passed (no answer, an overloaded host) and skips photos that are gone for good (no such
photo, a web page instead) unless --retry_failed is given. A host that keeps failing is left
alone until the next run.

Exit status: 0 when every photo was tried, whether it was found or not; 130 after Ctrl-C."""

_BUILDER_OPTIONS = """\
Set any option of the dataset's builder by --option.NAME=VALUE, for example:
  --option.margin=0.1 --option.longest_side=320 --option.jpeg_quality=90
data_builders/DATASET/README.md describes a dataset's own options; a wrong name lists them all."""


_RAW_COPY: Flags = {
    "--dataset": {
        "required": True,
        "metavar": "NAME",
        "help": "name of a builder, such as street2shop",
    },
    "--manual_dir": {"metavar": "RAW", "help": "directory of the raw copy"},
    "--manifest": {
        "metavar": "FILE",
        "help": "CSV or Parquet file that lists the photos; for --dataset catalogue",
    },
    "--photos": {
        "metavar": "DIR",
        "help": "directory of the photos, also gs:// or s3://; for --dataset catalogue",
    },
    "--splits": {
        "nargs": "+",
        "metavar": "NAME",
        "help": "splits to read, such as query gallery (default: all)",
    },
}
_CHECK_FLAGS: Flags = {
    "--contact_sheet": {
        "metavar": "FILE",
        "help": "PNG file for boxes and crops of some photos, or none (default: DATASET_crops.png)",
    },
}
_BUILD_FLAGS: Flags = {
    "--data_dir": {
        "default": "data",
        "metavar": "DIR",
        "help": "directory of built datasets, also gs:// or s3:// (default: %(default)s)",
    },
    "--beam": {
        "action": YES,
        "help": "process the photos with Apache Beam; the records are the same",
    },
    "--beam_options": {
        "nargs": "+",
        "metavar": "NAME=VALUE",
        "help": "Beam's pipeline options, such as runner=FlinkRunner; implies --beam",
    },
    "--overwrite": {"action": YES, "help": "replace splits that are built already"},
}
_DEFAULT = DownloadOptions()
_DOWNLOAD_FLAGS: Flags = {
    "--dataset": {
        "required": True,
        "metavar": "NAME",
        "help": "dataset that publishes links: street2shop",
    },
    "--manual_dir": {
        "metavar": "RAW",
        "help": "directory of the raw copy, with the list of links",
    },
    "--concurrency": {
        "type": int,
        "metavar": "N",
        "default": _DEFAULT.concurrency,
        "help": "photos at once, over all hosts (default: %(default)s)",
    },
    "--per_host": {
        "type": int,
        "metavar": "N",
        "default": _DEFAULT.per_host,
        "help": "photos at once on one host (default: %(default)s)",
    },
    "--retries": {
        "type": int,
        "metavar": "N",
        "default": _DEFAULT.retries,
        "help": "further attempts if a failure may pass (default: %(default)s)",
    },
    "--timeout": {
        "type": float,
        "metavar": "S",
        "default": _DEFAULT.timeout,
        "help": "seconds without data after which an attempt fails; an answer that trickles in "
        f"fails after {_DEFAULT.total_timeouts:g} times as long (default: %(default)g)",
    },
    "--limit": {"type": int, "metavar": "N", "help": "fetch at most N photos in this run"},
    "--retry_failed": {"action": YES, "help": "retry photos that were gone for good"},
    "--allow_private_hosts": {
        "action": YES,
        "help": "follow links into the local network; only for a list that you trust",
    },
}


def add(commands: Any) -> None:
    """Add `data` and its actions."""
    data = commands.add_parser(
        "data", help="download, check or build a dataset, or find duplicates in it"
    )
    actions = data.add_subparsers(metavar="ACTION", required=True, title="actions", dest="action")
    text, flags = "check a raw copy of a dataset and report its contents", _RAW_COPY | _CHECK_FLAGS
    check = command(actions, "check", _data_check, text, _BUILDER_OPTIONS, flags)
    text, flags = "build a dataset's records and report their counts", _RAW_COPY | _BUILD_FLAGS
    build = command(actions, "build", _data_build, text, _BUILDER_OPTIONS, flags)
    for parser in (check, build):
        parser.set_defaults(takes_options=True)
    text = "download the photos that a raw copy lacks from its list of links"
    command(actions, "download", _data_download, text, _DOWNLOAD, _DOWNLOAD_FLAGS)
    duplicates.add_data_action(actions)


def _data_check(flags: argparse.Namespace) -> None:
    from fashion_jax.datasets.building.build import check

    options = _builder_options(flags)
    sheet = flags.contact_sheet or f"{flags.dataset}_crops.png"
    sheet = None if sheet == "none" else sheet
    report = check(flags.dataset, flags.manual_dir, flags.splits, contact_sheet=sheet, **options)
    print_result(report, flags)
    if sheet is not None:  # not to stdout, which may be JSON
        say(f"contact sheet: {sheet}", to_stderr=True)


def _data_build(flags: argparse.Namespace) -> None:
    from fashion_jax.datasets.building.build import build

    report = build(
        flags.dataset,
        flags.data_dir,
        flags.manual_dir,
        flags.splits,
        flags.overwrite,
        beam=flags.beam_options or (() if flags.beam else None),
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


def _builder_options(flags: argparse.Namespace) -> dict[str, Any]:
    """Return the `--option.NAME=VALUE`s; refuse names that the builder does not have."""
    from fashion_jax.datasets.building.build import builder_class
    from fashion_jax.datasets.building.options import given_options

    options = builder_class(flags.dataset).OPTIONS
    return given_options(options, flags.overrides | _catalogue_options(flags))


def _catalogue_options(flags: argparse.Namespace) -> dict[str, str]:
    """Return `--manifest` and `--photos`, options of one builder only."""
    places = {"manifest": flags.manifest, "photos": flags.photos}
    given = {name: place for name, place in places.items() if place is not None}
    if given and flags.dataset != "catalogue":
        raise FashionJaxError(
            f"--manifest and --photos are for --dataset catalogue; {flags.dataset} takes "
            "--manual_dir"
        )
    return given
