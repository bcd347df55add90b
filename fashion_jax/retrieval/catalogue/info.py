"""Descriptions of catalogues, for people and for programs."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping, Sequence

import pyarrow.compute as pc
from tabulate import tabulate

from fashion_jax.addresses import at_addresses
from fashion_jax.inference.card import ModelCard
from fashion_jax.retrieval.catalogue.contents import Contents, Segment
from fashion_jax.retrieval.catalogue.generations import GROWING, NEXT, manifest_of
from fashion_jax.retrieval.catalogue.items import UNKNOWN_PRODUCT
from fashion_jax.retrieval.catalogue.manifest import SearchSettings
from fashion_jax.retrieval.scann_settings import FASTER_FROM, ScannSettings

_MANY_REMOVED = 0.2


@dataclasses.dataclass(frozen=True)
class SegmentInfo:
    """Description of a segment.

    Attributes:
        data: name of the segment's folder.
        photos: number of photos, without removed ones.
        removed: number of removed rows.
        index: `exact` or `scann`.
        settings: settings of the ScaNN index, if the segment has one.
        search: search settings, if the segment was tuned.
        bytes: size on the disk.
    """

    data: str
    photos: int
    removed: int
    index: str
    settings: ScannSettings | None
    search: SearchSettings | None
    bytes: int


@dataclasses.dataclass(frozen=True)
class CatalogueInfo:
    """Description of a catalogue.

    Attributes:
        directory: absolute path of the catalogue.
        kind: kind of index for new segments.
        card: card of the model that made the embeddings.
        photos: number of photos, without removed ones.
        removed: number of removed rows, whose space `compact` reclaims.
        products: number of products, without unknown ones.
        fields: types of the fields, by name.
        categories: number of photos per category.
        segments: descriptions of the segments, in order.
        bytes: size on the disk.
        advice: recommended commands.
    """

    directory: str
    kind: str
    card: ModelCard
    photos: int
    removed: int
    products: int
    fields: Mapping[str, str]
    categories: Mapping[str, int]
    segments: Sequence[SegmentInfo]
    bytes: int
    advice: Sequence[str]

    def to_table(self) -> str:
        """Tables for people."""
        card = self.card
        facts = [
            ("catalogue", self.directory),
            ("photos", f"{self.photos:,}" + (f" ({self.removed:,} removed)" * bool(self.removed))),
            ("products", f"{self.products:,}"),
            ("categories", ", ".join(f"{name} {n:,}" for name, n in self.categories.items())),
            (
                "fields",
                ", ".join(f"{name} ({kind})" for name, kind in self.fields.items()) or "none",
            ),
            ("model", f"{card.backbone}, trained on {card.dataset}, step {card.step}"),
            ("embeddings", f"{card.embedding_width} dimensions, {card.metric}, after {card.neck}"),
            ("weights", card.weights_hash[:16]),
            ("index", self.kind),
            ("size", f"{self.bytes / 2**20:,.1f} MiB, all checksums correct"),
        ]
        rows = [
            (s.data, s.photos, s.removed, s.index, _settings(s), f"{s.bytes / 2**20:,.1f}")
            for s in self.segments
        ]
        columns = ("segment", "photos", "removed", "index", "settings", "MiB")
        parts = [tabulate(facts, tablefmt="plain", disable_numparse=True)]
        parts += [tabulate(rows, columns, intfmt=",")] if rows else []
        return "\n\n".join([*parts, *self.advice])


@at_addresses("directory", must_exist=("directory",))
def catalogue_info(directory: str | os.PathLike[str]) -> CatalogueInfo:
    """Describe a catalogue after checking all of its files.

    Raises:
        StorageError: not a catalogue, or files (which are named) are damaged.
    """
    target = pathlib.Path(directory).absolute()
    contents = Contents(target)
    segments = [
        _segment(segment, len(kept))
        for segment, kept in zip(contents.segments, contents.kept, strict=True)
    ]
    items = contents.items
    counted = pc.value_counts(items.column("category")).to_pylist()
    categories = {each["values"]: each["counts"] for each in counted}
    return CatalogueInfo(
        directory=str(target),
        kind=contents.manifest.kind,
        card=contents.manifest.card,
        photos=len(contents),
        removed=sum(segment.removed for segment in segments),
        products=len(set(pc.unique(items.column("product")).to_pylist()) - {UNKNOWN_PRODUCT}),
        fields=items.types,
        categories=dict(sorted(categories.items())),
        segments=segments,
        bytes=_bytes(target),
        advice=[
            *_advice(contents.manifest.kind, segments),
            *_next_model(target, contents.manifest.card),
        ],
    )


def _next_model(target: pathlib.Path, card: ModelCard) -> list[str]:
    """Name the command that finishes or discards a re-embedding."""
    todo = {NEXT: "exchanges the models", GROWING: "goes on with them"}
    found = [(place, manifest_of(target / place)) for place in todo]
    return [
        f"{sum(segment.rows for segment in manifest.segments):,} embeddings of another model "
        f"({manifest.card.backbone} trained on {manifest.card.dataset}, step {manifest.card.step}) "
        f"are there: `fashion-jax index reembed` {todo[place]}"
        for place, manifest in found
        if manifest is not None and manifest.card.difference(card)
    ]


def _segment(segment: Segment, photos: int) -> SegmentInfo:
    settings = segment.check()
    entry = segment.entry
    return SegmentInfo(
        data=entry.data,
        photos=photos,
        removed=entry.rows - photos,
        index=entry.index,
        settings=settings,
        search=entry.search,
        bytes=_bytes(segment.folder),
    )


def _bytes(folder: pathlib.Path) -> int:
    paths = (pathlib.Path(place, name) for place, _, names in os.walk(folder) for name in names)
    return sum(map(_size, paths))


def _size(path: pathlib.Path) -> int:
    """Size of a file; none where a change has removed it meanwhile."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _settings(segment: SegmentInfo) -> str:
    if segment.settings is None or not segment.settings.hashed:
        return "exhaustive"
    used = segment.search or segment.settings
    text = f"reorder {used.reorder}"
    if segment.settings.leaves:
        text += f", {used.leaves_to_search} of {segment.settings.leaves} leaves"
    if segment.search:
        text += f" (tuned: recall@{segment.search.k} {segment.search.recall:.4f})"
    return text


def _advice(kind: str, segments: Sequence[SegmentInfo]) -> list[str]:
    advice = []
    removed = sum(segment.removed for segment in segments)
    if removed > _MANY_REMOVED * sum(segment.photos + segment.removed for segment in segments):
        advice.append(
            f"{removed:,} removed photos take space and time; reclaim them: "
            f"`fashion-jax index compact`"
        )
    exact = [segment.photos for segment in segments if segment.index == "exact"]
    if kind != "exact" and len(exact) > 1 and sum(exact) >= FASTER_FROM:
        advice.append(
            f"{sum(exact):,} photos of {len(exact)} segments are searched exactly; merge them into "
            f"one ScaNN index: `fashion-jax index compact`"
        )
    if any(s.settings and s.settings.hashed and s.search is None for s in segments):
        advice.append("the ScaNN index was never tuned: `fashion-jax index tune --recall 0.99`")
    return advice
