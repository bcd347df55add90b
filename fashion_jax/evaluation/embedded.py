"""Query and gallery of a test, embedded, and what is known about their photos."""

import dataclasses

import numpy as np
from jax.sharding import Mesh
from jaxtyping import Float32

from fashion_jax.config import DataConfig, ImageConfig
from fashion_jax.datasets.dataset import BuiltDataset, Split
from fashion_jax.inference.embed import Encode, Variables, embed_split
from fashion_jax.metrics.protocol import Labels
from fashion_jax.metrics.ranking import Ranking, rank_embeddings


@dataclasses.dataclass(frozen=True)
class EmbeddedTest:
    """L2-normalised embeddings of a query and a gallery split, in the splits' order."""

    query: Split
    gallery: Split
    queries_qd: Float32[np.ndarray, "queries features"]
    gallery_gd: Float32[np.ndarray, "gallery features"]

    def rank(self, protocol: str) -> Ranking:
        """Ranks the gallery for every query by a protocol of `evaluation/protocol.py`."""
        return rank_embeddings(self.queries_qd, self.gallery_gd, *self.labels(), protocol)

    def labels(self) -> tuple[Labels, Labels]:
        """Of the queries and of the gallery."""
        return labels(self.query), labels(self.gallery)

    def averaged_with(self, other: "EmbeddedTest") -> "EmbeddedTest":
        """The normalised means of these embeddings and another's of the same photos.

        Where the two cancel each other out there is nothing to search with: these ones stay.
        """
        return dataclasses.replace(
            self,
            queries_qd=_mean(self.queries_qd, other.queries_qd),
            gallery_gd=_mean(self.gallery_gd, other.gallery_gd),
        )


def _mean(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    sums = one + other
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    return np.where(lengths > 1e-6, sums / np.maximum(lengths, np.float32(1e-6)), one)


def labels(split: Split) -> Labels:
    """What the protocols need to know about a split."""
    return Labels(split.identity, split.category, split.camera, split.photo_id, split.domain)


def embed_test(
    encode: Encode,
    variables: Variables,
    dataset: BuiltDataset,
    splits: tuple[str, str],
    image: ImageConfig,
    batch_size: int,
    data: DataConfig,
    mesh: Mesh,
    progress: bool = True,
) -> EmbeddedTest:
    """Embeds a query and a gallery split; `splits` are their names."""
    query, gallery = (dataset.split(name) for name in splits)
    embedded = [
        embed_split(encode, variables, split, image, batch_size, data, mesh, progress)
        for split in (query, gallery)
    ]
    return EmbeddedTest(query, gallery, *embedded)
