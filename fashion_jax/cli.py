"""`fashion-jax COMMAND`: flags only; each command is one call into a room."""

import argparse
import json
import logging
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

from fashion_jax.errors import FashionJaxError
from fashion_jax.models.host_memory import keep_freed_memory

_DESCRIPTION = """\
Fashion visual search: a street photo in, the shop's own photo of the same product out.

  fashion-jax demo                                      everything at once, on drawn garments
  fashion-jax data check --dataset D --manual_dir RAW   what a raw copy of a dataset holds
  fashion-jax data build --dataset D --manual_dir RAW   make records of it
  fashion-jax train --config=C.py --workdir=RUN         train, or go on where a run stopped
  fashion-jax evaluate --workdir=RUN                    metrics, and RUN/report/index.html
  fashion-jax index --workdir=RUN                       embed the gallery into RUN/index
  fashion-jax search PHOTO --workdir=RUN                find the product of a photo
"""


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
    parser.set_defaults(run=run, takes_config=False)
    return parser


def _add_data(commands: Any) -> None:
    data = commands.add_parser("data", help="check a raw dataset, or build records of it")
    actions = data.add_subparsers(metavar="ACTION", required=True, title="actions", dest="action")
    check = _command(actions, "check", _data_check, "say what a raw copy of a dataset holds")
    build = _command(actions, "build", _data_build, "build a dataset's records and their report")
    for parser in (check, build):
        parser.add_argument("--dataset", required=True, help="a builder, such as street2shop")
        parser.add_argument("--manual_dir", help="folder with the raw dataset")
        parser.add_argument("--json", action="store_true", help="print the report as JSON")
    build.add_argument("--data_dir", default="data", help="where to write (default: %(default)s)")
    build.add_argument("--splits", help="only these, such as query,gallery: a copy for testing")
    build.add_argument("--overwrite", action="store_true", help="build again what is there already")


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
    """`--config.a.b=c` as {"a.b": "c"}; anything else that is left over is an error."""
    overrides = {}
    for argument in rest:
        name, equals, value = argument.partition("=")
        if not (flags.takes_config and name.startswith("--config.") and equals):
            raise FashionJaxError(f"unknown argument {argument!r}; {_see_help(flags)}")
        overrides[name.removeprefix("--config.")] = value
    return overrides


def _see_help(flags: argparse.Namespace) -> str:
    words = [flags.command, getattr(flags, "action", None)]
    return f"see fashion-jax {' '.join(word for word in words if word)} --help"


# Rooms are imported by the commands that need them: `--help` answers at once.


def _data_check(flags: argparse.Namespace) -> None:
    from fashion_jax.data.build import check

    report = check(flags.dataset, flags.manual_dir)
    print(json.dumps(report.to_json(), indent=2) if flags.json else report.to_table())


def _data_build(flags: argparse.Namespace) -> None:
    from fashion_jax.data.build import build

    splits = tuple(flags.splits.split(",")) if flags.splits else None
    report = build(flags.dataset, flags.data_dir, flags.manual_dir, splits, flags.overwrite)
    print(json.dumps(report.to_json(), indent=2) if flags.json else report.to_table())


def _train(flags: argparse.Namespace) -> None:
    from fashion_jax.config import load_config
    from fashion_jax.parallel.hosts import join_job
    from fashion_jax.training.loop import train

    join_job()
    train(load_config(flags.config, flags.overrides), flags.workdir)


def _evaluate(flags: argparse.Namespace) -> None:
    from fashion_jax.evaluation.evaluate import evaluate_run

    result = evaluate_run(flags.workdir, flags.dataset, flags.data_dir, flags.untrained)
    print(json.dumps(result.to_json(), indent=2) if flags.json else result.to_table())


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
