"""Example queries at every strength of a nuisance, with the ranks of their first matches."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Int

from fashion_jax.datasets.corruptions import Nuisance
from fashion_jax.datasets.corruptions.corrupted_split import DisturbedSplit
from fashion_jax.datasets.dataset import Split
from fashion_jax.datasets.thumbnails import thumbnail
from fashion_jax.metrics.ranking import Ranking

_PHOTOS = 3


@dataclasses.dataclass(frozen=True)
class Strip:
    """A query at rising strengths of a nuisance.

    Attributes:
        caption: name of the query.
        jpegs: encoded photos, one per strength.
        ranks: ranks of the first correct match, from 1, one per strength.
    """

    caption: str
    jpegs: tuple[bytes, ...]
    ranks: tuple[int, ...]


def draw_strips(
    query: Split,
    nuisances: Sequence[Nuisance],
    strengths: Sequence[float],
    rankings: Mapping[str, Sequence[Ranking]],
    seed: int,
) -> dict[str, list[Strip]]:
    """Draws strips of the same few queries for each nuisance, by its name.

    Args:
        query: undisturbed queries.
        nuisances: measured nuisances.
        strengths: measured strengths.
        rankings: rankings of all queries, one per strength, by nuisance; the first is clean.
        seed: seed of the disturbances.
    """
    rows = chosen_rows(rankings[nuisances[0].name][0])
    strips: dict[str, list[Strip]] = {}
    for nuisance in nuisances:
        photos = [DisturbedSplit(query, rows, nuisance, strength, seed) for strength in strengths]
        strips[nuisance.name] = [
            Strip(
                caption=f"{query.category[row]} {query.photo_id[row]}",
                jpegs=tuple(thumbnail(split.image_bytes(place)) for split in photos),
                ranks=tuple(int(each.first_match[row]) for each in rankings[nuisance.name]),
            )
            for place, row in enumerate(rows.tolist())
        ]
    return strips


def chosen_rows(clean: Ranking) -> Int[np.ndarray, " rows"]:
    """Chooses the queries with the earliest clean matches, of different categories if possible."""
    rows = np.flatnonzero(clean.measured)
    rows = rows[np.argsort(clean.first_match[rows], kind="stable")]
    category = clean.queries.category
    if category is None:
        return rows[:_PHOTOS]
    first_of_category = np.sort(np.unique(category[rows], return_index=True)[1])
    others = np.setdiff1d(np.arange(len(rows)), first_of_category)
    return rows[np.concatenate([first_of_category, others])[:_PHOTOS]]
