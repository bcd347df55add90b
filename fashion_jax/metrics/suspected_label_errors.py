"""Pairs of products the model cannot tell apart; often their labels are wrong.

The search takes the nearest photos of different products, most similar first. Products that a shop
lists twice, or that an import split in two, come out on top, together with products that differ in
a way the model does not see, such as color.
"""

import dataclasses

import numpy as np
from jaxtyping import Float32, Shaped

from fashion_jax.retrieval.exact import ExactIndex

# A photo with more photos of its own product nearer than any other product takes part in no pair.
_NEIGHBOURS = 50


@dataclasses.dataclass(frozen=True)
class SuspectedPair:
    """Two photos of different products that look like the same product.

    Attributes:
        first: row of one photo.
        second: row of the other photo, larger than `first`.
        score: cosine similarity of the two.
    """

    first: int
    second: int
    score: float


def find_suspected_label_errors(
    embeddings_nd: Float32[np.ndarray, "photos dimensions"],
    identity: Shaped[np.ndarray, " photos"],
    photo_id: Shaped[np.ndarray, " photos"] | None = None,
    count: int = 12,
) -> list[SuspectedPair]:
    """Find the most similar photos with different identities.

    Args:
        embeddings_nd: L2-normalised embeddings.
        identity: product of each photo.
        photo_id: id of each photo; rows cut out of one photo are never paired.
        count: maximum number of pairs; of two products only the most similar photos are returned.

    Returns:
        Pairs, most similar first, ties by row.
    """
    if len(embeddings_nd) < 2 or count < 1:
        return []
    nearest = ExactIndex(embeddings_nd).search(embeddings_nd, _NEIGHBOURS + 1)
    product = np.unique(identity, return_inverse=True)[1]
    rows = np.repeat(np.arange(len(embeddings_nd)), nearest.rows.shape[1])
    others, scores = nearest.rows.ravel(), nearest.scores.ravel()
    wrong = product[rows] != product[others]
    if photo_id is not None:
        photo = np.unique(photo_id, return_inverse=True)[1]
        wrong &= photo[rows] != photo[others]
    rows, others, scores = rows[wrong], others[wrong], scores[wrong]
    pairs: dict[tuple[int, int], SuspectedPair] = {}
    # Row by row: Python lists of all of them would be many times as large, and few are needed.
    for place in np.lexsort((others, rows, -scores)):
        row, other = int(rows[place]), int(others[place])
        products = sorted((int(product[row]), int(product[other])))
        pair = SuspectedPair(min(row, other), max(row, other), float(scores[place]))
        pairs.setdefault((products[0], products[1]), pair)
        if len(pairs) == count:
            break
    return list(pairs.values())
