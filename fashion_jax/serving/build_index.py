"""An index of photos, embedded by a run's model: built of a dataset, and added to."""

import collections
import dataclasses
import os
import pathlib
from collections.abc import Iterator, Sequence

from tqdm import tqdm

from fashion_jax.datasets.boxes import BoxError, crop, to_pixels
from fashion_jax.datasets.dataset import Split, open_dataset, products_of
from fashion_jax.datasets.photos import (
    UndecodablePhotoError,
    encode_thumbnail,
    read_photo,
    thumbnail,
)
from fashion_jax.datasets.records import Domain
from fashion_jax.errors import FashionJaxError
from fashion_jax.inference.model import Photo, load_model
from fashion_jax.retrieval.catalogue import Catalogue
from fashion_jax.retrieval.catalogue.changes import ChangedCatalogue, add_photos, check_addable
from fashion_jax.retrieval.catalogue.contents import Contents
from fashion_jax.retrieval.catalogue.items import Item, named_by_defect
from fashion_jax.retrieval.make_index import check_kind
from fashion_jax.serving.new_photos import ListedPhoto

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


def add_files(
    workdir: str | os.PathLike[str],
    photos: Sequence[ListedPhoto],
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
    check_addable(contents, {p.item.photo_id for p in photos}, model.card, replace)
    reader = _Reader(photos, progress)
    embeddings = model.embed(reader.pixels())
    if reader.bad and not (skip_bad and reader.items):
        bad = sum(map(len, reader.bad.values()))
        raise FashionJaxError(
            f"{bad:,} of {len(photos):,} photos cannot be used: {named_by_defect(reader.bad)}. "
            f"Nothing was added; fix them, leave them out, or add only the rest (--skip_bad)"
        )
    parts = embeddings, reader.items, reader.thumbnails
    changed = add_photos(folder, *parts, model.card, replace, contents)
    return dataclasses.replace(changed, left_out=dict(reader.bad))


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
    check_addable(contents, photos.photo_id.tolist(), model.card, replace)
    parts = model.embed_split(photos, progress), items_of(photos), thumbnails_of(photos)
    return add_photos(folder, *parts, model.card, replace, contents)


def index_folder(
    workdir: str | os.PathLike[str], index: str | os.PathLike[str] | None = None
) -> pathlib.Path:
    """The folder of a run's index, unless another one is given."""
    return pathlib.Path(workdir) / INDEX_FOLDER if index is None else pathlib.Path(index)


def items_of(split: Split) -> list[Item]:
    """A catalogue's entry for each photo of a split."""
    products = products_of(split)
    columns = zip(split.photo_id, products, split.category, split.domain, strict=True)
    return [
        Item(str(photo_id), product, str(category), Domain(int(domain)).name.lower())
        for photo_id, product, category, domain in columns
    ]


def thumbnails_of(split: Split) -> Iterator[bytes]:
    """Small JPEGs of all photos of a split, made one by one."""
    return (thumbnail(split.image_bytes(row)) for row in range(len(split)))


@dataclasses.dataclass
class _Reader:
    """Reads photos one by one, and keeps what the catalogue stores of the usable ones."""

    photos: Sequence[ListedPhoto]
    progress: bool
    items: list[Item] = dataclasses.field(default_factory=list)
    thumbnails: list[bytes] = dataclasses.field(default_factory=list)
    bad: dict[str, list[str]] = dataclasses.field(
        default_factory=lambda: collections.defaultdict(list)
    )

    def pixels(self) -> Iterator[Photo]:
        """RGB pixels of the usable photos."""
        bar = tqdm(self.photos, "embed", unit="photo", disable=not self.progress, leave=False)
        for photo in bar:
            try:
                pixels = _item_pixels(photo)
            except UndecodablePhotoError as error:
                self.bad[error.kind.replace("_", " ")].append(photo.item.photo_id)
                continue
            except BoxError:
                self.bad["without anything in its box"].append(photo.item.photo_id)
                continue
            self.items.append(photo.item)
            self.thumbnails.append(encode_thumbnail(pixels))
            yield pixels


def _item_pixels(photo: ListedPhoto) -> Photo:
    """RGB pixels of what is in the photo's box."""
    pixels = read_photo(photo.path)
    if photo.box is None:
        return pixels
    height, width = pixels.shape[:2]
    return crop(pixels, to_pixels(photo.box, photo.box_unit, height, width))
