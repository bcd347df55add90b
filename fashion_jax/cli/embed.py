"""`fashion-jax embed`: a huge catalogue's embeddings, over all hosts of a job."""

import argparse
from typing import Any

from fashion_jax.cli.command import add_model, command
from fashion_jax.errors import FashionJaxError

_EPILOG = """\
Start the same command on every host of a JAX job; each makes its part of the shards. Stopped at any
moment, the same command goes on, on any number of hosts. Without a JAX job, --host and --hosts say
which part is this host's. docs/bulk_embedding.md has the format and the guarantees."""


def add(commands: Any) -> None:
    """Adds `embed`."""
    embed = command(
        commands, "embed", _embed, "embed a huge catalogue into Parquet files, resumable", _EPILOG
    )
    add_model(embed)
    embed.add_argument("--split", default="gallery", help="default: %(default)s")
    embed.add_argument("--output", required=True, help="folder that all hosts see")
    embed.add_argument(
        "--photos_per_shard", type=int, default=4096, help="the same everywhere (%(default)s)"
    )
    embed.add_argument(
        "--batch_size", type=int, help="photos at once on a host (default: the run's evaluation's)"
    )
    embed.add_argument("--host", type=int, metavar="N", help="this host's number, from 0")
    embed.add_argument("--hosts", type=int, metavar="N", help="how many there are")
    embed.add_argument(
        "--repair", action="store_true", help="check shards that are there, make damaged ones again"
    )


def _embed(flags: argparse.Namespace) -> None:
    from fashion_jax.parallel.hosts import Host, join_job
    from fashion_jax.serving.embed_catalogue import embed_catalogue

    if (flags.host is None) != (flags.hosts is None):
        raise FashionJaxError("--host and --hosts belong together, such as --host=3 --hosts=16")
    host = None
    if flags.hosts is None:
        join_job()
    else:
        host = Host(flags.host, flags.hosts)
    print(
        embed_catalogue(
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
    )
