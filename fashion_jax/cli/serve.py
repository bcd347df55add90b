"""`fashion-jax serve`: the search page and its API."""

import argparse
import contextlib
import os
from typing import Any

from fashion_jax.cli.command import YES, Flags, command
from fashion_jax.errors import FashionJaxError, needs_extra

_SERVE = """\
The page searches with photos, boxes, filters and examples; programs use the API under /api, which
/api/openapi.json describes. Changes of an index by other commands are taken up while it serves.

Only this machine can reach it, unless --host and --allow_host say otherwise. Writing (marks,
reloading) needs the token that is printed at the start, or that of the variable FASHION_JAX_TOKEN;
with FASHION_JAX_READ_TOKEN set, every request needs that one.

Needs: pip install 'fashion-jax[serve]'. See docs/serve.md."""

_FLAGS: Flags = {
    "--workdir": {
        "metavar": "RUN",
        "help": "directory of the run, or of an export, whose model embeds photos",
    },
    "--index": {
        "nargs": "+",
        "default": [],
        "metavar": "[NAME=]DIR",
        "help": "directories of indexes, each with a name to choose it by (default: RUN/index)",
    },
    "--host": {"default": "127.0.0.1", "help": "address to listen on (default: %(default)s)"},
    "--port": {
        "type": int,
        "default": 8000,
        "help": "port to listen on; 0 for any free one (default: %(default)s)",
    },
    "--allow_host": {
        "nargs": "+",
        "default": [],
        "metavar": "NAME",
        "help": "names under which the server may be asked for, such as search.example.com",
    },
    "--root_path": {
        "default": "",
        "metavar": "PATH",
        "help": "prefix of all addresses behind a proxy, such as /search",
    },
    "--marks": {
        "metavar": "FILE",
        "help": "CSV file for answers that people mark as wrong (default: none are kept)",
    },
    "--max_megabytes": {
        "type": float,
        "default": 20,
        "metavar": "N",
        "help": "largest request (default: %(default)s)",
    },
    "--max_requests": {
        "type": int,
        "default": 64,
        "metavar": "N",
        "help": "requests at once; further ones are told to come back (default: %(default)s)",
    },
    "--timeout": {
        "type": float,
        "default": 30,
        "metavar": "S",
        "help": "seconds that a request may take (default: %(default)s)",
    },
    "--open": {"action": YES, "help": "open the page in a browser"},
}


def add(commands: Any) -> None:
    """Add `serve`."""
    text = "serve a search page and an HTTP API"
    command(commands, "serve", _serve, text, _SERVE, _FLAGS, json_output=False)


def _serve(flags: argparse.Namespace) -> None:
    with needs_extra("serve"):
        from fashion_jax.serving.server.server import serve

    _require("--port", flags.port, 0, 65_535)
    _require("--max_megabytes", flags.max_megabytes, 0.001, 4096)
    _require("--max_requests", flags.max_requests, 1, 100_000)
    _require("--timeout", flags.timeout, 0.1, 86_400)
    # The server has finished its requests by then.
    with contextlib.suppress(KeyboardInterrupt):
        _run(serve, flags)


def _run(serve: Any, flags: argparse.Namespace) -> None:
    serve(
        flags.workdir,
        _named(flags.index),
        host=flags.host,
        port=flags.port,
        open_browser=flags.open,
        hosts=flags.allow_host,
        root_path=flags.root_path.rstrip("/"),
        marks=flags.marks,
        token=os.environ.get("FASHION_JAX_TOKEN", ""),
        read_token=os.environ.get("FASHION_JAX_READ_TOKEN", ""),
        max_bytes=int(flags.max_megabytes * 2**20),
        max_requests=flags.max_requests,
        timeout_s=flags.timeout,
    )


def _require(flag: str, value: int | float, least: int | float, most: int | float) -> None:
    if not least <= value <= most:
        raise FashionJaxError(f"{flag} is {value:g}; it has to be {least:g} to {most:g}")


def _named(indexes: list[str]) -> dict[str, str] | str | None:
    """Folders by name; a single one may do without."""
    if not indexes:
        return None
    if len(indexes) == 1 and ("=" not in indexes[0] or os.path.lexists(indexes[0])):
        return indexes[0]
    named = dict(each.partition("=")[::2] for each in indexes)
    if len(named) < len(indexes) or not all(named) or not all(named.values()):
        raise FashionJaxError(
            "--index takes NAME=DIR for each of several indexes, such as --index women=w men=m"
        )
    return named
