"""Embedded query and gallery splits of a dataset."""

import dataclasses
import os

import numpy as np
from jaxtyping import Float32

from fashion_jax.datasets.dataset import BuiltDataset, Dataset, Split, open_dataset
from fashion_jax.datasets.records import domain_names
from fashion_jax.inference.model import EmbeddingModel
from fashion_jax.inference.normalise import l2_normalise_or
from fashion_jax.metrics.labels import Labels
from fashion_jax.metrics.protocol import PROTOCOLS
from fashion_jax.metrics.ranking import Ranking, rank, rank_embeddings
from fashion_jax.metrics.scores import RerankedScores, Scores

TEST_SPLITS = ("query", "gallery")
PROTOCOL_NAMES = ("instance", "in_category", "item", "centroid")


@dataclasses.dataclass(frozen=True)
class EmbeddedTest:
    """L2-normalised embeddings of a query and a gallery split, in the order of the splits."""

    query: Split
    gallery: Split
    queries_qd: Float32[np.ndarray, "queries features"]
    gallery_gd: Float32[np.ndarray, "gallery features"]

    def rank(self, protocol: str) -> Ranking:
        """Ranks the gallery for every query by a protocol of `metrics/protocol.py`."""
        return rank_embeddings(self.queries_qd, self.gallery_gd, *self.labels(), protocol)

    def rank_all(self, scores: Scores | None = None) -> dict[str, Ranking]:
        """Ranks the gallery for every query by each protocol, by its name.

        Args:
            scores: refined scores; by default those of the embeddings. Re-ranked distances have no
                centroids, so that the protocol `centroid` is left out.
        """
        if scores is None:
            return {name: self.rank(name) for name in PROTOCOL_NAMES}
        names = [
            name
            for name in PROTOCOL_NAMES
            if not (isinstance(scores, RerankedScores) and PROTOCOLS[name].unit == "centroid")
        ]
        return {name: rank(scores, *self.labels(), name) for name in names}

    def labels(self) -> tuple[Labels, Labels]:
        """Return the labels of the queries and of the gallery."""
        query, gallery = self.query, self.gallery
        return (
            Labels.of(query, domain_names(query.domain)),
            Labels.of(gallery, domain_names(gallery.domain)),
        )

    def averaged_with(self, other: "EmbeddedTest") -> "EmbeddedTest":
        """Averages these embeddings with others of the same photos, and normalises the means.

        Where the two cancel out, these embeddings are kept.
        """
        return dataclasses.replace(
            self,
            queries_qd=l2_normalise_or(self.queries_qd + other.queries_qd, self.queries_qd),
            gallery_gd=l2_normalise_or(self.gallery_gd + other.gallery_gd, self.gallery_gd),
        )


def open_test(name: str, data_dir: str | os.PathLike[str]) -> BuiltDataset:
    """Open a built dataset with its test splits.

    Raises:
        FashionJaxError: no such dataset, or one without test splits.
    """
    built = open_dataset(name, data_dir)
    for split in TEST_SPLITS:
        built.split(split)
    return built


def embed_test(model: EmbeddingModel, dataset: Dataset, progress: bool = True) -> EmbeddedTest:
    """Embeds the test splits of a dataset."""
    query, gallery = (dataset.split(name) for name in TEST_SPLITS)
    embedded = [model.embed_split(split, progress) for split in (query, gallery)]
    return EmbeddedTest(query, gallery, *embedded)
