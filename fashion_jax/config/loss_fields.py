"""Config fields of the objective."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class LossConfig:
    """Weights and settings of the objective's terms; a weight of 0 leaves the term out.

    docs/losses.md has the formulas and the papers.

    Attributes:
        identity_weight: cross entropy over training identities.
        label_smoothing: its smoothing.
        triplet_weight: batch-hard triplet loss.
        triplet_margin: its margin, and that of `batch_all`; `None` for the soft margin.
        center_weight: center loss.
        batch_all_weight: triplet loss over all triplets of the batch.
        quadruplet_weight: batch-hard quadruplet loss.
        quadruplet_margin: of its first term.
        quadruplet_second_margin: of its second term, below the first.
        centroid_triplet_weight: triplet loss between photos and centroids.
        centroid_triplet_margin: its margin; `None` for the soft margin.
        circle_weight: circle loss over pairs.
        circle_margin: its margin.
        circle_scale: its scale.
        multi_similarity_weight: multi-similarity loss.
        supervised_contrastive_weight: supervised contrastive loss.
        supervised_contrastive_temperature: its temperature.
        arcface_weight: softmax with an additive angular margin.
        arcface_margin: its margin, in radians.
        cosface_weight: softmax with an additive cosine margin.
        cosface_margin: its margin.
        proxy_nca_weight: proxy-NCA loss.
        proxy_anchor_weight: proxy-anchor loss.
        cosine_scale: that cosines are multiplied by in `arcface`, `cosface` and `proxy_nca`.
        distance: `euclidean` or `cosine`, of the triplet and quadruplet losses.
    """

    identity_weight: float = 1.0
    label_smoothing: float = 0.1
    triplet_weight: float = 1.0
    triplet_margin: float | None = 0.3
    center_weight: float = 5e-4
    batch_all_weight: float = 0.0
    quadruplet_weight: float = 0.0
    quadruplet_margin: float = 0.3
    quadruplet_second_margin: float = 0.15
    centroid_triplet_weight: float = 0.0
    centroid_triplet_margin: float | None = 0.5
    circle_weight: float = 0.0
    circle_margin: float = 0.25
    circle_scale: float = 128.0
    multi_similarity_weight: float = 0.0
    supervised_contrastive_weight: float = 0.0
    supervised_contrastive_temperature: float = 0.1
    arcface_weight: float = 0.0
    arcface_margin: float = 0.5
    cosface_weight: float = 0.0
    cosface_margin: float = 0.35
    proxy_nca_weight: float = 0.0
    proxy_anchor_weight: float = 0.0
    cosine_scale: float = 30.0
    distance: str = "euclidean"


@dataclasses.dataclass(frozen=True)
class MiningConfig:
    """Which photos the losses over pairs and triplets compare with each other.

    Attributes:
        anchors: `any` or `street`: photos that are anchors.
        positives: `any`, or `other_domain`: of the other domain than the anchor's.
        negatives: `any`, or `other_domain`.
        cross_domain_weight: how much more a pair of photos of two domains counts than one of one.
        memory_batches: cross-batch memory: features of so many batches before this one are
            compared with, too; 0 for none.
        memory_start: steps before the memory begins to fill: early features move too fast.
    """

    anchors: str = "any"
    positives: str = "any"
    negatives: str = "any"
    cross_domain_weight: float = 1.0
    memory_batches: int = 0
    memory_start: int = 0
