"""A model that embeds photos: loaded from a run, from an export, or with its package's weights."""

import contextlib
import dataclasses
import itertools
import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence

import jax
import numpy as np
from flax import nnx
from jax.sharding import Mesh
from jaxtyping import Float32, UInt8
from tqdm import tqdm

from fashion_jax.addresses import at_addresses
from fashion_jax.config import (
    CONFIG_FILE,
    ExperimentConfig,
    ImageConfig,
    MeshConfig,
    ModelConfig,
    read_stored_config,
)
from fashion_jax.datasets.dataset import Split
from fashion_jax.datasets.loader import EvaluationBatches, iterate, resize
from fashion_jax.datasets.photos import UndecodablePhotoError, list_photos, read_photo
from fashion_jax.datasets.trained_on import TRAINED_ON, read_trained_on
from fashion_jax.errors import FashionJaxError
from fashion_jax.files import StorageError, is_folder
from fashion_jax.inference.card import (
    ModelCard,
    make_card,
    require_config,
    require_train_sha256,
)
from fashion_jax.inference.checkpoints import (
    StoredCheckpoints,
    belongs_to_run,
    checkpoints_folder,
)
from fashion_jax.inference.embed import (
    Encode,
    Variables,
    make_encode,
    mirrored,
    without_classifier,
)
from fashion_jax.inference.export.stored import CARD, read_export
from fashion_jax.inference.weights.origin import weights_hash, weights_origin
from fashion_jax.inference.weights.pretrained import load_pretrained
from fashion_jax.models.backbones import backbone_spec
from fashion_jax.models.embedder import Embedder
from fashion_jax.models.pure import split_model
from fashion_jax.parallel.hosts import Host, this_host
from fashion_jax.parallel.mesh import batch_sharding, make_mesh, replicated

Photo = UInt8[np.ndarray, "_ _ 3"]  # photos of one call may differ in size
Embeddings = Float32[np.ndarray, "photos features"]
PhotoSource = str | os.PathLike[str] | Iterable[str | os.PathLike[str] | np.ndarray]


