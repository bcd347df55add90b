"""Refinements of embeddings after the model, each switched on separately.

They are applied in this order: flip averaging, PCA whitening, database augmentation, query
expansion, re-ranking. None of them uses labels.
"""

import dataclasses

import numpy as np
from jaxtyping import Float32

from fashion_jax.errors import FashionJaxError
from fashion_jax.metrics.scores import EmbeddingScores, RerankedScores, Scores
from fashion_jax.retrieval.k_reciprocal import KReciprocalConfig
from fashion_jax.retrieval.query_expansion import augment_database, expand_queries
from fashion_jax.retrieval.rerank import Reranked
from fashion_jax.retrieval.whitening import Whitening


@dataclasses.dataclass(frozen=True)
class Refinements:
    """Refinements that are switched on.

    Attributes:
        flip: whether to average each photo's embedding with that of its mirror image.
        whiten: dimensions kept by PCA whitening, which is fitted to the gallery; 0 for none.
        database_augmentation: number of nearest others added to each gallery embedding.
        query_expansion: number of nearest gallery embeddings added to each query.
        alpha: exponent of the similarity that weights added embeddings; 0 weights all equally.
        rerank: parameters of k-reciprocal re-ranking; None for none.
        rerank_top: number of nearest photos re-ranked for each query; None for the whole gallery.
    """

    flip: bool = False
    whiten: int = 0
    database_augmentation: int = 0
    query_expansion: int = 0
    alpha: float = 0.0
    rerank: KReciprocalConfig | None = None
    rerank_top: int | None = None

    def __post_init__(self) -> None:
        for name in ("whiten", "database_augmentation", "query_expansion", "alpha"):
            if getattr(self, name) < 0:
                raise FashionJaxError(f"{name} is at least 0, got {getattr(self, name)}")
        if self.alpha and not (self.database_augmentation or self.query_expansion):
            raise FashionJaxError(
                f"alpha needs database_augmentation or query_expansion, whose neighbours it "
                f"weights; got alpha {self.alpha} without either"
            )
        if self.rerank_top is not None and (self.rerank is None or self.rerank_top < 1):
            raise FashionJaxError(
                f"rerank_top is at least 1 and needs rerank, got rerank_top {self.rerank_top}"
                + (" without rerank" if self.rerank is None else "")
            )

    def __bool__(self) -> bool:
        """Whether any refinement is on."""
        return bool(self.words())

    def words(self) -> str:
        """Describe the refinements that are on, for people."""
        power = f", α = {self.alpha:g}" if self.alpha else ""
        augmentation, expansion = self.database_augmentation, self.query_expansion
        parts = [
            "flip averaging" if self.flip else "",
            f"whitening to {self.whiten} dimensions" if self.whiten else "",
            f"database augmentation ({_neighbours(augmentation)}{power})" if augmentation else "",
            f"query expansion ({_neighbours(expansion)}{power})" if expansion else "",
            self._reranking(),
        ]
        return ", ".join(part for part in parts if part)

    def flags(self) -> list[str]:
        """Return the flags of `fashion-jax evaluate` that switch the same refinements on."""
        values: dict[str, bool | float | None] = {
            "flip": self.flip,
            "whiten": self.whiten,
            "database_augmentation": self.database_augmentation,
            "query_expansion": self.query_expansion,
            "alpha": self.alpha,
            "rerank": self.rerank is not None,
            "rerank_top": self.rerank_top,
        }
        given = [
            f"--{name}" + ("" if on is True else f"={on}") for name, on in values.items() if on
        ]
        settings = dataclasses.asdict(self.rerank) if self.rerank else {}
        usual = dataclasses.asdict(KReciprocalConfig())
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
    """Refines embeddings and returns the scores between them.

    Args:
        queries_qd: L2-normalised embeddings, already averaged with those of mirrored photos if
            flip averaging is on.
        gallery_gd: L2-normalised embeddings of the gallery, averaged alike.
        refinements: refinements to apply.
        progress: whether to show progress bars.

    Raises:
        FashionJaxError: if a refinement does not fit the embeddings or the available memory.
    """
    if refinements.whiten:
        whitening = Whitening.fit(gallery_gd, refinements.whiten)
        queries_qd, gallery_gd = whitening.apply(queries_qd), whitening.apply(gallery_gd)
    alpha = refinements.alpha
    gallery_gd = augment_database(gallery_gd, refinements.database_augmentation, alpha)
    queries_qd = expand_queries(queries_qd, gallery_gd, refinements.query_expansion, alpha)
    if refinements.rerank is None:
        return EmbeddingScores(queries_qd, gallery_gd)
    reranked = Reranked(queries_qd, gallery_gd, refinements.rerank, progress=progress)
    return RerankedScores(reranked, refinements.rerank_top)


def _neighbours(count: int) -> str:
    return f"{count} neighbour{'' if count == 1 else 's'}"
