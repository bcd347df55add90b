"""Chooses how a catalogue's ScaNN indexes are searched."""

import dataclasses
import os
import pathlib
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32
from tqdm import tqdm

from fashion_jax.addresses import at_addresses
from fashion_jax.datasets.dataset import open_dataset
from fashion_jax.datasets.photos import decode_record
from fashion_jax.errors import keeping
from fashion_jax.inference.model import load_model
from fashion_jax.reports.tuning_picture import write_curve
from fashion_jax.retrieval.catalogue.catalogue import Catalogue
from fashion_jax.retrieval.catalogue.changes import set_search_settings
from fashion_jax.retrieval.catalogue.contents import Segment
from fashion_jax.retrieval.catalogue.items import CatalogueError
from fashion_jax.retrieval.catalogue.manifest import Manifest, SearchSettings
from fashion_jax.retrieval.catalogue.tuning_file import write_tunings
from fashion_jax.retrieval.scann_tuning import Tuning, TuningQueries, gallery_queries, measure
from fashion_jax.serving.build_index import index_folder

PICTURE = "tuning.png"


@dataclasses.dataclass(frozen=True)
class TunedCatalogue:
    """Curves of recall and speed, and the settings chosen from them.

    Attributes:
        photos: photos of the catalogue.
        segments: curve of each segment with a ScaNN index, by the segment's folder.
        pictures: paths of the pictures of the curves.
    """

    photos: int
    segments: dict[str, Tuning]
    pictures: Sequence[str]

    @property
    def failed(self) -> Sequence[Tuning]:
        """Curves on which no settings reach the recall."""
        return [tuning for tuning in self.segments.values() if tuning.chosen is None]

    def to_table(self) -> str:
        """Tables for people."""
        if not self.segments:
            return (
                f"nothing to tune: all {self.photos:,} photos are searched exactly, with a recall "
                f"of 1"
            )
        tables = [tuning.to_table() for tuning in self.segments.values()]
        return "\n\n".join([*tables, *(f"curve: {picture}" for picture in self.pictures)])


@at_addresses("directory", must_exist=("directory",))
def tune(
    directory: str | os.PathLike[str],
    recall: float = 0.99,
    k: int = 10,
    count: int = 1000,
    queries: Float32[np.ndarray, "queries dimensions"] | None = None,
    picture: str | os.PathLike[str] | None = None,
    draw: bool = True,
    progress: bool = True,
) -> TunedCatalogue:
    """Measures each ScaNN index of a catalogue and sets the fastest settings that are good enough.

    Args:
        directory: folder of the catalogue.
        recall: wanted share of the k nearest photos that are found.
        k: neighbours that the recall counts.
        count: photos of the catalogue drawn as queries, unless `queries` are given. A photo is
            not an answer to itself.
        queries: embeddings to measure with, by the catalogue's model.
        picture: PNG file for the curve; by default `tuning.png` in the catalogue's folder.
        draw: whether to draw the curve.
        progress: whether to show a bar.

    Returns:
        The curves, also kept as `tuning.json` in the catalogue's folder. Settings stay unchanged
        where nothing reaches the recall.

    Raises:
        CatalogueError: recall, k or count out of range, or a catalogue that changed meanwhile.
        StorageError: no catalogue, or damaged files (which are named).
    """
    _check(recall, k, count, queries)
    catalogue = Catalogue.open(directory)
    tunings = {
        segment.entry.data: _tune_segment(segment, recall, k, count, queries, progress)
        for segment in catalogue.segments
        if segment.scann is not None and segment.scann.settings.hashed and k < segment.entry.rows
    }
    chosen = {name: _settings(tuning) for name, tuning in tunings.items() if tuning.chosen}
    if chosen:
        set_search_settings(directory, chosen)
    if tunings:
        write_tunings(directory, tunings)
    place = pathlib.Path(directory) / PICTURE if picture is None else pathlib.Path(picture)
    pictures = [_numbered(place, number) for number in range(len(tunings) if draw else 0)]
    with keeping(TunedCatalogue(len(catalogue), tunings, []), "the curve"):
        for path, tuning in zip(pictures, tunings.values(), strict=False):
            write_curve(path, tuning)
    return TunedCatalogue(len(catalogue), tunings, [str(path.resolve()) for path in pictures])


@at_addresses("workdir", "index", must_exist=("workdir",))
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
        workdir: workdir of the run.
        split: such as `query`.
        count: largest number of photos to draw.
        dataset: name of the dataset; by default the run's.
        data_dir: folder of built datasets; by default the run's.
        index: folder of the catalogue; by default `index` in the workdir.

    Raises:
        FashionJaxError: no run, no dataset, or no catalogue of the run's model.
    """
    model = load_model(workdir)
    config = model.config
    folder = index_folder(workdir, index).absolute()
    Manifest.read(folder).card.require_same(model.card, "the catalogue", "the run's model")
    photos = open_dataset(dataset or config.data.dataset, data_dir or config.data.data_dir).split(
        split
    )
    rows = np.sort(np.random.default_rng(0).permutation(len(photos))[:count])
    pixels = (decode_record(photos.image_bytes(row)) for row in rows.tolist())
    return model.embed(pixels)


def _tune_segment(
    segment: Segment,
    recall: float,
    k: int,
    count: int,
    queries: Float32[np.ndarray, "queries dimensions"] | None,
    progress: bool,
) -> Tuning:
    assert segment.scann is not None
    if queries is None:
        asked = gallery_queries(segment.embeddings, count)
    else:
        asked = TuningQueries(queries)
    with tqdm(desc="tune", unit="setting", disable=not progress, leave=False) as bar:
        return measure(
            segment.scann, segment.embeddings, asked, recall, k, lambda point: bar.update()
        )


def _settings(tuning: Tuning) -> SearchSettings:
    assert tuning.chosen is not None
    return SearchSettings(k=tuning.k, queries=tuning.queries, **dataclasses.asdict(tuning.chosen))


def _numbered(path: pathlib.Path, number: int) -> pathlib.Path:
    """Pictures of further segments are next to the first one's."""
    return path if number == 0 else path.with_stem(f"{path.stem}_{number + 1}")


def _check(recall: float, k: int, count: int, queries: np.ndarray | None) -> None:
    if not 0.0 < recall <= 1.0:
        raise CatalogueError(f"a recall lies above 0 and is at most 1, such as 0.99; got {recall}")
    if k < 1 or count < 1 or (queries is not None and len(queries) == 0):
        raise CatalogueError("tuning takes at least one query, and k of at least 1")
