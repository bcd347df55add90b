"""Labelled pairs of test photos: how a model scores what people marked."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy.stats import mannwhitneyu

from fashion_jax.datasets.duplicates.decisions import SAME, Decision
from fashion_jax.evaluation.embedded import EmbeddedTest


@dataclasses.dataclass(frozen=True)
class PairScores:
    """Scores of labelled pairs of test photos.

    Attributes:
        same: number of pairs of one product.
        different: number of pairs of two products, such as marked wrong answers.
        unknown: number of pairs with a photo that is not in the test splits.
        auc: probability that a pair of one product is more similar than a pair of two, ties
            counted half (area under the ROC curve); `None` without pairs of both kinds.
        comparable: number of different pairs whose first photo's own product has another photo in
            the gallery.
        still_wrong: number of these whose second photo is more similar to the first one than every
            photo of its own product.
    """

    same: int
    different: int
    unknown: int
    auc: float | None
    comparable: int
    still_wrong: int

    def to_line(self) -> str:
        """A line for people."""
        said = f"labelled pairs: {self.same} same, {self.different} different"
        if self.auc is not None:
            said += f", area under the ROC curve {self.auc:.4f}"
        if self.comparable:
            said += (
                f"; {self.still_wrong} of {self.comparable} wrong answers still come before the "
                "photo's own product"
            )
        return said + (f"; {self.unknown} not of test photos" if self.unknown else "")


def score_pairs(test: EmbeddedTest, pairs: Sequence[Decision]) -> PairScores:
    """Score labelled pairs of test photos by cosine similarity.

    A photo of both test splits counts once.
    """
    embeddings = np.concatenate([test.gallery_gd, test.queries_qd])
    photo_id = np.concatenate([test.gallery.photo_id, test.query.photo_id])
    identity = np.concatenate([test.gallery.identity, test.query.identity])
    row_of = {name: row for row, name in enumerate(photo_id.tolist())}
    in_gallery = np.arange(len(identity)) < len(test.gallery_gd)
    similarities: dict[bool, list[float]] = {True: [], False: []}
    unknown = comparable = still_wrong = 0
    for pair in pairs:
        first, second = row_of.get(pair.first), row_of.get(pair.second)
        if first is None or second is None:
            unknown += 1
            continue
        similarity = float(embeddings[first] @ embeddings[second])
        same = pair.decision == SAME
        similarities[same].append(similarity)
        own = in_gallery & (identity == identity[first]) & (photo_id != pair.first)
        if not same and own.any():
            comparable += 1
            still_wrong += bool(similarity > (embeddings[own] @ embeddings[first]).max())
    alike, unlike = similarities[True], similarities[False]
    auc = None
    if alike and unlike:
        auc = float(mannwhitneyu(alike, unlike).statistic / (len(alike) * len(unlike)))
    return PairScores(len(alike), len(unlike), unknown, auc, comparable, still_wrong)
