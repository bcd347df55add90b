"""A catalogue of a built dataset's gallery, embedded by a run's model."""

import pathlib

from fashion_jax.data.dataset import Split, open_dataset
from fashion_jax.data.records import Domain
from fashion_jax.data.thumbnails import thumbnail
from fashion_jax.retrieval.catalogue import Catalogue, Item
from fashion_jax.retrieval.embed import embed_split
from fashion_jax.training.trained_model import load_trained_model

INDEX_FOLDER = "index"


def index_run(
    workdir: str | pathlib.Path,
    dataset: str | None = None,
    data_dir: str | None = None,
    kind: str = "scann",
    index: str | pathlib.Path | None = None,
    progress: bool = True,
) -> str:
    """Embeds the gallery with a run's best model and writes its catalogue.

    Args:
        workdir: of the run.
        dataset: another one than the run's own.
        data_dir: where it lies; by default the run's.
        kind: `scann` or `exact`.
        index: the catalogue's folder; by default `index` in the workdir.
        progress: whether to show a bar.

    Returns:
        One line that says what was written where.

    Raises:
        FashionJaxError: if there is no run, no checkpoint or no dataset.
    """
    model = load_trained_model(workdir)
    config = model.config
    built = open_dataset(dataset or config.data.dataset, data_dir or config.data.data_dir)
    gallery = built.split("gallery")
    embeddings = embed_split(
        model.encode,
        model.variables,
        gallery,
        config.image,
        config.evaluation.batch_size,
        config.data,
        model.mesh,
        progress,
    )
    folder = index_folder(workdir, index)
    thumbnails = (thumbnail(gallery.image_bytes(row)) for row in range(len(gallery)))
    catalogue = Catalogue.write(folder, embeddings, items(gallery), thumbnails, model.card, kind)
    return f"{len(catalogue.items)} photos of {built.name} in a {kind} index: {folder.resolve()}"


def index_folder(
    workdir: str | pathlib.Path, index: str | pathlib.Path | None = None
) -> pathlib.Path:
    """The folder of a run's catalogue."""
    return pathlib.Path(workdir) / INDEX_FOLDER if index is None else pathlib.Path(index)


def items(split: Split) -> list[Item]:
    """What a catalogue keeps of each photo of a split."""
    columns = zip(split.photo_id, split.identity, split.category, split.domain, strict=True)
    return [
        Item(str(photo_id), int(identity), str(category), Domain(int(domain)).name.lower())
        for photo_id, identity, category, domain in columns
    ]
