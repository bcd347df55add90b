"""An index of photos, embedded by a run's model: built of a dataset, and added to."""

import dataclasses
import os
import pathlib
from collections.abc import Iterator

import pyarrow as pa

from fashion_jax.addresses import at_addresses
from fashion_jax.datasets.dataset import Split, open_dataset, products_of
from fashion_jax.datasets.photos import thumbnail
from fashion_jax.datasets.records import DOMAIN_NAMES
from fashion_jax.errors import FashionJaxError
from fashion_jax.inference.model import load_model
from fashion_jax.retrieval import storage
from fashion_jax.retrieval.catalogue import Catalogue
from fashion_jax.retrieval.catalogue.changes import ChangedCatalogue, add_photos, check_addable
from fashion_jax.retrieval.catalogue.contents import Contents
from fashion_jax.retrieval.catalogue.item_table import ItemTable
from fashion_jax.retrieval.catalogue.items import named_by_defect
from fashion_jax.retrieval.make_index import check_kind
from fashion_jax.serving.photo_reader import PhotoReader
from fashion_jax.serving.photo_sources import dataset_source

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


@at_addresses("workdir", "index", must_exist=("workdir",))
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
        FashionJaxError: no run, checkpoint, dataset or split, an unknown kind, or something other
            than an index in its place.
    """
    check_kind(kind)
    folder = index_folder(workdir, index).absolute()
    storage.require_place(folder)
    model = load_model(workdir)
    data = model.config.data
    built = open_dataset(dataset or data.dataset, data_dir or data.data_dir)
    photos = built.split(split)
    parts = model.embed_split(photos, progress), items_of(photos), thumbnails_of(photos)
    catalogue = Catalogue.write(folder, *parts, model.card, kind)
    (segment,) = catalogue.segments
    return BuiltIndex(len(catalogue), built.name, segment.entry.index, str(folder.resolve()))


@at_addresses("workdir", "index", must_exist=("workdir",))
def add_files(
    workdir: str | os.PathLike[str],
    photos: ItemTable,
    index: str | os.PathLike[str] | None = None,
    replace: bool = False,
    skip_bad: bool = False,
    progress: bool = True,
) -> ChangedCatalogue:
    """Embeds photos with a run's best model and adds them to its index.

    Args:
        workdir: workdir of the run.
        photos: photos to add; see `find_photos` and `read_list`.
        index: folder of the index; by default `index` in the workdir.
        replace: replace existing photos with the same id, in the same step.
        skip_bad: add the rest when some photos are unusable; otherwise nothing is added then.
        progress: whether to show a bar.

    Raises:
        FashionJaxError: no run, no index of its model, photos that exist already, or unusable
            photos: all of them are counted and named.
    """
    model = load_model(workdir)
    folder = index_folder(workdir, index)
    contents = Contents(folder)
    check_addable(contents, photos, model.card, replace)
    reader = PhotoReader(photos, progress)
    embeddings = model.embed(reader.pixels())
    if reader.bad and not (skip_bad and reader.rows):
        bad = sum(map(len, reader.bad.values()))
        raise FashionJaxError(
            f"{bad:,} of {len(photos):,} photos cannot be used: {named_by_defect(reader.bad)}. "
            f"Nothing was added; fix them, leave them out, or add only the rest (--skip_bad)"
        )
    parts = embeddings, reader.items(), reader.thumbnails
    changed = add_photos(folder, *parts, model.card, replace, contents)
    return dataclasses.replace(changed, left_out=dict(reader.bad))


@at_addresses("workdir", "index", must_exist=("workdir",))
def add_split(
    workdir: str | os.PathLike[str],
    split: str,
    dataset: str | None = None,
    data_dir: str | None = None,
    index: str | os.PathLike[str] | None = None,
    replace: bool = False,
    progress: bool = True,
) -> ChangedCatalogue:
    """Embeds a split of a built dataset with a run's best model and adds it to its index.

    Args:
        workdir: workdir of the run.
        split: such as `gallery`.
        dataset: name of the dataset; by default the run's.
        data_dir: folder of built datasets; by default the run's.
        index: folder of the index; by default `index` in the workdir.
        replace: replace existing photos with the same id, in the same step.
        progress: whether to show a bar.

    Raises:
        FashionJaxError: no run, dataset or split, no index of the run's model, or photos that
            exist already.
    """
    model = load_model(workdir)
    folder = index_folder(workdir, index)
    data = model.config.data
    photos = open_dataset(dataset or data.dataset, data_dir or data.data_dir).split(split)
    contents = Contents(folder)
    items = items_of(photos)
    check_addable(contents, items, model.card, replace)
    parts = model.embed_split(photos, progress), items, thumbnails_of(photos)
    return add_photos(folder, *parts, model.card, replace, contents)


def index_folder(
    workdir: str | os.PathLike[str], index: str | os.PathLike[str] | None = None
) -> pathlib.Path:
    """The folder of a run's index, unless another one is given."""
    return pathlib.Path(workdir) / INDEX_FOLDER if index is None else pathlib.Path(index)


def items_of(split: Split) -> ItemTable:
    """A catalogue's entry for each photo of a split."""
    table = pa.table(
        {
            "photo_id": pa.array(split.photo_id.tolist(), pa.string()),
            "product": pa.array(products_of(split), pa.string()),
            "category": pa.array(split.category.tolist(), pa.string()),
            "domain": pa.array([DOMAIN_NAMES[domain] for domain in split.domain], pa.string()),
        }
    )
    folder = getattr(split, "directory", None)
    if folder is None:  # a split from outside, which cannot be opened again
        return ItemTable(table)
    sources = [dataset_source(folder, split.name, row) for row in range(len(split))]
    return ItemTable(table).with_columns({"source": pa.array(sources, pa.string())})


def thumbnails_of(split: Split) -> Iterator[bytes]:
    """Small JPEGs of all photos of a split, made one by one."""
    return (thumbnail(split.image_bytes(row)) for row in range(len(split)))
