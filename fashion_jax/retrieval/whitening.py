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
    """Moves embeddings to their mean, and scales their principal directions to equal variance.

    Attributes:
        mean: of the embeddings that it was fitted to.
        projection: the principal directions, each divided by its standard deviation.
    """

    mean: Float32[np.ndarray, " dimensions"]
    projection: Float32[np.ndarray, "dimensions kept"]

    @classmethod
    def fit(cls, embeddings: Any, kept: int, shrink: float = 1e-3) -> "Whitening":
        """Finds the principal directions of embeddings, best those of a gallery.

        Args:
            embeddings: [rows, dimensions], L2-normalised.
            kept: directions that are kept, those of the largest variance.
            shrink: share of the largest variance that is added to all of them, so that directions
                in which there is nothing but noise are not blown up.

        Raises:
            EmbeddingError: if the embeddings are not what `check_embeddings` asks for.
            FashionJaxError: if more directions are asked for than rows or dimensions can give.
        """
        rows_nd = check_embeddings(embeddings, "embeddings to fit the whitening to")
        most = min(rows_nd.shape[1], len(rows_nd) - 1)
        if not 1 <= kept <= most:
            choice = f"choose from 1 to {most}" if most else "it takes at least 2 embeddings"
            raise FashionJaxError(
                f"whitening to {kept} dimensions cannot be fitted to {len(rows_nd)} embeddings of "
                f"{rows_nd.shape[1]} dimensions; {choice}"
            )
        mean = rows_nd.mean(axis=0, dtype=np.float64)
        # In blocks and in float64: a centred copy of a whole gallery would be as large as it is.
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
            embeddings: [rows, dimensions], L2-normalised, of the same model.

        Raises:
            EmbeddingError: if they are not what `check_embeddings` asks for.
        """
        rows_nd = check_embeddings(embeddings, "embeddings", len(self.mean))
        whitened = (rows_nd - self.mean) @ self.projection
        lengths = np.linalg.norm(whitened, axis=1, keepdims=True)
        # An embedding at the very mean has no direction; any unit row will do.
        whitened[lengths[:, 0] < 1e-12] = np.eye(1, whitened.shape[1], dtype=np.float32)
        return l2_normalise(whitened)
