"""Photos of different products that the network takes for one: often the labels are wrong.

The nearest wrong neighbours of all test photos, best first. A shop that lists a product twice, or
an import that split one, shows at the top; so do colours that a network cannot tell apart.
"""

import dataclasses

import numpy as np
from jaxtyping import Float32, Int

from fashion_jax.retrieval.exact import ExactIndex

# A product with more photos that are nearer than any other product's has no suspects.
_NEIGHBOURS = 50


@dataclasses.dataclass(frozen=True)
class Suspect:
    """Two photos of different products that look like one product.

    Attributes:
        one: row of the first photo.
        other: row of the second, which comes later.
        score: their cosine similarity.
    """

    one: int
    other: int
    score: float


def suspected_duplicates(
    embeddings_nd: Float32[np.ndarray, "photos dimensions"],
    identity: Int[np.ndarray, " photos"],
    photo: Int[np.ndarray, " photos"],
    count: int,
) -> list[Suspect]:
    """The most similar photos under different identities.

    Args:
        embeddings_nd: L2-normalised.
        identity: of each photo.
        photo: number of each photo; several garments cut out of one are no suspects.
        count: how many pairs at most; of two products only the most similar photos are one.

    Returns:
        Pairs, most similar first, equals by row.
    """
    if len(embeddings_nd) < 2 or count < 1:
        return []
    found = ExactIndex(embeddings_nd).search(embeddings_nd, _NEIGHBOURS + 1)
    ones = np.repeat(np.arange(len(embeddings_nd)), found.rows.shape[1])
    others, scores = found.rows.ravel(), found.scores.ravel()
    wrong = (identity[ones] != identity[others]) & (photo[ones] != photo[others])
    pairs: dict[tuple[int, int], Suspect] = {}
    ones, others, scores = ones[wrong], others[wrong], scores[wrong]
    # Row by row: lists of all of them would be many times as large, and few are looked at.
    for place in np.lexsort((others, ones, -scores)):
        one, other = int(ones[place]), int(others[place])
        products = sorted((int(identity[one]), int(identity[other])))
        pair = Suspect(min(one, other), max(one, other), float(scores[place]))
        pairs.setdefault((products[0], products[1]), pair)
        if len(pairs) == count:
            break
    return list(pairs.values())
