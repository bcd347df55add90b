"""Photos added to a run's catalogue: files of any kind, or a built dataset's split."""

import collections
import dataclasses
import pathlib
from collections.abc import Iterator, Sequence

from tqdm import tqdm

from fashion_jax.datasets.dataset import open_dataset
from fashion_jax.datasets.photos import UndecodablePhotoError, encode_jpeg, read_photo, shrink
from fashion_jax.datasets.thumbnails import JPEG_QUALITY, LONGEST_SIDE
from fashion_jax.errors import FashionJaxError
from fashion_jax.inference.model import Photo, load_model
from fashion_jax.retrieval.catalogue.changes import Change, add_photos, check_addable
from fashion_jax.retrieval.catalogue.items import Item, named
from fashion_jax.serving.index_run import index_folder, items, thumbnails
from fashion_jax.serving.photo_list import ListedPhoto


def add_files(
    workdir: str | pathlib.Path,
    photos: Sequence[ListedPhoto],
    index: str | pathlib.Path | None = None,
    replace: bool = False,
    skip_bad: bool = False,
    progress: bool = True,
) -> str:
    """Embeds photos with a run's best model and adds them to its catalogue.

    Args:
        workdir: of the run.
        photos: to add.
        index: the catalogue's folder; by default `index` in the workdir.
        replace: take photos of the same names out, in the same step.
        skip_bad: add the others, where some are no usable photos; without, nothing is added then.
        progress: whether to show a bar.

    Returns:
        One line that says what was done.

    Raises:
        FashionJaxError: if there is no run or no catalogue of its model, photos are there already,
            or are no usable photos: all of these are counted and named.
    """
    model = load_model(workdir)
    folder = index_folder(workdir, index)
    contents = check_addable(folder, {p.item.photo_id for p in photos}, model.card, replace)
    reader = _Reader(photos, progress)
    embeddings = model.embed(reader.pixels())
    if reader.bad and not (skip_bad and reader.items):
        raise FashionJaxError(
            f"{reader.summary()}. Nothing was added; mend them, leave them out, or add only the "
            f"others (--skip_bad)"
        )
    parts = embeddings, reader.items, reader.thumbnails
    change = add_photos(folder, *parts, model.card, replace, contents)
    left_out = f"; left out: {reader.summary()}" if reader.bad else ""
    return _report(change, folder) + left_out


def add_split(
    workdir: str | pathlib.Path,
    dataset: str | None,
    split: str,
    data_dir: str | None = None,
    index: str | pathlib.Path | None = None,
    replace: bool = False,
    progress: bool = True,
) -> str:
    """Embeds a split of a built dataset with a run's best model and adds it to its catalogue.

    Args:
        workdir: of the run.
        dataset: by default the run's.
        split: such as `gallery`.
        data_dir: where the dataset lies; by default the run's.
        index: the catalogue's folder; by default `index` in the workdir.
        replace: take photos of the same names out, in the same step.
        progress: whether to show a bar.

    Returns:
        One line that says what was done.

    Raises:
        FashionJaxError: if there is no run, no dataset, or no catalogue of the run's model, or
            photos are there already.
    """
    model = load_model(workdir)
    folder = index_folder(workdir, index)
    config = model.config.data
    photos = open_dataset(dataset or config.dataset, data_dir or config.data_dir).split(split)
    contents = check_addable(folder, set(photos.photo_id.tolist()), model.card, replace)
    embeddings = model.embed_split(photos, progress)
    parts = embeddings, items(photos), thumbnails(photos)
    change = add_photos(folder, *parts, model.card, replace, contents)
    return _report(change, folder)


@dataclasses.dataclass
class _Reader:
    """Reads photos one by one, and keeps what the catalogue needs of the usable ones."""

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
            self.thumbnails.append(encode_jpeg(shrink(pixels, LONGEST_SIDE), JPEG_QUALITY))
            yield pixels

    def summary(self) -> str:
        """How many are bad, of which kind, and which."""
        kinds = [f"{len(names):,} {kind} ({named(names)})" for kind, names in self.bad.items()]
        bad = sum(map(len, self.bad.values()))
        return f"{bad:,} of {len(self.photos):,} photos cannot be used: {'; '.join(kinds)}"


def _report(change: Change, folder: pathlib.Path) -> str:
    replaced = f", {change.removed:,} taken out for them" if change.removed else ""
    return f"{change.added:,} photos added{replaced}; {change.photos:,} now: {folder.resolve()}"
