"""Page of duplicates to decide on: pairs of photos, and a list to write the decisions into."""

import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterable, Sequence

from fashion_jax.datasets.duplicates.decisions import Decision, write_decisions
from fashion_jax.datasets.duplicates.duplicate import Duplicate, Photo
from fashion_jax.datasets.duplicates.result import Duplicates
from fashion_jax.datasets.duplicates.words import COUNTED, FAILURES
from fashion_jax.files import atomic_write
from fashion_jax.reports.page import render_page

PAGE, PAIRS = "index.html", "pairs.csv"

_MOST_SHOWN = 300


@dataclasses.dataclass(frozen=True)
class PairOnPage:
    """A pair with its photos.

    Attributes:
        pair: the pair.
        jpegs: encoded photos, ideally at most 160 pixels on either side.
    """

    pair: Duplicate
    jpegs: tuple[bytes, bytes]


@dataclasses.dataclass(frozen=True)
class PairSection:
    """Pairs of one kind on the page."""

    title: str
    note: str
    pairs: Sequence[PairOnPage]


def write_duplicates(
    folder: str | os.PathLike[str],
    duplicates: Duplicates,
    decisions: Iterable[Decision],
    thumbnail: Callable[[int], bytes],
) -> None:
    """Write `index.html`, and `pairs.csv` with the decisions so far and the pairs without one.

    Args:
        folder: folder of the files; made if missing.
        duplicates: the pairs.
        decisions: decisions so far.
        thumbnail: function that reads the small JPEG of a row.
    """
    folder = pathlib.Path(folder)
    undecided = duplicates.undecided
    write_decisions(folder / PAIRS, decisions, [_in_columns(pair) for pair in undecided])
    shown = [
        PairOnPage(pair, (thumbnail(pair.rows[0]), thumbnail(pair.rows[1])))
        for pair in undecided[:_MOST_SHOWN]
    ]
    atomic_write(folder / PAGE, render_duplicates(duplicates, shown).encode())


def render_duplicates(duplicates: Duplicates, shown: Sequence[PairOnPage]) -> str:
    """Render the page as HTML; see `write_duplicates`."""
    return render_page(
        "duplicates.html",
        duplicates=duplicates,
        photos=sum(duplicates.photos.values()),
        counted=[(COUNTED[failure], duplicates.count(failure)) for failure in FAILURES],
        sections=[section for section in _sections(shown) if section.pairs],
        shown=len(shown),
        list_name=PAIRS,
    )


def _sections(shown: Sequence[PairOnPage]) -> list[PairSection]:
    leaks = [each for each in shown if each.pair.is_leak]
    others = [each for each in shown if not each.pair.is_leak]
    return [
        PairSection(
            "In two splits",
            "A model that was trained on a photo is not tested by it.",
            leaks,
        ),
        PairSection(
            "Of two products",
            "One of the products may be listed twice, or a photo may belong to the other product.",
            [each for each in others if each.pair.of_two_products],
        ),
        PairSection(
            "Under two names",
            "Photos of one product, or of a product that is not known.",
            [each for each in others if not each.pair.of_two_products],
        ),
    ]


def _in_columns(pair: Duplicate) -> dict[str, object]:
    """A pair's row in the list."""
    return {
        "first": pair.first.photo_id,
        "second": pair.second.photo_id,
        "decision": "",
        "comment": "",
        "kind": pair.kind,
        **_named("first", pair.first),
        **_named("second", pair.second),
        "hash_distance": pair.hash_distance,
        "colour_difference": f"{pair.colour_difference:.2f}",
        "cosine": "" if pair.cosine is None else f"{pair.cosine:.4f}",
    }


def _named(side: str, photo: Photo) -> dict[str, str]:
    return {f"{side}_products": "+".join(photo.products), f"{side}_split": photo.split}