@dataclasses.dataclass(frozen=True, repr=False)
class EmbeddingModel:
    """A model that embeds photos.

    Attributes:
        config: config of the model; its `data` and `evaluation` say how photos are read.
        card: description of the model; comparable embeddings have the same card.
        encode: compiled `(variables, photos) -> embeddings`.
        variables: its weights.
        mesh: devices it runs on.
    """

    config: ExperimentConfig
    card: ModelCard
    encode: Encode
    variables: Variables
    mesh: Mesh

    def __repr__(self) -> str:
        """Name the model in one line; its weights would fill thousands."""
        card = self.card
        return (
            f"{type(self).__name__}({card.backbone}, {card.image_height}×{card.image_width} pixels "
            f"to {card.embedding_width} dimensions, trained on {card.dataset}, step {card.step}, "
            f"weights {card.weights_hash[:12]})"
        )

    def embed(self, photos: PhotoSource, batch_size: int | None = None) -> Embeddings:
        """Embeds photos of any size.

        Args:
            photos: a folder, a file, or any iterable of files and of RGB pixels (uint8 [height,
                width, 3]); read one by one. Those of a folder are in the order of
                `fashion_jax.list_photos`.
            batch_size: photos that go through the network at once; by default
                `config.evaluation.batch_size`.

        Returns:
            L2-normalised embeddings, one row per photo, in their order.

        Raises:
            FashionJaxError: a file cannot be read as a photo (its name is given).
        """
        batch_size = self._padded(batch_size or self.config.evaluation.batch_size)
        image, pixels = self.config.image, _pixels(photos)
        parts = [np.empty((0, self.card.embedding_width), np.float32)]
        while part := list(itertools.islice(pixels, batch_size)):
            if len(parts) == 1:  # fewer photos than a batch; a later batch would be compiled anew
                batch_size = min(batch_size, self._padded(len(part)))
            images = np.stack([resize(photo, image) for photo in part])
            parts.append(self.embed_images(images, batch_size))
        return np.concatenate(parts)

    def embed_images(
        self, images: UInt8[np.ndarray, "photos height width 3"], batch_size: int
    ) -> Embeddings:
        """Embeds photos of the network's input size.

        Args:
            images: at most `batch_size` photos.
            batch_size: photos that go through the network; each number is compiled once.
        """
        batch_size, sharding = self._padded(batch_size), batch_sharding(self.mesh)
        padded = np.zeros((batch_size, *images.shape[1:]), np.uint8)
        padded[: len(images)] = images
        placed = jax.make_array_from_callback(padded.shape, sharding, padded.__getitem__)
        return np.asarray(self.encode(self.variables, placed))[: len(images)]

    def embed_split(self, split: Split, progress: bool = True) -> Embeddings:
        """Embeds every photo of a split exactly once; each host of the job gets all rows."""
        (embeddings,) = self.embed_ranges(split, [range(len(split))], progress=progress)
        return embeddings

    def embed_ranges(
        self,
        split: Split,
        ranges: Sequence[range],
        batch_size: int | None = None,
        progress: bool = True,
    ) -> Iterator[Embeddings]:
        """Embeds ranges of a split's rows, one after the other; each begins with its own batch.

        A photo is thus always in the same place of the same batch: on devices of one kind, its
        embedding is the same to the last bit, whatever else is embedded.

        Args:
            split: a built dataset's.
            ranges: rows.
            batch_size: photos at once, over all devices; by default `evaluation.batch_size`.
            progress: whether to show a bar.

        Yields:
            Embeddings of each range, in the order of its rows.
        """
        batch_size = self._padded(batch_size or self.config.evaluation.batch_size)
        # This host reads its part of a batch: all of it where the devices are its own.
        shared = len({device.process_index for device in self.mesh.devices.flat}) > 1
        host, sharding = this_host() if shared else Host(), batch_sharding(self.mesh)
        batches = EvaluationBatches(split, self.config.image, batch_size, host, ranges)
        total = sum(map(len, ranges))
        bar = tqdm(
            total=total, desc=f"embed {split.name}", unit="photo", disable=not progress, leave=False
        )
        with bar, contextlib.closing(iterate(batches, self.config.data)) as source:
            for rows in ranges:
                parts = [np.empty((0, self.card.embedding_width), np.float32)]
                for start in range(0, len(rows), batch_size):
                    photos = min(batch_size, len(rows) - start)
                    images = next(source)["image"]
                    placed = jax.make_array_from_process_local_data(sharding, images)
                    parts.append(np.asarray(self.encode(self.variables, placed))[:photos])
                    bar.update(photos)
                yield np.concatenate(parts)

    def mirrored(self) -> "EmbeddingModel":
        """The same model, which sees each photo's mirror image."""
        return dataclasses.replace(self, encode=mirrored(self.encode))

    def _padded(self, batch_size: int) -> int:
        """A batch that the devices can divide evenly."""
        return batch_size + -batch_size % self.mesh.shape["data"]


@at_addresses("path", must_exist=("path",), wanted=belongs_to_run)
def load_model(path: str | os.PathLike[str], mesh: Mesh | None = None) -> EmbeddingModel:
    """Load a model from the workdir of a run, or from the folder of an export.

    For a run, that is the checkpoint with the best validation mAP.

    Args:
        path: the folder.
        mesh: devices to run on; by default all of the job. Exports to StableHLO run on one device.

    Raises:
        FashionJaxError: neither a run nor an export, a run without checkpoint, or damaged weights.
    """
    folder = pathlib.Path(path)
    if not (folder / CARD).is_file():
        return _load_run(folder, mesh or make_mesh(MeshConfig()))
    export = read_export(folder)
    config = ExperimentConfig(
        model=export.card.model_config,
        image=ImageConfig(export.card.image_height, export.card.image_width),
    )
    if export.encode is not None:
        mesh = make_mesh(MeshConfig(), jax.local_devices()[:1])
        return EmbeddingModel(config, export.card, export.encode, {}, mesh)
    mesh = mesh or make_mesh(MeshConfig())
    encode = make_encode(config.model, export.card.preprocessing, mesh)
    variables = jax.device_put(export.variables, replicated(mesh))
    return EmbeddingModel(config, export.card, encode, variables, mesh)


