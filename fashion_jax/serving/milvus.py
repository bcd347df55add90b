"""Collections in Milvus: built from a bulk embedding, described, changed, searched with photos."""

import dataclasses
import pathlib
from collections.abc import Sequence

from tabulate import tabulate

from fashion_jax.errors import FashionJaxError
from fashion_jax.inference.card import ModelCard
from fashion_jax.inference.model import load_model
from fashion_jax.inference.normalise import l2_normalise
from fashion_jax.retrieval.catalogue.where import Where, parse_where
from fashion_jax.retrieval.embedding_shards import open_embeddings
from fashion_jax.retrieval.milvus.collection import drop, left_over
from fashion_jax.retrieval.milvus.index import MilvusIndex, PhotoBatch
from fashion_jax.retrieval.milvus.server import MilvusConnection, MilvusPlace
from fashion_jax.retrieval.milvus.settings import MilvusSettings
from fashion_jax.serving.search import Answers, read_queries


@dataclasses.dataclass(frozen=True)
class CollectionInfo:
    """A collection.

    Attributes:
        collection: its name and where it is.
        photos: photos in it now.
        settings: settings of its index.
        card: model card of the embeddings.
        left_over: names of builds that were killed or are still running.
    """

    collection: str
    photos: int
    settings: MilvusSettings
    card: ModelCard
    left_over: Sequence[str]

    def to_table(self) -> str:
        """A table for people."""
        model = f"{self.card.backbone} trained on {self.card.dataset}, step {self.card.step}"
        rows = [
            ("collection", self.collection),
            ("photos", f"{self.photos:,}"),
            ("dimensions", self.card.embedding_width),
            ("index", self.settings.index_type),
            ("partitions", f"{self.settings.nlist}, {self.settings.nprobe} of them searched"),
            ("model", f"{model}, weights {self.card.weights_hash[:12]}"),
            ("unfinished builds", ", ".join(self.left_over) or "none"),
        ]
        return tabulate(rows, tablefmt="plain", disable_numparse=True)


@dataclasses.dataclass(frozen=True)
class ChangedCollection:
    """A collection after a change.

    Attributes:
        collection: its name and where it is.
        photos: photos in it now.
        removed: photos that were removed.
        absent: requested names that are not in the collection.
    """

    collection: str
    photos: int
    removed: int = 0
    absent: Sequence[str] = ()

    def to_table(self) -> str:
        """A line or two for people."""
        removed = f"{self.removed:,} photos removed; " if self.removed or self.absent else ""
        line = f"{removed}{self.photos:,} now: {self.collection}"
        return f"{line}\nnot found: {', '.join(self.absent)}" if self.absent else line


@dataclasses.dataclass(frozen=True)
class DroppedBuilds:
    """Names of unfinished builds that were dropped."""

    place: str
    names: Sequence[str]

    def to_table(self) -> str:
        """One line for people."""
        return f"{len(self.names)} unfinished builds dropped: {self.place}"


def build_collection_of(place: MilvusPlace, embeddings: str | pathlib.Path) -> ChangedCollection:
    """Build a collection of a finished bulk embedding, shard by shard.

    Raises:
        StorageError: the embedding is not finished, or a shard is damaged.
        MilvusError: see `MilvusIndex.build_from`.
    """
    stored = open_embeddings(embeddings)
    batches = (PhotoBatch(shard.embeddings, shard.items) for shard in stored.shards())
    with MilvusIndex.build_from(place, batches, stored.card) as index:
        return ChangedCollection(str(place), len(index))


def collection_info(place: MilvusPlace) -> CollectionInfo:
    """Describe a collection.

    Raises:
        MilvusError: no such collection, or no server.
    """
    with MilvusIndex.open(place) as index:
        connection = MilvusConnection(place)
        try:
            unfinished = left_over(connection)
        finally:
            connection.close()
        return CollectionInfo(str(place), len(index), index.settings, index.card, unfinished)


def remove_photos(place: MilvusPlace, photo_ids: Sequence[str]) -> ChangedCollection:
    """Remove photos by the dataset's own names.

    Raises:
        MilvusError: no such collection, or no server.
    """
    with MilvusIndex.open(place) as index:
        found = index.rows_of(photo_ids)
        removed = index.remove(sorted({row for rows in found.values() for row in rows}))
        absent = [name for name in photo_ids if name not in found]
        return ChangedCollection(str(place), len(index), removed, absent)


def remove_left_over(place: MilvusPlace) -> DroppedBuilds:
    """Drop what killed builds have left; no build may be running.

    Raises:
        MilvusError: no server.
    """
    connection = MilvusConnection(place)
    try:
        names = left_over(connection)
        drop(connection, names)
    finally:
        connection.close()
    return DroppedBuilds(str(place), names)


def search_collection(
    photos: Sequence[str],
    workdir: str | pathlib.Path,
    place: MilvusPlace,
    box: str | None = None,
    k: int = 10,
    by: str = "product",
    where: Where = (),
) -> Answers:
    """Search a collection with photos.

    Args:
        photos: files of any common format, all of one garment.
        workdir: workdir of the run whose model embeds them.
        place: the collection.
        box: `x,y,width,height` of the garment in a single photo; by default the whole photo.
        k: number of answers.
        by: `product` or `photo`.
        where: conditions on `photo_id`, `product`, `category` and `domain`.

    Raises:
        FashionJaxError: an unreadable photo, a box that does not fit it, a collection of another
            model, or no photo that meets the conditions.
    """
    if by not in ("product", "photo"):
        raise FashionJaxError(f"a collection answers by product or by photo, not by {by!r}")
    if not photos:
        raise FashionJaxError("nothing to search with: give a photo")
    pixels, model = read_queries(photos, box), load_model(workdir)
    query = l2_normalise(model.embed(pixels).mean(axis=0, keepdims=True))
    with MilvusIndex.open(place, model.card) as index:
        search = index.search_items if by == "photo" else index.search_products
        (answers,) = search(query, k, model.card, where)
    if not answers:
        conditions = " and ".join(map(str, parse_where(where)))
        what = f"no photo with {conditions}" if conditions else "no photos"
        raise FashionJaxError(f"{place} has {what}")
    return Answers(list(photos), by, answers)
