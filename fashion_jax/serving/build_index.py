"""An index of a built dataset's photos, embedded by a run's model."""

import dataclasses
import os
import pathlib
from collections.abc import Iterator

from fashion_jax.datasets.dataset import Split, open_dataset
from fashion_jax.datasets.records import Domain
from fashion_jax.datasets.thumbnails import thumbnail
from fashion_jax.inference.model import load_model
from fashion_jax.retrieval.catalogue import Catalogue, Item
from fashion_jax.retrieval.make_index import check_kind

INDEX_FOLDER = "index"


@dataclasses.dataclass(frozen=True)
class BuiltIndex:
    """A new index.

    Attributes:
        photos: number of photos.
        dataset: name of the dataset that they come from.
        index: `exact` or `scann`.
        directory: absolute path of the index.
    """

    photos: int
    dataset: str
    index: str
    directory: str

    def to_table(self) -> str:
        """One line for people."""
        name = {"exact": "an exact index", "scann": "a ScaNN index"}[self.index]
        return f"{self.photos:,} photos of {self.dataset} in {name}: {self.directory}"


def build_index(
    workdir: str | os.PathLike[str],
    dataset: str | None = None,
    data_dir: str | None = None,
    kind: str = "auto",
    index: str | os.PathLike[str] | None = None,
    progress: bool = True,
    split: str = "gallery",
) -> BuiltIndex:
    """Embeds a split with a run's best model and makes it searchable.

    Args:
        workdir: workdir of the run.
        dataset: name of a built dataset; by default the run's own.
        data_dir: folder of built datasets; by default the run's.
        kind: `scann`, `exact`, or `auto`: ScaNN from the size where it is faster.
        index: folder to write; by default `index` in the workdir. An index there is replaced in
            one step.
        progress: whether to show a bar.
        split: split to index.

    Raises:
        FashionJaxError: no run, checkpoint, dataset or split, or an unknown kind.
    """
    check_kind(kind)
    model = load_model(workdir)
    data = model.config.data
    built = open_dataset(dataset or data.dataset, data_dir or data.data_dir)
    photos = built.split(split)
    parts = model.embed_split(photos, progress), items_of(photos), thumbnails_of(photos)
    folder = index_folder(workdir, index)
    catalogue = Catalogue.write(folder, *parts, model.card, kind)
    (segment,) = catalogue.segments
    return BuiltIndex(len(catalogue), built.name, segment.entry.index, str(folder.resolve()))


def index_folder(
    workdir: str | os.PathLike[str], index: str | os.PathLike[str] | None = None
) -> pathlib.Path:
    """The folder of a run's index, unless another one is given."""
    return pathlib.Path(workdir) / INDEX_FOLDER if index is None else pathlib.Path(index)


def items_of(split: Split) -> list[Item]:
    """A catalogue's entry for each photo of a split."""
    columns = zip(split.photo_id, split.identity, split.category, split.domain, strict=True)
    return [
        Item(str(photo_id), int(identity), str(category), Domain(int(domain)).name.lower())
        for photo_id, identity, category, domain in columns
    ]


def thumbnails_of(split: Split) -> Iterator[bytes]:
    """Small JPEGs of all photos of a split, made one by one."""
    return (thumbnail(split.image_bytes(row)) for row in range(len(split)))
