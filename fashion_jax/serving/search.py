"""Search with a photo: names, scores, and a picture of the ranked list."""

import dataclasses
import os
import pathlib
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from tabulate import tabulate

from fashion_jax.datasets.boxes import Box, crop, fit_box, to_pixels, unit_of
from fashion_jax.datasets.photos import decode_photo, read_photo
from fashion_jax.errors import FashionJaxError, keeping
from fashion_jax.inference.model import Photo, load_model
from fashion_jax.reports.ranked_list_picture import draw_ranked_list, write_picture
from fashion_jax.retrieval.catalogue import Catalogue, Hit
from fashion_jax.serving.build_index import index_folder


@dataclasses.dataclass(frozen=True)
class Answers:
    """The answers to one photo.

    Attributes:
        photo: path of the photo.
        hits: answers, best first.
        picture: path of the picture of the ranked list, if one was drawn.
    """

    photo: str
    hits: Sequence[Hit]
    picture: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values for `--json`."""
        answers = [
            {"rank": hit.rank, "score": hit.score, **hit.item.to_json()} for hit in self.hits
        ]
        return {"photo": self.photo, "answers": answers, "picture": self.picture}

    def to_table(self) -> str:
        """A table for people."""
        rows = [
            (hit.rank, hit.score, hit.item.photo_id, hit.item.category, hit.item.product)
            for hit in self.hits
        ]
        columns = ("rank", "score", "photo", "category", "product")
        table = tabulate(rows, columns, floatfmt=".4f", disable_numparse=[2, 3, 4])
        return f"{table}\n\npicture: {self.picture}" if self.picture else table


def search_photo(
    photo: str | os.PathLike[str],
    workdir: str | os.PathLike[str],
    index: str | os.PathLike[str] | None = None,
    box: str | None = None,
    k: int = 10,
    picture: str | os.PathLike[str] | None = None,
    categories: Collection[str] | None = None,
) -> Answers:
    """Search a run's index with a photo.

    Args:
        photo: a file of any common format.
        workdir: workdir of the run.
        index: folder of the index; by default `index` in the workdir.
        box: `x,y,width,height` of the garment, in pixels or as fractions of the photo; by
            default the whole photo.
        k: number of answers.
        picture: PNG file for a picture of the ranked list; by default none is drawn.
        categories: restrict the search to photos of these.

    Raises:
        FashionJaxError: an unreadable photo, a box that does not fit it, an index of another
            model, or an unknown category.
        UnwrittenResultError: the picture cannot be written; with the answers.
    """
    query = read_query(pathlib.Path(photo), box)
    model = load_model(workdir)
    catalogue = Catalogue.open(index_folder(workdir, index))
    (hits,) = catalogue.search(model.embed([query]), k, model.card, categories)
    if picture is None:
        return Answers(str(photo), hits)
    drawn = [
        (decode_photo(catalogue.thumbnail(hit.row)), hit.item.photo_id, hit.score, None)
        for hit in hits
    ]
    with keeping(Answers(str(photo), hits), "the picture"):
        write_picture(picture, draw_ranked_list(query, drawn, pathlib.Path(photo).name))
    return Answers(str(photo), hits, str(pathlib.Path(picture).resolve()))


def read_query(path: pathlib.Path, box: str | None = None) -> Photo:
    """Decode a photo and crop it to a box.

    Raises:
        FashionJaxError: not a usable photo, or a box that does not fit it.
    """
    if not os.path.lexists(path):
        raise FashionJaxError(f"no photo at {path.absolute()}")
    pixels = read_photo(path)
    if box is None:
        return pixels
    height, width = pixels.shape[:2]
    wanted = parse_box(box)
    unit = unit_of(np.array([[wanted.x, wanted.y, wanted.width, wanted.height]]))
    fitted = fit_box(to_pixels(wanted, unit, height, width), height, width)
    if fitted.box is None:
        raise FashionJaxError(
            f"--box {box} is {fitted.defect}: nothing of it is in the photo, "
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
            f"--box has to be x,y,width,height in pixels, such as 40,25,180,260; got {text!r}"
        ) from error
    return Box(x, y, width, height)
