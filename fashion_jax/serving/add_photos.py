"""Photos added to an index: files of any kind, or a built dataset's split."""

import collections
import dataclasses
import os
from collections.abc import Iterator, Sequence

from tqdm import tqdm

from fashion_jax.datasets.dataset import open_dataset
from fashion_jax.datasets.photos import UndecodablePhotoError, encode_thumbnail, read_photo
from fashion_jax.errors import FashionJaxError
from fashion_jax.inference.model import Photo, load_model
from fashion_jax.retrieval.catalogue.changes import ChangedCatalogue, add_photos, check_addable
from fashion_jax.retrieval.catalogue.items import Item, named_by_defect
from fashion_jax.serving.build_index import index_folder, items_of, thumbnails_of
from fashion_jax.serving.photo_list import ListedPhoto


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
    contents = check_addable(folder, {p.item.photo_id for p in photos}, model.card, replace)
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
    dataset: str | None,
    split: str,
    data_dir: str | None = None,
    index: str | os.PathLike[str] | None = None,
    replace: bool = False,
    progress: bool = True,
) -> ChangedCatalogue:
    """Embeds a split of a built dataset with a run's best model and adds it to its index.

    Args:
        workdir: workdir of the run.
        dataset: name of the dataset; by default the run's.
        split: such as `gallery`.
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
    contents = check_addable(folder, set(photos.photo_id.tolist()), model.card, replace)
    parts = model.embed_split(photos, progress), items_of(photos), thumbnails_of(photos)
    return add_photos(folder, *parts, model.card, replace, contents)


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
                pixels = read_photo(photo.path)
            except UndecodablePhotoError as error:
                self.bad[error.kind.replace("_", " ")].append(photo.item.photo_id)
                continue
            self.items.append(photo.item)
            self.thumbnails.append(encode_thumbnail(pixels))
            yield pixels
