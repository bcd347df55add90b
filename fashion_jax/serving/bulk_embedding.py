"""Bulk embedding: a split's photos over all hosts, resumable, each photo exactly once.

Host h of H makes the shards h, h + H, ... on its own devices. Hosts exchange nothing while they
embed, so a slow or restarted host delays no other; docs/bulk_embedding.md has the guarantees.
"""

import contextlib
import dataclasses
import os
import pathlib
import re
import time
from collections.abc import Iterator, Sequence

import jax

from fashion_jax.addresses import address_of, everything, local_copy, publish, working_copy
from fashion_jax.config import MeshConfig
from fashion_jax.datasets.dataset import Split, open_dataset
from fashion_jax.errors import FashionJaxError
from fashion_jax.inference.model import EmbeddingModel, load_model, read_run_config
from fashion_jax.locks import InUseError, sole_writer
from fashion_jax.parallel.hosts import Host, this_host
from fashion_jax.parallel.mesh import make_mesh
from fashion_jax.retrieval import embedding_shards
from fashion_jax.retrieval.embedding_plan import EmbeddingPlan, agree_on_plan

PHOTOS_PER_SHARD = 4096
MOST_AT_ONCE = 65_536
_SECONDS_BETWEEN_LOOKS = 5.0
_HOST_LOCK = re.compile(r"\.host-(\d+)-of-(\d+)\.lock")


@dataclasses.dataclass(frozen=True)
class BulkEmbedding:
    """The state of a bulk embedding after this host's part.

    Attributes:
        directory: absolute path of the shards, or their address.
        photos: photos of the split.
        shards: shards of the whole embedding.
        made: shards that this call made.
        missing: numbers of the shards that other hosts still have to make.
        repaired: names of damaged shards that were made again.
    """

    directory: str
    photos: int
    shards: int
    made: int
    missing: Sequence[int]
    repaired: Sequence[str]

    def to_table(self) -> str:
        """A few lines for people."""
        lines = [f"damaged, made again: {', '.join(self.repaired)}"] if self.repaired else []
        done = f"{self.shards - len(self.missing)} of {self.shards} shards of {self.photos} photos"
        lines.append(f"{done} ({self.made} made now): {self.directory}")
        if self.missing:
            lines.append(
                f"{len(self.missing)} are missing, the first is {self.missing[0]}: other hosts' "
                f"parts. The host that makes the last one writes {embedding_shards.MANIFEST}"
            )
        return "\n".join(lines)


def embed_catalogue(
    workdir: str | os.PathLike[str],
    output: str | os.PathLike[str],
    dataset: str | None = None,
    data_dir: str | None = None,
    split: str = "gallery",
    photos_per_shard: int = PHOTOS_PER_SHARD,
    batch_size: int | None = None,
    host: Host | None = None,
    repair: bool = False,
    progress: bool = True,
) -> BulkEmbedding:
    """Embeds this host's shards of a split with a run's best model.

    Args:
        workdir: workdir of the run.
        output: folder on a disk that all hosts see, or an address (gs://, s3://).
        dataset: name of a built dataset; by default the run's own.
        data_dir: folder of built datasets; by default the run's.
        split: split to embed.
        photos_per_shard: photos in a shard, the same on every host.
        batch_size: photos embedded at once on this host; by default `evaluation.batch_size`.
        host: this host's place; by default its place in the JAX job.
        repair: read this host's finished shards, and make damaged ones again.
        progress: whether to show a bar.

    Raises:
        InUseError: another process embeds into the folder as the same host, or with another number
            of hosts.
        StorageError: the folder holds something else.
        ModelCardError: the folder holds another model's embeddings.
        FashionJaxError: no run, checkpoint, dataset or split.
    """
    if batch_size is not None and not 1 <= batch_size <= MOST_AT_ONCE:
        raise FashionJaxError(f"--batch_size is {batch_size}; it has to be 1 to {MOST_AT_ONCE:,}")
    with working_copy(output, everything if repair else _describes) as folder:
        return _embed(
            workdir,
            folder.absolute(),
            dataset,
            data_dir,
            split,
            photos_per_shard,
            batch_size,
            host,
            repair,
            progress,
        )


def _embed(
    workdir: str | os.PathLike[str],
    folder: pathlib.Path,
    dataset: str | None,
    data_dir: str | None,
    split: str,
    photos_per_shard: int,
    batch_size: int | None,
    host: Host | None,
    repair: bool,
    progress: bool,
) -> BulkEmbedding:
    """`embed_catalogue` into a local folder, or into the working copy of an address."""
    in_job = host is None and jax.process_count() > 1
    host = _checked(host or this_host())
    config = read_run_config(workdir)
    built = open_dataset(dataset or config.data.dataset, data_dir or config.data.data_dir)
    photos = built.split(split)
    model = load_model(workdir, make_mesh(MeshConfig(), jax.local_devices()))
    wanted = EmbeddingPlan.of_split(built, photos, photos_per_shard, model.card)
    with joined(folder, wanted, host) as plan:
        mine = list(range(host.index, len(plan.shards), host.count))
        repaired = embedding_shards.discard_damaged(folder, plan, mine) if repair else []
        publish(folder)  # the plan, which other hosts are to follow
        there = embedding_shards.shard_files(folder, plan)
        to_make = [number for number in mine if there[number] is None]
        embed_shards(model, photos, plan, folder, to_make, batch_size, progress)
        _see_others(folder)
        finished = embedding_shards.finish(folder, plan)
        if in_job and not finished:
            _wait_for_others(folder, plan)
    after = embedding_shards.shard_files(folder, plan)
    missing = [number for number, entry in enumerate(after) if entry is None]
    if not missing:
        _remove_left_overs(folder)
    return BulkEmbedding(
        address_of(folder) or str(folder), plan.photos, len(after), len(to_make), missing, repaired
    )


