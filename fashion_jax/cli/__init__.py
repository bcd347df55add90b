"""`fashion-jax COMMAND`: flags only; each command is one call into a room.

Only the called command's parser is made, and rooms are imported by the commands that need them:
`--help` answers at once.
"""

import argparse
import ast
import contextlib
import importlib
import logging
import re
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from fashion_jax.cli.command import print_result
from fashion_jax.cli.host_memory import keep_freed_memory
from fashion_jax.cli.library_messages import leave_out_repetitions
from fashion_jax.cli.terminal import (
    STDERR,
    STDOUT,
    PrintableFormatter,
    UnprintedError,
    as_disk_error,
    discard_output,
    disk_problem,
    prepare_streams,
    say,
)
from fashion_jax.errors import FashionJaxError, PreemptedError, UnwrittenResultError
from fashion_jax.similar_names import did_you_mean

_CLOSED_PIPE = 141  # as shells report a program that SIGPIPE ended
_TERMINATED = 128 + signal.SIGTERM  # as launchers expect of a job that they preempt
_NEGATIVE = re.compile(r"-[\d.]")
_BARE_FLAG = re.compile(r"--[\w.-]+$")
_WRONG_CHOICE = re.compile(r"invalid choice: (.+) \(choose from (.+)\)")

_DESCRIPTION = """\
Fashion visual search: a street photo in, the shop's own photo of the same product out.

  fashion-jax demo                                      the whole pipeline on drawn garments
  fashion-jax data download --dataset D ...             download photos from a list of links
  fashion-jax data check --dataset D --manual_dir RAW   check a raw copy of a dataset
  fashion-jax data build --dataset D --manual_dir RAW   build a dataset's records
  fashion-jax data build --dataset catalogue --manifest F --photos DIR    from your own photos
  fashion-jax data duplicates --dataset D               photos twice, leaks; also index duplicates
  fashion-jax train --config=C --workdir=RUN            train a model, or resume a run
  fashion-jax plan --config=C --topology v5e:4x4        memory, time, money on chips not booked yet
  fashion-jax doctor --config=C --workdir=RUN           check this machine before a long run
  fashion-jax ablation --config=C --workdir=RUNS        variants of an experiment, over seeds
  fashion-jax evaluate --workdir=RUN                    metrics, and RUN/report/index.html
  fashion-jax cross-domain --runs A B --datasets C D    every run on every dataset
  fashion-jax robustness --workdir=RUN                  metrics under blur, lighting changes, ...
  fashion-jax index build --workdir=RUN                 embed the gallery into RUN/index
  fashion-jax index sync --workdir=RUN --list FEED ...  what a shop's feed names, and no more
  fashion-jax index add --workdir=RUN --photos DIR      add photos; also update, remove, compact
  fashion-jax index tune --workdir=RUN --recall=0.99    as fast as this recall allows
  fashion-jax index info --workdir=RUN                  describe an index
  fashion-jax search PHOTO --workdir=RUN                find the product of a photo
  fashion-jax serve --workdir=RUN                       a search page and an HTTP API
  fashion-jax embed --workdir=RUN --output=DIR          embed a huge catalogue over many hosts
  fashion-jax milvus build --embeddings=DIR ...         search beyond one machine
  fashion-jax weights inspect FILE                      the contents of a file of weights
  fashion-jax weights convert FILE --workdir=RUN        another framework's whole model
  fashion-jax export --workdir=RUN --format=stablehlo   the embedder for other programs
"""

# The module of this package that adds each command.
_MODULES = {
    "demo": "train",
    "train": "train",
    "plan": "plan",
    "doctor": "plan",
    "ablation": "train",
    "data": "data",
    "evaluate": "evaluate",
    "cross-domain": "evaluate",
    "robustness": "evaluate",
    "index": "index",
    "search": "search",
    "serve": "serve",
    "embed": "embed",
    "milvus": "milvus",
    "weights": "weights",
    "export": "export",
}


