"""PCA whitening (Jégou and Chum 2012) of embeddings."""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Float32

from fashion_jax.errors import FashionJaxError
from fashion_jax.inference.normalise import l2_normalise
from fashion_jax.retrieval.index import check_embeddings


@dataclasses.dataclass(frozen=True)
class Whitening:
    """Centring, and projection onto principal directions scaled to equal variance.

    Attributes:
        mean: mean of the embeddings the whitening was fitted to.
        projection: principal directions, each divided by its standard deviation.

    Examples:
        >>> import numpy as np
        >>> gallery = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
        >>> Whitening.fit(gallery, kept=1).apply(gallery).shape
        (3, 1)
    """

    mean: Float32[np.ndarray, " dimensions"]
    projection: Float32[np.ndarray, "dimensions kept"]

    @classmethod
    def fit(cls, embeddings: Any, kept: int, shrink: float = 1e-3) -> "Whitening":
        """Fits the whitening to embeddings, usually those of the gallery.

        Args:
            embeddings: [rows, dimensions] embeddings, L2-normalised, NumPy or JAX.
            kept: number of principal directions to keep, those of the largest variance.
            shrink: share of the largest variance that is added to every variance, so that
                directions of mere noise are not amplified.

        Raises:
            EmbeddingError: if the embeddings fail `check_embeddings`.
            FashionJaxError: if rows or dimensions are too few for `kept` directions.
        """
        rows_nd = check_embeddings(embeddings, "embeddings to fit the whitening to")
        most = min(rows_nd.shape[1], len(rows_nd) - 1)
        if not 1 <= kept <= most:
            choice = f"choose from 1 to {most}" if most > 0 else "at least 2 embeddings are needed"
            raise FashionJaxError(
                f"whitening to {kept} dimensions cannot be fitted to {len(rows_nd)} embeddings of "
                f"{rows_nd.shape[1]} dimensions; {choice}"
            )
        mean = rows_nd.mean(axis=0, dtype=np.float64)
        # In blocks: a centred copy of the gallery in float64 would be twice as large as itself.
        products = np.zeros((rows_nd.shape[1], rows_nd.shape[1]))
        for start in range(0, len(rows_nd), 8192):
            centred = rows_nd[start : start + 8192] - mean
            products += centred.T @ centred
        variances, directions = np.linalg.eigh(products / len(rows_nd))
        variances, directions = variances[::-1][:kept], directions[:, ::-1][:, :kept]
        scale = 1 / np.sqrt(np.maximum(variances, 0) + shrink * max(variances[0], 1e-12))
        return cls(mean.astype(np.float32), (directions * scale).astype(np.float32))

    def apply(self, embeddings: Any) -> Float32[np.ndarray, "rows kept"]:
        """Whitens embeddings and L2-normalises them again.

        Args:
            embeddings: [rows, dimensions] embeddings of the same model, L2-normalised.

        Returns:
            [rows, kept] L2-normalised embeddings.

        Raises:
            EmbeddingError: if the embeddings fail `check_embeddings`.
        """
        rows_nd = check_embeddings(embeddings, "embeddings", len(self.mean))
        whitened = (rows_nd - self.mean) @ self.projection
        lengths = np.linalg.norm(whitened, axis=1, keepdims=True)
        # An embedding equal to the mean has no direction; any unit row will do.
        whitened[lengths[:, 0] < 1e-12] = np.eye(1, whitened.shape[1], dtype=np.float32)
        return l2_normalise(whitened)