def load_pretrained_model(
    backbone: str,
    pretrained: str = "package",
    height: int | None = None,
    width: int | None = None,
    mesh: Mesh | None = None,
) -> EmbeddingModel:
    """Load a network with published weights, which was never trained on products.

    Args:
        backbone: name from docs/models.md, such as `efficientnet_lite0`.
        pretrained: `package`, or the path of a file of weights.
        height: input height in pixels; by default that of the published weights.
        width: input width in pixels.
        mesh: devices to run on; by default all of the job.

    Raises:
        WeightsError: no such weights, or weights that do not fit.
    """
    size = backbone_spec(backbone).input_size
    config = ExperimentConfig(
        model=ModelConfig(backbone=backbone, pretrained=pretrained, neck="none"),
        image=ImageConfig(height or size[0], width or size[1]),
    )
    return initial_model(config, mesh or make_mesh(MeshConfig()))


def initial_model(config: ExperimentConfig, mesh: Mesh) -> EmbeddingModel:
    """The model that training by a config starts from.

    Raises:
        WeightsError: the config's weights cannot be read or do not fit.
    """
    network = Embedder(
        config.model, None, nnx.Rngs(config.training.seed, params=config.training.seed)
    )
    load_pretrained(network, config.model)
    _, params, model_state = split_model(network)
    variables = {"params": params, "model_state": model_state}
    card = make_card(
        config,
        network.embedding_width,
        variables,
        dataset="nothing",
        origin=weights_origin(config.model),
    )
    encode = make_encode(config.model, card.preprocessing, mesh)
    variables = jax.device_put(variables, replicated(mesh))
    return EmbeddingModel(config, card, encode, variables, mesh)


@at_addresses("workdir", must_exist=("workdir",), wanted=belongs_to_run)
def read_run_config(workdir: str | os.PathLike[str]) -> ExperimentConfig:
    """The resolved config of a run.

    Raises:
        FashionJaxError: the folder is not a run's workdir.
    """
    path = pathlib.Path(workdir) / CONFIG_FILE
    if not path.is_file():
        raise FashionJaxError(
            f"no run in {pathlib.Path(workdir).resolve()}: it has no {CONFIG_FILE}. "
            "Give the directory that `fashion-jax train` wrote, its --workdir."
        )
    return read_stored_config(path)


def _load_run(workdir: pathlib.Path, mesh: Mesh) -> EmbeddingModel:
    config = read_run_config(workdir)
    with contextlib.closing(StoredCheckpoints(checkpoints_folder(workdir))) as checkpoints:
        step = checkpoints.best_step()
        card = checkpoints.restore_card(step)
        require_config(card, config, str(workdir))
        _require_own_photos(card, workdir)
        restored = checkpoints.restore_model(step, replicated(mesh))
    variables = without_classifier(restored["params"], restored["model_state"])
    found = weights_hash(variables["params"], variables["model_state"])
    if found != card.weights_hash:
        raise FashionJaxError(
            f"the checkpoint of step {card.step} in {workdir} is damaged: its weights have the "
            f"hash {found[:12]}, its model card says {card.weights_hash[:12]}"
        )
    encode = make_encode(config.model, card.preprocessing, mesh)
    return EmbeddingModel(config, card, encode, variables, mesh)


def _require_own_photos(card: ModelCard, workdir: pathlib.Path) -> None:
    """Refuse another run's `trained_on.json`; evaluation warns of a missing or damaged one."""
    try:
        stored = read_trained_on(workdir)
    except StorageError:
        return
    mend = ". Put the run's own file back, or remove it: `fashion-jax train` writes it again"
    require_train_sha256(card, stored.train_sha256, str(workdir / TRAINED_ON), mend)


def _pixels(photos: PhotoSource) -> Iterator[Photo]:
    """RGB pixels of each photo, read one by one."""
    if isinstance(photos, str | os.PathLike):
        path = pathlib.Path(photos)
        if not os.path.lexists(path):
            raise FashionJaxError(f"no file or folder {path.absolute()}")
        photos = list_photos(path) if is_folder(path) else [path]
    for photo in photos:
        if isinstance(photo, str | os.PathLike):
            try:
                pixels = read_photo(pathlib.Path(photo))
            except UndecodablePhotoError as error:
                raise UndecodablePhotoError(error.kind, f"{photo}: {error.detail}") from error
        else:
            pixels = np.asarray(photo)
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
            raise FashionJaxError(
                f"a photo has to be uint8 [height, width, 3], red, green and blue; got "
                f"{pixels.dtype} {list(pixels.shape)}"
            )
        yield pixels
