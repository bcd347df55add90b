"""Bulk embedding: a split's photos over all hosts, resumable, each photo exactly once.

Host h of H makes the shards h, h + H, ... on its own devices. Hosts exchange nothing while they
embed, so that a slow or restarted one holds up nobody; docs/bulk_embedding.md has the guarantees.
"""

import contextlib
import pathlib
import time
from collections.abc import Generator, Sequence

import jax
import numpy as np
from jaxtyping import Float32
from tqdm import tqdm

from fashion_jax.config import ImageConfig, MeshConfig
from fashion_jax.datasets.dataset import Split, open_dataset
from fashion_jax.datasets.loader import Batch, EvaluationBatches, decode, iterate
from fashion_jax.errors import FashionJaxError
from fashion_jax.inference.trained_model import TrainedModel, load_trained_model, read_run_config
from fashion_jax.parallel.hosts import Host, this_host
from fashion_jax.parallel.mesh import batch_sharding, make_mesh
from fashion_jax.retrieval import embedding_shards
from fashion_jax.retrieval.embedding_plan import EmbeddingFilesError, Plan, agree_on_plan

PHOTOS_PER_SHARD = 4096
_SECONDS_BETWEEN_LOOKS = 5.0


class ShardBatches(EvaluationBatches):
    """A Grain source of shards' photos; each shard begins with a batch of its own.

    So a photo is always in the same place of the same batch, and on devices of one kind its
    embedding the same to the last bit, whoever makes the shard and whatever was interrupted.
    """

    def __init__(
        self, split: Split, image: ImageConfig, batch_size: int, shards: Sequence[range]
    ) -> None:
        """`batch_size` counts photos on this host."""
        super().__init__(split, image, batch_size, Host())
        self._parts = [
            rows[start : start + batch_size]
            for rows in shards
            for start in range(0, len(rows), batch_size)
        ]

    def __len__(self) -> int:
        """Number of batches."""
        return len(self._parts)

    def __getitem__(self, index: int) -> Batch:
        """Reads batch `index`; padding is black."""
        rows = self._parts[index]
        images = np.zeros((self._batch_size, self._image.height, self._image.width, 3), np.uint8)
        for slot, row in enumerate(rows):
            images[slot] = decode(self._split.image_bytes(row), self._image)
        return {"image": images}


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
    model = load_trained_model(workdir, make_mesh(MeshConfig(), jax.local_devices()))
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
    model: TrainedModel,
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
    devices = model.mesh.shape["data"]
    wanted = batch_size or model.config.evaluation.batch_size
    step = -(-wanted // devices) * devices
    shards = [plan.shards[number] for number in numbers]
    batches = _embedded(model, ShardBatches(split, model.config.image, step, shards))
    total = sum(map(len, shards))
    bar = tqdm(total=total, desc=f"embed {split.name}", unit="photo", disable=not progress)
    with bar, contextlib.closing(batches):
        for number, rows in zip(numbers, shards, strict=True):
            parts = []
            for start in range(0, len(rows), step):
                parts.append(next(batches)[: len(rows) - start])
                bar.update(len(parts[-1]))
            embeddings = np.concatenate(parts)
            embedding_shards.write_shard(folder, plan, number, split, embeddings)


def _embedded(
    model: TrainedModel, batches: ShardBatches
) -> Generator[Float32[np.ndarray, "batch features"], None, None]:
    sharding = batch_sharding(model.mesh)
    if len(batches):
        for batch in iterate(batches, model.config.data):
            images = jax.device_put(batch["image"], sharding)
            yield np.asarray(model.encode(model.variables, images))


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
