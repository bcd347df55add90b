"""A catalogue of a built dataset's photos, embedded by a run's model."""

import pathlib
from collections.abc import Iterator

from fashion_jax.datasets.dataset import Split, open_dataset
from fashion_jax.datasets.records import Domain
from fashion_jax.datasets.thumbnails import thumbnail
from fashion_jax.inference.model import load_model
from fashion_jax.retrieval.catalogue import Catalogue, Item
from fashion_jax.retrieval.make_index import check_kind

INDEX_FOLDER = "index"


def index_run(
    workdir: str | pathlib.Path,
    dataset: str | None = None,
    data_dir: str | None = None,
    kind: str = "auto",
    index: str | pathlib.Path | None = None,
    progress: bool = True,
    split: str = "gallery",
) -> str:
    """Embeds the gallery with a run's best model and writes its catalogue.

    Args:
        workdir: of the run.
        dataset: another one than the run's own.
        data_dir: where it lies; by default the run's.
        kind: `scann`, `exact`, or `auto`: ScaNN from the size where it is faster.
        index: the catalogue's folder; by default `index` in the workdir.
        progress: whether to show a bar.
        split: another one than the gallery.

    Returns:
        One line that says what was written where.

    Raises:
        FashionJaxError: if there is no run, no checkpoint or no dataset.
    """
    check_kind(kind)
    model = load_model(workdir)
    config = model.config
    built = open_dataset(dataset or config.data.dataset, data_dir or config.data.data_dir)
    photos = built.split(split)
    embeddings = model.embed_split(photos, progress)
    folder = index_folder(workdir, index)
    parts = embeddings, items(photos), thumbnails(photos)
    catalogue = Catalogue.write(folder, *parts, model.card, kind)
    (segment,) = catalogue.segments
    index_name = "an exact index" if segment.entry.index == "exact" else "a ScaNN index"
    return f"{len(catalogue)} photos of {built.name} in {index_name}: {folder.resolve()}"


def thumbnails(split: Split) -> Iterator[bytes]:
    """Small JPEGs of all photos of a split, made one by one."""
    return (thumbnail(split.image_bytes(row)) for row in range(len(split)))


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