class _Parser(argparse.ArgumentParser):
    """A parser that hints at the command that was meant."""

    def error(self, message: str) -> NoReturn:
        """Print the message, and exit with status 2."""
        if found := _WRONG_CHOICE.search(message):
            name, choices = ast.literal_eval(found[1]), re.findall(r"[\w-]+", found[2])
            message += did_you_mean(name, choices)
        super().error(message)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status (2 for an error that the user can fix)."""
    keep_freed_memory()  # before any library starts a thread
    prepare_streams()
    try:
        try:
            return _run(arguments)
        finally:
            sys.stdout.flush()  # argparse exits by itself after printing
            if arguments is None:  # the process ends: a late Ctrl-C has nothing to interrupt
                signal.signal(signal.SIGINT, signal.SIG_IGN)
    except BrokenPipeError:
        discard_output(STDOUT, STDERR)
        return _CLOSED_PIPE
    except (UnprintedError, OSError) as error:  # `_run` explains all others
        why = f"fashion-jax: its output cannot be written: {error}"
        discard_output(STDOUT)
        with contextlib.suppress(UnprintedError, BrokenPipeError):
            say(why, to_stderr=True)
        return 2


def _run(arguments: Sequence[str] | None) -> int:
    arguments = _with_negative_values(sys.argv[1:] if arguments is None else arguments)
    parser = make_parser(next((each for each in arguments if not each.startswith("-")), None))
    flags, rest = parser.parse_known_args(arguments)
    libraries = logging.INFO if flags.verbose else logging.ERROR
    handler = logging.StreamHandler()
    handler.setFormatter(PrintableFormatter("%(message)s"))
    logging.basicConfig(level=libraries, handlers=[handler])
    logging.getLogger("fashion_jax").setLevel(logging.INFO)
    logging.getLogger("absl").setLevel(libraries)
    if not flags.verbose:
        leave_out_repetitions()
    try:
        flags.overrides = _overrides(flags, rest)
        flags.run(flags)
    except UnwrittenResultError as error:
        print_result(error.result, flags)
        return _failed(str(error))
    except PreemptedError as error:
        _failed(str(error))
        return _TERMINATED
    except FashionJaxError as error:
        return _failed(str(error))
    except (BrokenPipeError, UnprintedError):
        raise
    except KeyboardInterrupt:
        say("fashion-jax: interrupted; run the same command again to resume", to_stderr=True)
        return 130
    except Exception as error:
        disk = as_disk_error(error)
        if disk is None:
            raise
        return _failed(disk_problem(disk))
    return 0


def _failed(message: str) -> int:
    say(f"fashion-jax: {message}", to_stderr=True)
    return 2


def _with_negative_values(arguments: Sequence[str]) -> list[str]:
    """Join a flag and a value such as `-5,10,80,90`, which argparse takes for another flag."""
    joined: list[str] = []
    for argument in arguments:
        if _NEGATIVE.match(argument) and joined and _BARE_FLAG.match(joined[-1]):
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def make_parser(command: str | None = None) -> argparse.ArgumentParser:
    """The parser of one command; of all commands where none is named, or an unknown one."""
    parser = _Parser(
        prog="fashion-jax",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--verbose", action="store_true", help="show the libraries' log messages")
    commands = parser.add_subparsers(
        metavar="COMMAND", required=True, title="commands", dest="command"
    )
    modules = [_MODULES[command]] if command in _MODULES else dict.fromkeys(_MODULES.values())
    for module in modules:
        importlib.import_module(f"fashion_jax.cli.{module}").add(commands)
    return parser


def _overrides(flags: argparse.Namespace, rest: Sequence[str]) -> dict[str, str]:
    """`--config.a.b=c` as {"a.b": "c"}; any other left-over argument is an error.

    For `data check` and `data build`, `--option.a=b` as {"a": "b"}.
    """
    prefix = "--config." if flags.takes_config else "--option." if flags.takes_options else None
    overrides = {}
    for argument in rest:
        name, equals, value = argument.partition("=")
        if prefix is None or not (name.startswith(prefix) and equals):
            words = [flags.command, getattr(flags, "action", None)]
            seen = " ".join(word for word in words if word)
            hint = _field_hint(name) if flags.takes_config else ""
            raise FashionJaxError(
                f"unknown argument {argument!r}{hint}; see fashion-jax {seen} --help"
            )
        overrides[name.removeprefix(prefix)] = value
    return overrides


def _field_hint(flag: str) -> str:
    """Name the config fields that a flag without `--config.` may stand for."""
    from fashion_jax.config import default_config

    words = flag.lstrip("-")
    fields = [
        f"{section}.{field}" for section, values in default_config().items() for field in values
    ]
    meant = [field for field in fields if f".{field}".endswith(f".{words}")]
    names = " or ".join(f"--config.{field}=VALUE" for field in meant)
    return f" (did you mean {names}?)" if names else ""
