"""Catalogues in Milvus: built of a bulk embedding, looked at, thinned out, searched with photos."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

from tabulate import tabulate

from fashion_jax.errors import FashionJaxError
from fashion_jax.inference.card import ModelCard
from fashion_jax.inference.model import load_model
from fashion_jax.retrieval.catalogue import Hit
from fashion_jax.retrieval.embedding_shards import open_embeddings
from fashion_jax.retrieval.milvus.collection import drop, left_over
from fashion_jax.retrieval.milvus.index import MilvusIndex, Part
from fashion_jax.retrieval.milvus.server import MilvusConnection, MilvusPlace
from fashion_jax.retrieval.milvus.settings import MilvusSettings
from fashion_jax.serving.search_photo import read_query


@dataclasses.dataclass(frozen=True)
class CollectionInfo:
    """What a collection holds.

    Attributes:
        collection: its name and where it is.
        photos: in it now.
        settings: of its index.
        card: of the model that made the embeddings.
        left_over: collections of builds that were killed, or still run.
    """

    collection: str
    photos: int
    settings: MilvusSettings
    card: ModelCard
    left_over: Sequence[str]

    def to_json(self) -> dict[str, Any]:
        """Plain values for `--json`."""
        return {
            **dataclasses.asdict(self),
            "card": self.card.to_dict(),
            "left_over": list(self.left_over),
        }

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
class CollectionAnswers:
    """The answers to one photo.

    Attributes:
        photo: that was searched with.
        hits: best first.
    """

    photo: str
    hits: Sequence[Hit]

    def to_json(self) -> dict[str, Any]:
        """Plain values for `--json`."""
        answers = [
            {"rank": hit.rank, "row": hit.row, "score": hit.score, **dataclasses.asdict(hit.item)}
            for hit in self.hits
        ]
        return {"photo": self.photo, "answers": answers}

    def to_table(self) -> str:
        """A table for people."""
        rows = [
            (hit.rank, hit.score, hit.item.photo_id, hit.item.category, hit.item.identity)
            for hit in self.hits
        ]
        columns = ("rank", "score", "photo", "category", "identity")
        return tabulate(rows, columns, floatfmt=".4f", disable_numparse=[2])


def build_collection_of(place: MilvusPlace, embeddings: str | pathlib.Path) -> str:
    """Builds a collection of a finished bulk embedding, shard by shard.

    Returns:
        One line that says what is where.

    Raises:
        EmbeddingFilesError: if the embedding is not finished, or a shard is damaged.
        MilvusError: see `MilvusIndex.build_from`.
    """
    stored = open_embeddings(embeddings)
    parts = (Part(shard.embeddings, shard.items) for shard in stored.shards())
    with MilvusIndex.build_from(place, parts, stored.card) as index:
        return f"{len(index)} photos in a {index.settings.index_type} index: {place}"


def collection_info(place: MilvusPlace) -> CollectionInfo:
    """Looks at a collection.

    Raises:
        MilvusError: if there is none, or nobody answers.
    """
    with MilvusIndex.open(place) as index:
        connection = MilvusConnection(place)
        try:
            unfinished = left_over(connection)
        finally:
            connection.close()
        return CollectionInfo(str(place), len(index), index.settings, index.card, unfinished)


def remove_photos(place: MilvusPlace, photo_ids: Sequence[str]) -> str:
    """Removes photos by the dataset's own names; a line that says how many were there.

    Raises:
        MilvusError: if there is no such collection, or nobody answers.
    """
    with MilvusIndex.open(place) as index:
        found = index.rows_of(photo_ids)
        removed = index.remove(sorted({row for rows in found.values() for row in rows}))
        absent = [name for name in photo_ids if name not in found]
        line = f"{removed} photos removed, {len(index)} are left: {place}"
    return f"{line}\nnot there: {', '.join(absent)}" if absent else line


def remove_left_over(place: MilvusPlace) -> str:
    """Drops what killed builds have left; no build may be running.

    Raises:
        MilvusError: if nobody answers.
    """
    connection = MilvusConnection(place)
    try:
        names = left_over(connection)
        drop(connection, names)
    finally:
        connection.close()
    return f"{len(names)} unfinished builds dropped: {place}"


def search_collection(
    photo: pathlib.Path,
    workdir: str | pathlib.Path,
    place: MilvusPlace,
    box: str | None = None,
    k: int = 10,
    categories: Sequence[str] | None = None,
) -> CollectionAnswers:
    """Searches a collection with a photo.

    Args:
        photo: a file of any common format.
        workdir: of the run whose model embeds it.
        place: of the collection.
        box: `x,y,width,height` of the garment in pixels; by default the whole photo.
        k: number of answers.
        categories: only photos of these.

    Raises:
        FashionJaxError: if the photo cannot be read, the box does not fit, no photo has the
            categories, or there is no collection of this very model.
    """
    query = read_query(photo, box)
    model = load_model(workdir)
    with MilvusIndex.open(place, model.card) as index:
        (hits,) = index.search_items(model.embed([query]), k, model.card, categories)
    if not hits:
        what = f"no photo of the categories {', '.join(map(repr, categories or []))}"
        raise FashionJaxError(f"{place} has {what if categories else 'no photos'}")
    return CollectionAnswers(str(photo), hits)
