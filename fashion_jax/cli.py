"""`fashion-jax COMMAND`: flags only; each command is one call into a room."""

import argparse
import json
import logging
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

from fashion_jax.data.download.options import DownloadOptions
from fashion_jax.errors import FashionJaxError
from fashion_jax.models.host_memory import keep_freed_memory

_DESCRIPTION = """\
Fashion visual search: a street photo in, the shop's own photo of the same product out.

  fashion-jax demo                                      everything at once, on drawn garments
  fashion-jax data download --dataset D ...             fetch its photos from a list of links
  fashion-jax data check --dataset D --manual_dir RAW   what a raw copy of a dataset holds
  fashion-jax data build --dataset D --manual_dir RAW   make records of it
  fashion-jax data build --dataset catalogue --manifest F --photos DIR    of your own photos
  fashion-jax train --config=C.py --workdir=RUN         train, or go on where a run stopped
  fashion-jax evaluate --workdir=RUN                    metrics, and RUN/report/index.html
  fashion-jax cross-domain --runs=A,B --datasets=C,D    every run on every dataset
  fashion-jax robustness --workdir=RUN                  the same as light, blur, ... grow
  fashion-jax index --workdir=RUN                       embed the gallery into RUN/index
  fashion-jax search PHOTO --workdir=RUN                find the product of a photo
"""

_DOWNLOAD = """\
Photos that are there already are left alone. What a host sends is kept only if it decodes as a
photo. A journal beside the list of links says what became of each photo, and why it failed.

It can be stopped at any moment, by Ctrl-C or by force; the same command goes on. It tries again
what may have passed (no answer, an overloaded host), and leaves alone what is gone for good (no
such photo, a web page instead); --retry_failed tries that again, too. A host that keeps failing
is left alone until the next run.

Exit status: 0 when every photo was tried, whether it was there or not; 130 after Ctrl-C."""

