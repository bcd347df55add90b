"""`fashion-jax COMMAND`: flags only; each command is one call into a room.

Rooms are imported by the commands that need them: `--help` answers at once.
"""

import argparse
import logging
import sys
from collections.abc import Sequence

from fashion_jax.cli import (
    data,
    embed,
    evaluate,
    export,
    index,
    milvus,
    search,
    train,
    weights,
)
from fashion_jax.cli.host_memory import keep_freed_memory
from fashion_jax.errors import FashionJaxError

_DESCRIPTION = """\
Fashion visual search: a street photo in, the shop's own photo of the same product out.

  fashion-jax demo                                      everything at once, on drawn garments
  fashion-jax data download --dataset D ...             fetch its photos from a list of links
  fashion-jax data check --dataset D --manual_dir RAW   what a raw copy of a dataset holds
  fashion-jax data build --dataset D --manual_dir RAW   make records of it
  fashion-jax data build --dataset catalogue --manifest F --photos DIR    of your own photos
  fashion-jax train --config=C.py --workdir=RUN         train, or go on where a run stopped
  fashion-jax ladder --config=C.py --workdir=RUNS       what each trick brings, over seeds
  fashion-jax evaluate --workdir=RUN                    metrics, and RUN/report/index.html
  fashion-jax cross-domain --runs=A,B --datasets=C,D    every run on every dataset
  fashion-jax robustness --workdir=RUN                  metrics under blur, lighting changes, ...
  fashion-jax index build --workdir=RUN                 embed the gallery into RUN/index
  fashion-jax index add --workdir=RUN --photos DIR      further photos; also remove, compact
  fashion-jax index tune --workdir=RUN --recall=0.99    as fast as this recall allows
  fashion-jax index info --workdir=RUN                  what an index holds
  fashion-jax embed --workdir=RUN --output=DIR          a huge catalogue, over many hosts
  fashion-jax milvus build --embeddings=DIR ...         search beyond one machine
  fashion-jax weights inspect FILE                      what a file of weights holds
  fashion-jax weights convert FILE --workdir=RUN        another framework's whole model
  fashion-jax export --workdir=RUN --format=stablehlo   the embedder for other programs
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
    for part in (train, data, evaluate, index, search, embed, milvus, weights, export):
        part.add(commands)
    return parser


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
