"""`fashion-jax embed`: embeddings of a huge catalogue, over all hosts of a job."""

import argparse
from typing import Any

from fashion_jax.cli.command import MODEL, YES, Flags, command, print_result
from fashion_jax.errors import FashionJaxError

_EPILOG = """\
Start the same command on every host of a JAX job; each host makes its part of the shards. Safe to
interrupt; run the same command again, on any number of hosts, to resume. Without a JAX job, --host
and --hosts say which part is this host's. Format and guarantees: docs/bulk_embedding.md."""


_FLAGS: Flags = {
    "--split": {"default": "gallery", "help": "split to embed (default: %(default)s)"},
    "--output": {"required": True, "metavar": "DIR", "help": "directory that all hosts see"},
    "--photos_per_shard": {
        "type": int,
        "default": 4096,
        "metavar": "N",
        "help": "photos in a shard, the same on every host (default: %(default)s)",
    },
    "--batch_size": {
        "type": int,
        "metavar": "N",
        "help": "photos embedded at once on this host (default: the run's evaluation.batch_size)",
    },
    "--host": {"type": int, "metavar": "N", "help": "number of this host, from 0; needs --hosts"},
    "--hosts": {"type": int, "metavar": "N", "help": "number of hosts; needs --host"},
    "--repair": {
        "action": YES,
        "help": "check this host's finished shards, and make damaged ones again",
    },
}


def add(commands: Any) -> None:
    """Add `embed`."""
    text = "embed a huge catalogue into Parquet files, resumably"
    command(commands, "embed", _embed, text, _EPILOG, MODEL | _FLAGS)


def _embed(flags: argparse.Namespace) -> None:
    from fashion_jax.parallel.hosts import Host
    from fashion_jax.parallel.joining import join_job
    from fashion_jax.serving.bulk_embedding import embed_catalogue

    if (flags.host is None) != (flags.hosts is None):
        raise FashionJaxError("--host and --hosts belong together, such as --host=3 --hosts=16")
    host = None
    if flags.hosts is None:
        join_job()
    else:
        host = Host(flags.host, flags.hosts)
    result = embed_catalogue(
        flags.workdir,
        flags.output,
        flags.dataset,
        flags.data_dir,
        flags.split,
        flags.photos_per_shard,
        flags.batch_size,
        host,
        flags.repair,
    )
    print_result(result, flags)
