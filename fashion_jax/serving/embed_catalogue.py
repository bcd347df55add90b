"""Bulk embedding: a split's photos over all hosts, resumable, each photo exactly once.

Host h of H makes the shards h, h + H, ... on its own devices. Hosts exchange nothing while they
embed, so that a slow or restarted one holds up nobody; docs/bulk_embedding.md has the guarantees.
"""

import pathlib
import time
from collections.abc import Sequence

import jax

from fashion_jax.config import MeshConfig
from fashion_jax.datasets.dataset import Split, open_dataset
from fashion_jax.errors import FashionJaxError
from fashion_jax.inference.model import EmbeddingModel, load_model, read_run_config
from fashion_jax.parallel.hosts import Host, this_host
from fashion_jax.parallel.mesh import make_mesh
from fashion_jax.retrieval import embedding_shards
from fashion_jax.retrieval.embedding_plan import EmbeddingFilesError, Plan, agree_on_plan

PHOTOS_PER_SHARD = 4096
_SECONDS_BETWEEN_LOOKS = 5.0


def embed_catalogue(
    workdir: str | pathlib.Path,
    output: str | pathlib.Path,
    dataset: str | None = None,
    data_dir: str | None = None,
    split: str = "gallery",
    photos_per_shard: int = PHOTOS_PER_SHARD,
    batch_size: int | None = None,
    host: Host | None = None,
    repair: bool = False,
    progress: bool = True,
) -> str:
    """Embeds this host's shards of a split with a run's best model.

    Args:
        workdir: of the run.
        output: folder on a disk that all hosts see; local or mounted.
        dataset: another one than the run's own.
        data_dir: where it lies; by default the run's.
        split: of the dataset.
        photos_per_shard: the same on every host.
        batch_size: photos embedded at once on this host; by default the run's evaluation's.
        host: which part is this host's; by default its place in the JAX job.
        repair: read this host's shards that are there, and make those again that are damaged.
        progress: whether to show a bar.

    Returns:
        What was made and what is missing, for people.

    Raises:
        EmbeddingFilesError: if the folder holds something else than this, or is an address.
        ModelCardError: if it holds another model's embeddings.
        FashionJaxError: if there is no run, no checkpoint or no such dataset or split.
    """
    folder = _folder(output)
    in_job = host is None and jax.process_count() > 1
    host = _checked(host or this_host())
    config = read_run_config(workdir)
    built = open_dataset(dataset or config.data.dataset, data_dir or config.data.data_dir)
    photos = built.split(split)
    model = load_model(workdir, make_mesh(MeshConfig(), jax.local_devices()))
    plan = agree_on_plan(folder, Plan.of(built, photos, photos_per_shard, model.card))
    mine = list(range(host.index, len(plan.shards), host.count))
    damaged = embedding_shards.discard_damaged(folder, plan, mine) if repair else []
    there = embedding_shards.entries(folder, plan)
    missing = [number for number in mine if there[number] is None]
    embed_shards(model, photos, plan, folder, missing, batch_size, progress)
    finished = embedding_shards.finish(folder, plan)
    if in_job and not finished:
        _wait_for_others(folder, plan)
    return _summary(folder, plan, len(missing), damaged)


def embed_shards(
    model: EmbeddingModel,
    split: Split,
    plan: Plan,
    folder: pathlib.Path,
    numbers: Sequence[int],
    batch_size: int | None = None,
    progress: bool = True,
) -> None:
    """Embeds and writes shards, one after the other, on the devices of the model's mesh.

    Args:
        model: on devices of this host only.
        split: as in the plan.
        plan: of the whole folder.
        folder: for the shards.
        numbers: of the shards to make.
        batch_size: photos at once; by default the run's evaluation's.
        progress: whether to show a bar.
    """
    shards = [plan.shards[number] for number in numbers]
    embedded = model.embed_ranges(split, shards, batch_size, progress)
    for number, embeddings in zip(numbers, embedded, strict=True):
        embedding_shards.write_shard(folder, plan, number, split, embeddings)


def _folder(output: str | pathlib.Path) -> pathlib.Path:
    if "://" in str(output):
        raise EmbeddingFilesError(
            f"{output} is an address; --output has to be a folder on a local or mounted disk that "
            f"all hosts see. Mount the bucket, or copy the finished folder there"
        )
    return pathlib.Path(output).absolute()


def _checked(host: Host) -> Host:
    if not 0 <= host.index < host.count:
        raise FashionJaxError(
            f"host {host.index} of {host.count} hosts does not exist; hosts are counted from 0"
        )
    return host


def _wait_for_others(folder: pathlib.Path, plan: Plan) -> None:
    """Stays in the job until all are done: JAX ends a job some minutes after a host has left it."""
    while not embedding_shards.finish(folder, plan):
        time.sleep(_SECONDS_BETWEEN_LOOKS)


def _summary(folder: pathlib.Path, plan: Plan, made: int, damaged: Sequence[str]) -> str:
    there = embedding_shards.entries(folder, plan)
    missing = [number for number, entry in enumerate(there) if entry is None]
    lines = [f"damaged, made again: {', '.join(damaged)}"] if damaged else []
    done = f"{len(there) - len(missing)} of {len(there)} shards of {plan.photos} photos"
    lines.append(f"{done} ({made} made now): {folder}")
    if missing:
        lines.append(
            f"{len(missing)} are missing, the first is {missing[0]}: other hosts' parts. When they "
            f"are made, whichever host is last writes {embedding_shards.MANIFEST}"
        )
    return "\n".join(lines)
