"""What can be done with embeddings after the network, each switched on by itself.

In the order in which they work: flip averaging, PCA whitening, database augmentation, query
expansion, re-ranking. None of them looks at a label.
"""

import dataclasses

import numpy as np
from jaxtyping import Float32

from fashion_jax.errors import FashionJaxError
from fashion_jax.metrics.scores import EmbeddingScores, RerankedScores, Scores
from fashion_jax.retrieval.k_reciprocal import Reciprocal
from fashion_jax.retrieval.query_expansion import augment_database, expand_queries
from fashion_jax.retrieval.rerank import Reranked
from fashion_jax.retrieval.whitening import Whitening


@dataclasses.dataclass(frozen=True)
class Refinements:
    """Which of them are on.

    Attributes:
        flip: embed each photo and its mirror image, and average.
        whiten: dimensions that PCA whitening, fitted to the gallery, keeps; 0 for none.
        augment: nearest others that are added to each gallery photo.
        expand: nearest gallery photos that are added to each query.
        alpha: power of the similarity that added photos are weighted by; 0 for alike.
        rerank: settings of k-reciprocal re-ranking; None for none.
        rerank_top: nearest photos of each query that are re-ranked; None for all.
    """

    flip: bool = False
    whiten: int = 0
    augment: int = 0
    expand: int = 0
    alpha: float = 0.0
    rerank: Reciprocal | None = None
    rerank_top: int | None = None

    def __post_init__(self) -> None:
        if min(self.whiten, self.augment, self.expand, self.alpha) < 0:
            raise FashionJaxError(
                "whitening, augmentation and expansion take numbers of 0 or more, got "
                f"{self.whiten}, {self.augment}, {self.expand} and alpha {self.alpha}"
            )
        if self.alpha and not (self.augment or self.expand):
            raise FashionJaxError(
                "alpha weighs the neighbours that augmentation and expansion add, got alpha "
                f"{self.alpha} and neither of them"
            )
        if self.rerank_top is not None and (self.rerank is None or self.rerank_top < 1):
            raise FashionJaxError(
                "how many photos are re-ranked has to be at least 1, and goes with re-ranking "
                f"only, got {self.rerank_top}"
            )

    def __bool__(self) -> bool:
        """Whether any of them is on."""
        return bool(self.words())

    def words(self) -> str:
        """All that are on, for people."""
        power = f", α = {self.alpha:g}" if self.alpha else ""
        parts = [
            "flip averaging" if self.flip else "",
            f"whitening to {self.whiten} dimensions" if self.whiten else "",
            f"augmented gallery ({self.augment} neighbours{power})" if self.augment else "",
            f"expanded queries ({self.expand} neighbours{power})" if self.expand else "",
            self._reranking(),
        ]
        return ", ".join(part for part in parts if part)

    def flags(self) -> list[str]:
        """All that are on, as flags of `fashion-jax evaluate`."""
        values: dict[str, bool | float | None] = {
            "flip": self.flip,
            "whiten": self.whiten,
            "augment": self.augment,
            "expand": self.expand,
            "alpha": self.alpha,
            "rerank": self.rerank is not None,
            "rerank_top": self.rerank_top,
        }
        given = [
            f"--{name}" + ("" if on is True else f"={on}") for name, on in values.items() if on
        ]
        settings = dataclasses.asdict(self.rerank) if self.rerank else {}
        usual = dataclasses.asdict(Reciprocal())
        return given + [f"--{name}={on}" for name, on in settings.items() if on != usual[name]]

    def _reranking(self) -> str:
        if self.rerank is None:
            return ""
        top = f" of the first {self.rerank_top}" if self.rerank_top else ""
        chosen = self.rerank
        return (
            f"re-ranking{top} (k1 = {chosen.k1}, k2 = {chosen.k2}, λ = {chosen.original_weight:g})"
        )


def refined_scores(
    queries_qd: Float32[np.ndarray, "queries dimensions"],
    gallery_gd: Float32[np.ndarray, "gallery dimensions"],
    refinements: Refinements,
    progress: bool = False,
) -> Scores:
    """Scores of refined embeddings.

    Args:
        queries_qd: L2-normalised, averaged with those of mirrored photos already if that is on.
        gallery_gd: the same.
        refinements: what to do with them.
        progress: whether to show bars.

    Raises:
        FashionJaxError: if a refinement does not fit the embeddings, or too little memory.
    """
    if refinements.whiten:
        whitening = Whitening.fit(gallery_gd, refinements.whiten)
        queries_qd, gallery_gd = whitening.apply(queries_qd), whitening.apply(gallery_gd)
    alpha = refinements.alpha
    gallery_gd = augment_database(gallery_gd, refinements.augment, alpha)
    queries_qd = expand_queries(queries_qd, gallery_gd, refinements.expand, alpha)
    if refinements.rerank is None:
        return EmbeddingScores(queries_qd, gallery_gd)
    reranked = Reranked(queries_qd, gallery_gd, refinements.rerank, progress=progress)
    return RerankedScores(reranked, refinements.rerank_top)