@contextlib.contextmanager
def joined(folder: pathlib.Path, wanted: EmbeddingPlan, host: Host) -> Iterator[EmbeddingPlan]:
    """Hold a host's place in an embedding, whose plan and number of hosts all others share.

    Hosts join one after the other: of two that differ and start at once, the second is refused.

    Args:
        folder: folder for the shards.
        wanted: plan of this host.
        host: this host's place.

    Yields:
        The plan of all hosts.

    Raises:
        FashionJaxError: see `embed_catalogue`.
    """
    with contextlib.ExitStack() as place:
        with _joining(folder):
            plan = agree_on_plan(folder, wanted)
            _refuse_other_count(folder, host)
            place.enter_context(sole_writer(*_lock(folder, host)))
        yield plan


def embed_shards(
    model: EmbeddingModel,
    split: Split,
    plan: EmbeddingPlan,
    folder: pathlib.Path,
    numbers: Sequence[int],
    batch_size: int | None = None,
    progress: bool = True,
) -> None:
    """Embeds and writes shards, one after the other, on the devices of the model's mesh.

    Args:
        model: a model on devices of this host only.
        split: the split of the plan.
        plan: plan of the whole folder.
        folder: folder for the shards.
        numbers: numbers of the shards to make.
        batch_size: photos at once; by default `evaluation.batch_size`.
        progress: whether to show a bar.
    """
    shards = [plan.shards[number] for number in numbers]
    embedded = model.embed_ranges(split, shards, batch_size, progress)
    for number, embeddings in zip(numbers, embedded, strict=True):
        embedding_shards.write_shard(folder, plan, number, split, embeddings)
        publish(folder, lambda name: name.startswith("shard-"))


def _describes(name: str) -> bool:
    """Whether a host needs a file that another one wrote: all but the embeddings."""
    return name.endswith(".json")


def _see_others(folder: pathlib.Path) -> None:
    """Copy what other hosts have written meanwhile, if the folder is a copy of an address."""
    address = address_of(folder)
    if address is not None:
        local_copy(address, _describes)


def _checked(host: Host) -> Host:
    if not 0 <= host.index < host.count:
        raise FashionJaxError(
            f"host {host.index} of {host.count} hosts does not exist; hosts are counted from 0"
        )
    return host


def _lock(folder: pathlib.Path, host: Host) -> tuple[pathlib.Path, str]:
    doing = f"embedding into {folder} as host {host.index}, and hosts need different numbers"
    return folder / f".host-{host.index}-of-{host.count}.lock", doing


def _joining(folder: pathlib.Path) -> contextlib.AbstractContextManager[None]:
    return sole_writer(folder / ".plan.lock", f"joining the embedding in {folder}", wait=True)


def _host_locks(folder: pathlib.Path) -> list[tuple[pathlib.Path, Host]]:
    """Locks of hosts at work, and of killed ones."""
    found = [(path, _HOST_LOCK.fullmatch(path.name)) for path in folder.glob(".host-*.lock")]
    return [(path, Host(int(name[1]), int(name[2]))) for path, name in found if name]


def _refuse_other_count(folder: pathlib.Path, host: Host) -> None:
    """Refuse to divide the shards by another number of hosts than those at work."""
    for path, other in _host_locks(folder):
        if other.count != host.count:
            doing = (
                f"embedding into {folder} as host {other.index} of {other.count}, and this one is "
                f"host {host.index} of {host.count}; --hosts has to be the same"
            )
            with sole_writer(path, doing):  # or a killed host's, which goes
                pass


def _remove_left_overs(folder: pathlib.Path) -> None:
    """Remove the files of killed hosts, once no host writes: the last one to end does it."""
    with contextlib.suppress(InUseError), contextlib.ExitStack() as hosts:
        hosts.enter_context(_joining(folder))
        for path, _ in _host_locks(folder):
            hosts.enter_context(sole_writer(path, "embedding"))
        embedding_shards.remove_left_overs(folder)


def _wait_for_others(folder: pathlib.Path, plan: EmbeddingPlan) -> None:
    """Stays in the job until all are done: JAX ends a job some minutes after a host has left it."""
    while not embedding_shards.finish(folder, plan):
        time.sleep(_SECONDS_BETWEEN_LOOKS)
        _see_others(folder)
