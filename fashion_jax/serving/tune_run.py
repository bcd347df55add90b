"""Tuning of a run's catalogue with photos that are not in it."""

import pathlib

import numpy as np
from jaxtyping import Float32

from fashion_jax.datasets.dataset import open_dataset
from fashion_jax.datasets.loader import decode_at_stored_size
from fashion_jax.inference.trained_model import load_trained_model
from fashion_jax.retrieval.catalogue.manifest import Manifest
from fashion_jax.serving.index_run import index_folder
from fashion_jax.serving.search_photo import embed_photos


def embed_queries(
    workdir: str | pathlib.Path,
    split: str,
    count: int,
    dataset: str | None = None,
    data_dir: str | None = None,
    index: str | pathlib.Path | None = None,
) -> Float32[np.ndarray, "queries features"]:
    """Embeds photos of a built dataset with a run's best model, to measure its catalogue with.

    Args:
        workdir: of the run.
        split: such as `query`.
        count: how many to draw, at most.
        dataset: by default the run's.
        data_dir: where it lies; by default the run's.
        index: the catalogue's folder; by default `index` in the workdir.

    Raises:
        FashionJaxError: if there is no run, no dataset, or no catalogue of the run's model.
    """
    model = load_trained_model(workdir)
    config = model.config
    folder = index_folder(workdir, index).absolute()
    Manifest.read(folder).card.require_same(model.card, "the catalogue", "the run's model")
    photos = open_dataset(dataset or config.data.dataset, data_dir or config.data.data_dir).split(
        split
    )
    rows = np.sort(np.random.default_rng(0).permutation(len(photos))[:count])
    pixels = (decode_at_stored_size(photos.image_bytes(row)) for row in rows.tolist())
    return embed_photos(model, pixels, config.evaluation.batch_size)
