"""Example queries at every severity of a corruption, with the ranks of their first matches."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Int

from fashion_jax.datasets.corruptions import Corruption
from fashion_jax.datasets.corruptions.corrupted_split import CorruptedSplit
from fashion_jax.datasets.dataset import Split
from fashion_jax.datasets.photos import thumbnail
from fashion_jax.metrics.ranking import Ranking

_PHOTOS = 3


@dataclasses.dataclass(frozen=True)
class Strip:
    """A query at rising severities of a corruption.

    Attributes:
        caption: category and name of the query.
        jpegs: encoded photos, one per severity.
        ranks: ranks of the first correct match, from 1, one per severity.
    """

    caption: str
    jpegs: tuple[bytes, ...]
    ranks: tuple[int, ...]


def draw_strips(
    query: Split,
    corruptions: Sequence[Corruption],
    severities: Sequence[float],
    rankings: Mapping[str, Sequence[Ranking]],
    seed: int,
) -> dict[str, list[Strip]]:
    """Draw strips of the same few queries for each corruption, by its name.

    Args:
        query: clean queries.
        corruptions: measured corruptions.
        severities: measured severities.
        rankings: rankings of all queries, one per severity, by corruption; the first is clean.
        seed: seed of the corruptions.
    """
    rows = chosen_rows(rankings[corruptions[0].name][0])
    strips: dict[str, list[Strip]] = {}
    for corruption in corruptions:
        photos = [
            CorruptedSplit(query, rows, corruption, severity, seed) for severity in severities
        ]
        strips[corruption.name] = [
            Strip(
                caption=f"{query.category[row]} {query.photo_id[row]}",
                jpegs=tuple(thumbnail(split.image_bytes(place)) for split in photos),
                ranks=tuple(int(each.first_match[row]) for each in rankings[corruption.name]),
            )
            for place, row in enumerate(rows.tolist())
        ]
    return strips


def chosen_rows(clean: Ranking) -> Int[np.ndarray, " rows"]:
    """Choose the queries with the earliest clean matches, of different categories if possible."""
    rows = np.flatnonzero(clean.measured)
    rows = rows[np.argsort(clean.first_match[rows], kind="stable")]
    category = clean.queries.category
    if category is None:
        return rows[:_PHOTOS]
    first_of_category = np.sort(np.unique(category[rows], return_index=True)[1])
    others = np.setdiff1d(np.arange(len(rows)), first_of_category)
    return rows[np.concatenate([first_of_category, others])[:_PHOTOS]]
