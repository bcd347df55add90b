"""The objective's terms that compare photos with each other: name, loss, its settings."""

from collections.abc import Callable
from typing import NamedTuple

from jaxtyping import Array, Bool, Float, Int

from fashion_jax.config import LossConfig
from fashion_jax.losses.batch_all_triplet import batch_all_triplet
from fashion_jax.losses.batch_hard_triplet import batch_hard_triplet
from fashion_jax.losses.centroid_triplet import centroid_triplet
from fashion_jax.losses.circle import circle
from fashion_jax.losses.multi_similarity import multi_similarity
from fashion_jax.losses.pairs import Context
from fashion_jax.losses.quadruplet import quadruplet
from fashion_jax.losses.supervised_contrastive import supervised_contrastive


class Photos(NamedTuple):
    """A batch as these losses see it.

    Attributes:
        features: before the neck.
        identities: of each row.
        valid: rows that are not padding.
        context: domains, memory and which pairs count.
    """

    features: Float[Array, "batch features"]
    identities: Int[Array, " batch"]
    valid: Bool[Array, " batch"]
    context: Context


def _triplet(loss: LossConfig, photos: Photos) -> Array:
    features, identities, valid, context = photos
    margin = loss.triplet_margin
    return batch_hard_triplet(features, identities, margin, valid, loss.distance, context)


def _batch_all(loss: LossConfig, photos: Photos) -> Array:
    features, identities, valid, context = photos
    margin = loss.triplet_margin
    return batch_all_triplet(features, identities, margin, valid, loss.distance, context)


def _quadruplet(loss: LossConfig, photos: Photos) -> Array:
    features, identities, valid, context = photos
    margins = loss.quadruplet_margin, loss.quadruplet_second_margin
    return quadruplet(features, identities, *margins, valid, loss.distance, context)


def _centroid_triplet(loss: LossConfig, photos: Photos) -> Array:
    features, identities, valid, _ = photos
    margin = loss.centroid_triplet_margin
    return centroid_triplet(features, identities, margin, valid, loss.distance)


def _circle(loss: LossConfig, photos: Photos) -> Array:
    features, identities, valid, context = photos
    return circle(features, identities, loss.circle_margin, loss.circle_scale, valid, context)


def _multi_similarity(loss: LossConfig, photos: Photos) -> Array:
    features, identities, valid, context = photos
    return multi_similarity(features, identities, valid=valid, context=context)


def _supervised_contrastive(loss: LossConfig, photos: Photos) -> Array:
    features, identities, valid, context = photos
    temperature = loss.supervised_contrastive_temperature
    return supervised_contrastive(features, identities, temperature, valid, context)


PAIR_TERMS: dict[str, Callable[[LossConfig, Photos], Float[Array, ""]]] = {
    "triplet": _triplet,
    "batch_all": _batch_all,
    "quadruplet": _quadruplet,
    "centroid_triplet": _centroid_triplet,
    "circle": _circle,
    "multi_similarity": _multi_similarity,
    "supervised_contrastive": _supervised_contrastive,
}