_BUILDER_OPTIONS = """\
Any option of the dataset's builder can be set by --option.NAME=VALUE, for example:
  --option.margin=0.1 --option.longest_side=320 --option.jpeg_quality=90
A dataset's own options are in data_builders/DATASET/README.md; a wrong name lists them all."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status (2 for an error that the user can mend)."""
    keep_freed_memory()  # before any library starts a thread
    parser = make_parser()
    arguments = sys.argv[1:] if arguments is None else arguments
    flags, rest = parser.parse_known_args(arguments)
    _set_up_logging(flags.verbose)
    try:
        flags.overrides = _overrides(flags, rest)
        flags.run(flags)
    except FashionJaxError as error:
        print(f"fashion-jax: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("fashion-jax: interrupted; the same command goes on or starts again", file=sys.stderr)
        return 130
    return 0


def _set_up_logging(verbose: bool) -> None:
    """Our own news always; those of libraries, which are many, only if they are asked for."""
    logging.basicConfig(level=logging.INFO if verbose else logging.ERROR, format="%(message)s")
    logging.getLogger("fashion_jax").setLevel(logging.INFO)
    logging.getLogger("absl").setLevel(logging.INFO if verbose else logging.ERROR)


def make_parser() -> argparse.ArgumentParser:
    """All commands and their flags."""
    parser = argparse.ArgumentParser(
        prog="fashion-jax",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--verbose", action="store_true", help="log what libraries do, too")
    commands = parser.add_subparsers(
        metavar="COMMAND", required=True, title="commands", dest="command"
    )
    _add_data(commands)
    _add_train(commands)
    _add_evaluate(commands)
    _add_cross_domain(commands)
    _add_robustness(commands)
    _add_index(commands)
    _add_search(commands)
    _add_demo(commands)
    return parser


def _command(commands: Any, name: str, run: Any, text: str, epilog: str = "") -> Any:
    parser = commands.add_parser(
        name,
        help=text,
        description=text[0].upper() + text[1:] + ".",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(run=run, takes_config=False, takes_options=False)
    return parser


def _add_data(commands: Any) -> None:
    data = commands.add_parser("data", help="fetch, check or build a dataset")
    actions = data.add_subparsers(metavar="ACTION", required=True, title="actions", dest="action")
    check = _command(
        actions, "check", _data_check, "say what a raw copy of a dataset holds", _BUILDER_OPTIONS
    )
    build = _command(
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
        parser.add_argument("--json", action="store_true", help="print the report as JSON")
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
    download = _command(actions, "download", _data_download, text, _DOWNLOAD)
    default = DownloadOptions()
    add = download.add_argument
    add("--dataset", required=True, help="one with a list of links: street2shop")
    add("--manual_dir", metavar="RAW", help="folder of the raw copy, with the list of links in it")
    _add_number(download, "concurrency", default.concurrency, "photos under way, over all hosts")
    _add_number(download, "per_host", default.per_host, "photos under way at one host")
    _add_number(download, "retries", default.retries, "more attempts where a failure may pass")
    add(
        "--timeout",
        type=float,
        metavar="S",
        default=default.timeout,
        help="seconds without an answer after which an attempt is given up; one that trickles in "
        f"is given up after {default.total_timeouts:g} times as long (default: %(default)g)",
    )
    add("--limit", type=int, metavar="N", help="ask for at most so many photos in this run")
    add("--retry_failed", action="store_true", help="ask again for photos that were gone for good")
    add(
        "--allow_private_hosts",
        action="store_true",
        help="follow links into the local network, too: only for a list that you trust",
    )
    add("--json", action="store_true", help="print the summary as JSON")


def _add_number(parser: Any, name: str, default: int, text: str) -> None:
    text = f"{text} (default: %(default)s)"
    parser.add_argument(f"--{name}", type=int, metavar="N", default=default, help=text)


def _add_train(commands: Any) -> None:
    train = _command(
        commands,
        "train",
        _train,
        "train a model, or go on where a run in the workdir stopped",
        "Any field of the config can be set by --config.FIELD=VALUE, for example:\n"
        "  fashion-jax train --config=configs/street2shop_small.py --workdir=runs/a \\\n"
        "      --config.training.epochs=3 --config.optimizer.learning_rate=1e-4",
    )
    train.add_argument("--config", required=True, help="a file with get_config(); see configs/")
    train.add_argument("--workdir", required=True, help="where the run's files go")
    train.set_defaults(takes_config=True)


def _add_evaluate(commands: Any) -> None:
    evaluate = _command(
        commands,
        "evaluate",
        _evaluate,
        "measure a run's best model on test identities and write its report",
    )
    _add_model(evaluate)
    evaluate.add_argument(
        "--untrained", action="store_true", help="measure the network before training, too"
    )
    evaluate.add_argument("--json", action="store_true", help="print the numbers as JSON")


def _add_robustness(commands: Any) -> None:
    robustness = _command(
        commands,
        "robustness",
        _robustness,
        "measure a run's best model as light, blur, occlusion and other nuisances grow",
        "The gallery stays clean; the queries are embedded again for every nuisance at each of\n"
        "five strengths. Writes a page with curves and pictures, and robustness.json beside it.",
    )
    _add_model(robustness)
    robustness.add_argument(
        "--queries", type=int, metavar="N", help="draw N queries at random (default: all)"
    )
    robustness.add_argument("--nuisances", metavar="A,B", help="only these (default: all)")
    robustness.add_argument(
        "--report", metavar="DIR", help="for index.html (default: WORKDIR/report/robustness)"
    )
    robustness.add_argument("--json", action="store_true", help="print the numbers as JSON")


def _add_cross_domain(commands: Any) -> None:
    cross_domain = _command(
        commands,
        "cross-domain",
        _cross_domain,
        "measure several runs on the test identities of several datasets",
    )
    cross_domain.add_argument("--runs", required=True, help="their workdirs: A,B,...")
    cross_domain.add_argument("--datasets", required=True, help="built datasets: C,D,...")
    cross_domain.add_argument("--data_dir", help="where they lie (default: where each run says)")
    cross_domain.add_argument(
        "--report", default="report", help="for cross_domain.html (default: %(default)s)"
    )
    cross_domain.add_argument("--json", action="store_true", help="print the numbers as JSON")


def _add_index(commands: Any) -> None:
    index = _command(commands, "index", _index, "embed a gallery and make it searchable")
    _add_model(index)
    index.add_argument(
        "--kind", choices=("scann", "exact"), default="scann", help="default: %(default)s"
    )
    index.add_argument("--index", help="where to write it (default: WORKDIR/index)")


def _add_search(commands: Any) -> None:
    search = _command(commands, "search", _search, "find the product that a photo shows")
    search.add_argument("photo", metavar="PHOTO", help="a photo: JPEG, PNG, WebP, GIF, ...")
    search.add_argument("--workdir", required=True, help="of the run whose model to use")
    search.add_argument("--index", help="the index to search (default: WORKDIR/index)")
    search.add_argument("--box", metavar="X,Y,W,H", help="where the garment is, in pixels")
    search.add_argument("--k", type=int, default=10, help="answers (default: %(default)s)")
    search.add_argument(
        "--picture", default="search.png", help="of the ranked list (default: %(default)s)"
    )
    search.add_argument("--json", action="store_true", help="print the answers as JSON")


def _add_demo(commands: Any) -> None:
    demo = _command(
        commands,
        "demo",
        _demo,
        "build, train, evaluate, index and search drawn garments in a few minutes",
    )
    demo.add_argument(
        "--workdir", default="runs/demo", help="the run's folder (default: %(default)s)"
    )
    demo.add_argument("--data_dir", default="data", help="for the dataset (default: %(default)s)")
    demo.add_argument("--report", default="report", help="for index.html (default: %(default)s)")


def _add_model(parser: Any) -> None:
    parser.add_argument("--workdir", required=True, help="of the run whose model to use")
    parser.add_argument("--dataset", help="another built dataset than the run's own")
    parser.add_argument("--data_dir", help="where it lies (default: the run's)")


def _overrides(flags: argparse.Namespace, rest: Sequence[str]) -> dict[str, str]:
    """`--config.a.b=c` as {"a.b": "c"}; anything else that is left over is an error.

    Of `data check` and `data build`, `--option.a=b` as {"a": "b"}.
    """
    prefix = "--config." if flags.takes_config else "--option." if flags.takes_options else None
    overrides = {}
    for argument in rest:
        name, equals, value = argument.partition("=")
        if prefix is None or not (name.startswith(prefix) and equals):
            raise FashionJaxError(f"unknown argument {argument!r}; {_see_help(flags)}")
        overrides[name.removeprefix(prefix)] = value
    return overrides


def _see_help(flags: argparse.Namespace) -> str:
    words = [flags.command, getattr(flags, "action", None)]
    return f"see fashion-jax {' '.join(word for word in words if word)} --help"


# Rooms are imported by the commands that need them: `--help` answers at once.


def _data_check(flags: argparse.Namespace) -> None:
    from fashion_jax.data.build import check

    options = _builder_options(flags)
    sheet = flags.contact_sheet or f"{flags.dataset}_crops.png"
    sheet = None if sheet == "none" else sheet
    report = check(flags.dataset, flags.manual_dir, _splits(flags), contact_sheet=sheet, **options)
    print(json.dumps(report.to_json(), indent=2) if flags.json else report.to_table())
    if sheet is not None:  # not to stdout, which may be JSON
        print(f"crops to look at: {sheet}", file=sys.stderr)


def _data_build(flags: argparse.Namespace) -> None:
    from fashion_jax.data.build import build

    report = build(
        flags.dataset,
        flags.data_dir,
        flags.manual_dir,
        _splits(flags),
        flags.overwrite,
        **_builder_options(flags),
    )
    print(json.dumps(report.to_json(), indent=2) if flags.json else report.to_table())


def _data_download(flags: argparse.Namespace) -> None:
    from fashion_jax.data.download.download import download

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
    print(json.dumps(report.to_json(), indent=2) if flags.json else report.to_table())
    if report.interrupted:
        raise KeyboardInterrupt


def _splits(flags: argparse.Namespace) -> tuple[str, ...] | None:
    return tuple(flags.splits.split(",")) if flags.splits else None


def _builder_options(flags: argparse.Namespace) -> dict[str, Any]:
    """The `--option.NAME=VALUE`s; refused here already, where they are not the builder's."""
    from data_builders.options import given_options
    from fashion_jax.data.build import builder_class

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


def _train(flags: argparse.Namespace) -> None:
    from fashion_jax.config import load_config
    from fashion_jax.parallel.hosts import join_job
    from fashion_jax.training.loop import train

    join_job()
    train(load_config(flags.config, flags.overrides), flags.workdir)


def _evaluate(flags: argparse.Namespace) -> None:
    from fashion_jax.evaluation.evaluate import evaluate_datasets

    result = evaluate_datasets(flags.workdir, flags.dataset, flags.data_dir, flags.untrained)
    print(json.dumps(result.to_json(), indent=2) if flags.json else result.to_table())


def _robustness(flags: argparse.Namespace) -> None:
    from fashion_jax.evaluation.robustness import measure_robustness

    result = measure_robustness(
        flags.workdir,
        flags.dataset,
        flags.data_dir,
        flags.queries,
        flags.nuisances.split(",") if flags.nuisances else None,
        flags.report,
    )
    print(json.dumps(result.to_json(), indent=2) if flags.json else result.to_table())


def _cross_domain(flags: argparse.Namespace) -> None:
    from fashion_jax.evaluation.cross_domain import cross_domain

    result = cross_domain(_names(flags.runs), _names(flags.datasets), flags.data_dir, flags.report)
    print(json.dumps(result.to_json(), indent=2) if flags.json else result.to_table())


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _index(flags: argparse.Namespace) -> None:
    from fashion_jax.serving.index_run import index_run

    print(index_run(flags.workdir, flags.dataset, flags.data_dir, flags.kind, flags.index))


def _search(flags: argparse.Namespace) -> None:
    from fashion_jax.serving.search_photo import search_photo

    answer = search_photo(
        pathlib.Path(flags.photo), flags.workdir, flags.index, flags.box, flags.k, flags.picture
    )
    print(json.dumps(answer.to_json(), indent=2) if flags.json else answer.to_table())


def _demo(flags: argparse.Namespace) -> None:
    from configs.demo import get_config
    from fashion_jax.config import from_nested_dict
    from fashion_jax.demo import run_demo, with_data_dir

    config = with_data_dir(from_nested_dict(get_config().to_dict()), flags.data_dir)
    run_demo(config, flags.workdir, flags.report)


if __name__ == "__main__":
    sys.exit(main())
