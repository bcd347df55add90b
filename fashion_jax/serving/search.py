"""Search a catalogue with photos and examples: products or photos, scores, and a picture."""

import dataclasses
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from tabulate import tabulate

from fashion_jax.addresses import at_addresses
from fashion_jax.datasets.boxes import Box, crop, fit_box, to_pixels, unit_of
from fashion_jax.datasets.photo_lists.fields import field_text
from fashion_jax.datasets.photos import decode_photo, read_photo
from fashion_jax.errors import FashionJaxError, keeping
from fashion_jax.inference.explain import explain_similarity, overlay
from fashion_jax.inference.model import EmbeddingModel, Photo, load_model
from fashion_jax.reports.ranked_list_picture import draw_ranked_list, write_picture
from fashion_jax.retrieval.catalogue import Catalogue, Hit
from fashion_jax.retrieval.catalogue.examples import rows_named
from fashion_jax.retrieval.catalogue.generations import open_for
from fashion_jax.retrieval.catalogue.items import Group
from fashion_jax.retrieval.catalogue.where import Where, parse_where, without_matches
from fashion_jax.serving.build_index import index_folder
from fashion_jax.serving.query import Query, Weights, make_query

BY_PHOTO = "photo"
_FIELDS_WIDTH = 60


@dataclasses.dataclass(frozen=True)
class Answers:
    """The answers to a query.

    Attributes:
        photos: paths of the query's photos.
        by: `photo`, `product`, or the field that groups the answers.
        answers: photos, or groups of them, best first.
        matches: number of photos that meet the conditions; `None` without conditions.
        notes: what explains too few answers.
        picture: path of the picture of the ranked list, if one was drawn.
    """

    photos: Sequence[str]
    by: str
    answers: Sequence[Hit] | Sequence[Group]
    matches: int | None = None
    notes: Sequence[str] = ()
    picture: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values for `--json`."""
        return {**dataclasses.asdict(self), "answers": [each.to_json() for each in self.answers]}

    def to_table(self) -> str:
        """A table for people."""
        if self.by == BY_PHOTO:
            columns = ["rank", "score", "photo", "category", "product", "fields"]
            rows = [_photo_row(hit) for hit in self.answers if isinstance(hit, Hit)]
        else:
            columns = ["rank", "score", self.by, "category", "best photo", "photos", "fields"]
            rows = [_group_row(group) for group in self.answers if isinstance(group, Group)]
        if not any(row[-1] for row in rows):
            columns, rows = columns[:-1], [row[:-1] for row in rows]
        texts = [n for n, name in enumerate(columns) if name not in ("rank", "score", "photos")]
        table = tabulate(rows, columns, floatfmt=".4f", disable_numparse=texts if rows else False)
        ends = [] if self.matches is None else [f"{self.matches:,} photos meet the conditions"]
        ends += [*self.notes, *([f"picture: {self.picture}"] if self.picture else [])]
        return "\n".join([table, "", *ends]) if ends else table


@at_addresses("workdir", "index", must_exist=("workdir",))
def search(
    photos: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    workdir: str | os.PathLike[str] | None = None,
    index: str | os.PathLike[str] | None = None,
    box: str | None = None,
    k: int = 10,
    picture: str | os.PathLike[str] | None = None,
    by: str = "product",
    where: Where = (),
    like: Sequence[str] = (),
    dislike: Sequence[str] = (),
    weights: Weights | None = None,
    explain: bool = False,
) -> Answers:
    """Search a catalogue.

    Args:
        photos: a file of any common format, or several of one garment, whose embeddings are
            averaged.
        workdir: workdir of the run; not needed with an `index` and without photos.
        index: folder of the index; by default `index` in the workdir.
        box: `x,y,width,height` of the garment, in pixels or as fractions of the single photo; by
            default the whole photo.
        k: number of answers.
        picture: PNG file for a picture of the ranked list; by default none is drawn.
        by: `product` for different products, each with its photos; `photo`; or the name of a field
            that groups products, such as colour variants.
        where: conditions that the answers have to meet, such as `["price<50", "size in S,M"]`; see
            `fashion_jax.retrieval.catalogue.where.parse_where`.
        like: products, or photos of the catalogue, that the answers have to be like. They and
            photos that look the same are left out of the answers.
        dislike: products, or photos of the catalogue, that they should not be like.
        weights: weights of photos, likes and dislikes.
        explain: colour the places in the picture that make each answer similar to the first photo,
            and those of the photo that make it similar to the best answer.

    Raises:
        FashionJaxError: nothing to search with or to explain, an unreadable photo, a box that does
            not fit it, an index of another model, an unknown example, field or operator.
        UnwrittenResultError: the picture cannot be written; with the answers.
    """
    paths = [photos] if isinstance(photos, str | os.PathLike) else list(photos)
    if workdir is None and (index is None or paths):
        raise FashionJaxError("name the run whose model embeds the photos: --workdir RUN")
    pixels = read_queries(paths, box)
    if explain and (picture is None or not pixels):
        raise FashionJaxError("an explanation is drawn of a photo, in a picture: give both")
    conditions = parse_where(where)
    model = load_model(workdir) if pixels and workdir is not None else None
    folder = index_folder(workdir or "", index)
    catalogue = open_for(folder, model.card) if model else Catalogue.open(folder)
    card = catalogue.card
    embedded = model.embed(pixels) if model else np.empty((0, card.embedding_width), np.float32)
    query = make_query(catalogue, embedded, like, dislike, weights, by)
    answers = Answers(
        [str(path) for path in paths],
        by,
        answer(catalogue, query, k, by, conditions),
        catalogue.match_count(conditions) if conditions else None,
        without_matches(conditions, catalogue.items),
    )
    if picture is None:
        return answers
    with keeping(answers, "the picture"):
        left = pixels[0] if pixels else _first_example(catalogue, like)
        drawn = _drawn(catalogue, answers)
        if explain and model is not None and drawn:
            left, drawn = _explained(model, left, drawn)
        caption = pathlib.Path(paths[0]).name if paths else str(like[0])
        write_picture(picture, draw_ranked_list(left, drawn, caption))
    return dataclasses.replace(answers, picture=str(pathlib.Path(picture).resolve()))


def answer(
    catalogue: Catalogue, query: Query, k: int, by: str, where: Where
) -> Sequence[Hit] | Sequence[Group]:
    """Answer a query by photo, by product, or by a field; see `search`."""
    parts = (query.embedding, k, catalogue.card)
    if by == BY_PHOTO:
        return catalogue.search(*parts, where, query.without)[0]
    return catalogue.search_groups(*parts, by, where, query.without)[0]


def read_queries(paths: Sequence[str | os.PathLike[str]], box: str | None = None) -> list[Photo]:
    """Decode photos of one garment, and crop a single one to a box.

    Raises:
        FashionJaxError: not a usable photo, a box that does not fit it, or a box for several.
    """
    if box is not None and len(paths) != 1:
        raise FashionJaxError(f"--box is for a single photo; got {len(paths)} photos")
    return [read_query(pathlib.Path(path), box) for path in paths]


def read_query(path: pathlib.Path, box: str | None = None) -> Photo:
    """Decode a photo and crop it to a box.

    Raises:
        FashionJaxError: not a usable photo, or a box that does not fit it.
    """
    if not os.path.lexists(path):
        raise FashionJaxError(f"no photo at {path.absolute()}")
    return crop_to_box(read_photo(path), box)


def crop_to_box(pixels: Photo, box: str | None) -> Photo:
    """Crop a photo to a box; `None` for the whole photo.

    Raises:
        FashionJaxError: a box that does not fit the photo.
    """
    if box is None:
        return pixels
    height, width = pixels.shape[:2]
    wanted = parse_box(box)
    unit = unit_of(np.array([[wanted.x, wanted.y, wanted.width, wanted.height]]))
    fitted = fit_box(to_pixels(wanted, unit, height, width), height, width)
    if fitted.box is None:
        raise FashionJaxError(
            f"the box {box} is {fitted.defect}: nothing of it is in the photo, "
            f"which has {width}×{height} pixels"
        )
    return crop(pixels, fitted.box)


def parse_box(text: str) -> Box:
    """Read `x,y,width,height`.

    Raises:
        FashionJaxError: anything else.
    """
    try:
        x, y, width, height = (float(number) for number in text.split(","))
        if not np.isfinite([x, y, width, height]).all():
            raise ValueError(text)
    except ValueError as error:
        raise FashionJaxError(
            f"a box has to be x,y,width,height in pixels, such as 40,25,180,260; got {text!r}"
        ) from error
    return Box(x, y, width, height)


def _photo_row(hit: Hit) -> list[Any]:
    item = hit.item
    fields = _fields(item.fields)
    return [hit.rank, hit.score, item.photo_id, item.category, item.product, fields]


def _group_row(group: Group) -> list[Any]:
    best = group.photos[0].item
    named = [group.name, best.category, best.photo_id]
    return [group.rank, group.score, *named, group.count, _fields(group.fields)]


def _fields(fields: Any) -> str:
    text = ", ".join(f"{name} {field_text(value)}" for name, value in fields.items())
    return text if len(text) <= _FIELDS_WIDTH else text[: _FIELDS_WIDTH - 1] + "…"


def _first_example(catalogue: Catalogue, like: Sequence[str]) -> Photo:
    return decode_photo(catalogue.thumbnail(int(rows_named(catalogue.items, like[0])[0])))


def _explained(model: EmbeddingModel, query: Photo, drawn: list[Any]) -> tuple[Photo, list[Any]]:
    """Colour the photos of a ranked list by what makes them similar."""
    maps = explain_similarity(model, query, [photo for photo, *_ in drawn])
    coloured = [
        (overlay(photo, each.answer), *rest)
        for (photo, *rest), each in zip(drawn, maps, strict=True)
    ]
    return overlay(query, maps[0].query), coloured


def _drawn(catalogue: Catalogue, answers: Answers) -> list[Any]:
    """Photo, caption, score and unknown verdict of each answer."""
    drawn = []
    for each in answers.answers:
        best = each.photos[0] if isinstance(each, Group) else each
        caption = each.name if isinstance(each, Group) else best.item.photo_id
        photo = decode_photo(catalogue.thumbnail(best.row))
        drawn.append((photo, caption or best.item.photo_id, best.score, None))
    return drawn
