"""The weighted sum of losses that a network is trained on."""

import dataclasses
from collections.abc import Callable, Container, Mapping
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int, Key

from fashion_jax.config import ClassifierConfig, ExperimentConfig, LossConfig, MiningConfig
from fashion_jax.losses.batch_all_triplet import batch_all_triplet_loss
from fashion_jax.losses.batch_hard_triplet import batch_hard_triplet_loss, hardest_pairs
from fashion_jax.losses.center import center_loss, moved_centers
from fashion_jax.losses.centroid_triplet import centroid_triplet_loss
from fashion_jax.losses.circle import circle_loss
from fashion_jax.losses.classification_losses import (
    arcface_loss,
    cosface_loss,
    cosine_scores,
    label_smoothed_cross_entropy_loss,
    linear_scores,
)
from fashion_jax.losses.multi_similarity import multi_similarity_loss
from fashion_jax.losses.objective_like import Batch, LossState, ObjectiveLike, Scalars, Term
from fashion_jax.losses.pairs import Memory, empty_memory, enqueue, make_pairs
from fashion_jax.losses.partial_fc import (
    all_columns,
    num_classes,
    sampled_columns,
    sampled_per_group,
)
from fashion_jax.losses.proxy_anchor import proxy_anchor_loss
from fashion_jax.losses.proxy_nca import proxy_nca_loss
from fashion_jax.losses.quadruplet import quadruplet_loss
from fashion_jax.losses.rows import masked_mean, pairwise_distances, zero_padding
from fashion_jax.losses.supervised_contrastive import supervised_contrastive_loss

Needed = TypeVar("Needed")


class _Configured(NamedTuple):
    """A loss and its settings.

    Attributes:
        loss: function of features or scores, identities and settings.
        settings: field of `LossConfig` for each argument that it sets.
    """

    loss: Callable[..., Array]
    settings: dict[str, str]

    def __call__(self, config: LossConfig, *args: Any, **options: Any) -> Array:
        """The loss of the arguments, with the config's settings."""
        chosen = {name: getattr(config, field) for name, field in self.settings.items()}
        return self.loss(*args, **chosen, **options)


PAIR_TERMS = {
    "triplet": _Configured(
        batch_hard_triplet_loss, {"margin": "triplet_margin", "distance": "distance"}
    ),
    "batch_all": _Configured(
        batch_all_triplet_loss, {"margin": "triplet_margin", "distance": "distance"}
    ),
    "quadruplet": _Configured(
        quadruplet_loss,
        {
            "margin": "quadruplet_margin",
            "second_margin": "quadruplet_second_margin",
            "distance": "distance",
        },
    ),
    "centroid_triplet": _Configured(
        centroid_triplet_loss, {"margin": "centroid_triplet_margin", "distance": "distance"}
    ),
    "circle": _Configured(circle_loss, {"margin": "circle_margin", "scale": "circle_scale"}),
    "multi_similarity": _Configured(multi_similarity_loss, {}),
    "supervised_contrastive": _Configured(
        supervised_contrastive_loss, {"temperature": "supervised_contrastive_temperature"}
    ),
}
# Makes pairs of its own, so that domains, memory and mining do not reach it.
OWN_PAIRS = frozenset({"centroid_triplet"})

LINEAR_TERM = _Configured(label_smoothed_cross_entropy_loss, {"smoothing": "label_smoothing"})
COSINE_TERMS = {
    "arcface": _Configured(arcface_loss, {"margin": "arcface_margin", "scale": "cosine_scale"}),
    "cosface": _Configured(cosface_loss, {"margin": "cosface_margin", "scale": "cosine_scale"}),
    "proxy_nca": _Configured(proxy_nca_loss, {"scale": "cosine_scale"}),
    "proxy_anchor": _Configured(proxy_anchor_loss, {}),
}
TERMS = (*PAIR_TERMS, "identity", *COSINE_TERMS, "center")  # in the order of the sum


@dataclasses.dataclass(frozen=True)
class Objective(ObjectiveLike):
    """Weighted sum of losses; a weight of 0 leaves a term out.

    Examples:
        >>> from fashion_jax.config import LossConfig
        >>> import jax.numpy as jnp
        >>> def shrink(features, embedding, batch):
        ...     return jnp.mean(jnp.where(batch["valid"][:, None], features**2, 0.0))
        >>> objective = Objective(
        ...     LossConfig(identity_weight=0.0, center_weight=0.0, triplet_margin=1.0),
        ...     extra_terms={"shrink": (0.5, shrink)},
        ... )
        >>> features = jnp.array([[0.0], [3.0], [5.0], [6.0]])
        >>> identity, domain = jnp.array([0, 0, 1, 1]), jnp.array([0, 1, 0, 1])
        >>> batch = {"identity": identity, "domain": domain, "valid": jnp.ones(4, bool)}
        >>> total, scalars = objective(features, features, batch)
        >>> float(scalars["loss/triplet"]), float(scalars["loss/shrink"]), float(total)
        (0.5, 17.5, 9.25)

    Attributes:
        loss: weights and settings of the terms in docs/losses.md.
        mining: pairs that count.
        classifier: layout of the columns that classification losses compare with.
        center_learning_rate: SGD rate of the centers, on the unweighted gradient.
        extra_terms: weight and function of further terms by name. A term is a pure function
            `(features, embedding, batch) -> scalar`; see `ObjectiveLike.__call__` for its
            arguments.

    Raises:
        ValueError: if a further term has the name of one of the config's.
    """

    loss: LossConfig
    mining: MiningConfig = dataclasses.field(default_factory=MiningConfig)
    classifier: ClassifierConfig = dataclasses.field(default_factory=ClassifierConfig)
    center_learning_rate: float = 0.5
    extra_terms: Mapping[str, tuple[float, Term]] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        taken = sorted({*TERMS, "total"} & set(self.extra_terms))
        if taken:
            raise ValueError(f"extra_terms: the name {taken[0]!r} is taken; choose another one")

    @classmethod
    def from_config(
        cls,
        config: ExperimentConfig,
        extra_terms: Mapping[str, tuple[float, Term]] | None = None,
    ) -> "Objective":
        """The objective that a config describes, and perhaps further terms."""
        rate = config.optimizer.center_learning_rate
        return cls(config.loss, config.mining, config.classifier, rate, extra_terms or {})

    def initial_state(
        self,
        key: Key[Array, ""],
        *,
        batch_size: int,
        feature_width: int,
        num_identities: int,
        dtype: DTypeLike = jnp.float32,
    ) -> LossState:
        """`centers`, drawn from N(0, 1), and an empty `memory`, where the config asks for them."""
        state: LossState = {}
        if self.loss.center_weight:
            shape = num_classes(self.classifier, num_identities), feature_width
            state["centers"] = jax.random.normal(key, shape, dtype)
        if self.mining.memory_batches:
            slots = self.mining.memory_batches * batch_size
            state["memory"] = empty_memory(slots, feature_width, dtype)._asdict()
        return state

    def __call__(
        self,
        features: Float[Array, "batch features"],
        embedding: Float[Array, "batch embedding"],
        batch: Batch,
        *,
        classifier: Mapping[str, Array] | None = None,
        num_identities: int = 0,
        state: LossState | None = None,
        key: Key[Array, ""] | None = None,
    ) -> tuple[Float[Array, ""], Scalars]:
        """Compute the total and the scalars to log.

        No gradient reaches the centers: they follow `center_gradient`, which is not weighted.

        Args:
            features: features before the neck, for losses over pairs.
            embedding: embedding after the neck and dropout, for classification losses.
            batch: `identity`, `domain` and `valid`, each [batch].
            classifier: `kernel` and perhaps `bias`; needed by classification losses.
            num_identities: training identities; 0 if every class of the classifier is one.
            state: from `initial_state`; needed by the center loss and the memory.
            key: random key; needed if a share of the classes is sampled.

        Returns:
            The weighted sum, and scalars: `loss/<term>` (unweighted) and `weight/<term>` of each
            term, `features/norm`, and `pairs/positive_distance` and `pairs/negative_distance`,
            means over all pairs; with a triplet or quadruplet term `triplet/positive_distance`
            and `triplet/negative_distance`, means over the hardest pairs, and
            `triplet/active_fraction`, the share of anchors with d(a, p) + margin > d(a, n), the
            soft margin counting as 0.

        Raises:
            ValueError: if a term lacks an input, or a further term returns no scalar.
        """
        state = {} if state is None else state
        identities, where = batch["identity"], batch["valid"]
        memory = None
        if self.mining.memory_batches:
            memory = Memory(**_needed("a memory", state.get("memory")))
        pairs = {"domains": batch["domain"], "memory": memory, "mining": self.mining}
        weights = {
            name: weight for name in TERMS if (weight := getattr(self.loss, f"{name}_weight"))
        }
        values = {
            name: PAIR_TERMS[name](
                self.loss, features, identities, where=where, **({} if name in OWN_PAIRS else pairs)
            )
            for name in weights
            if name in PAIR_TERMS
        }
        if not weights.keys().isdisjoint(("identity", *COSINE_TERMS)):
            classifier = _needed("the classifier", classifier)
            values |= self._class_terms(weights, embedding, batch, classifier, num_identities, key)
        if "center" in weights:
            centers = jax.lax.stop_gradient(_needed("centers", state.get("centers")))
            values["center"] = center_loss(features, identities, centers, where=where)
        for name, (weight, term) in self.extra_terms.items():
            if weight:
                weights[name] = weight
                values[name] = _scalar(name, term(features, embedding, batch))
        scalars = _diagnostics(features, identities, self.loss, where=where, **pairs)
        total = jnp.zeros_like(scalars["features/norm"])
        for name, value in values.items():
            value = value.astype(total.dtype)  # an own term's may be another
            total += weights[name] * value
            scalars[f"loss/{name}"] = value
            scalars[f"weight/{name}"] = jnp.full_like(value, weights[name])
        return total, scalars

    def next_state(
        self,
        state: LossState,
        features: Float[Array, "batch features"],
        batch: Batch,
        *,
        step: Int[Array, ""],
    ) -> LossState:
        """The state after a step: centers a step of SGD further, the batch in the memory."""
        identities, where = batch["identity"], batch["valid"]
        following = dict(state)
        if "centers" in state:
            rate = self.center_learning_rate
            moved = moved_centers(state["centers"], features, identities, rate, where=where)
            following["centers"] = moved
        if "memory" in state:
            begun = where & (step >= self.mining.memory_start_step)
            memory = Memory(**state["memory"])
            fresh = enqueue(memory, features, identities, batch["domain"], begun)
            following["memory"] = fresh._asdict()
        return following

    def _class_terms(
        self,
        names: Container[str],
        embedding: Array,
        batch: Batch,
        classifier: Mapping[str, Array],
        num_identities: int,
        key: Key[Array, ""] | None,
    ) -> dict[str, Array]:
        config, kernel, where = self.classifier, classifier["kernel"], batch["valid"]
        sub_centers = config.sub_centers
        count = num_identities or kernel.shape[1] // sub_centers
        columns = all_columns(kernel, classifier.get("bias"), batch["identity"], count, sub_centers)
        if config.sample_rate != 1.0:
            sampled = sampled_per_group(config, count)
            columns = sampled_columns(columns, where, config, sampled, _needed("a key", key))
        options = {"where": where, "where_classes": columns.classes}
        values = {}
        if "identity" in names:
            logits = linear_scores(embedding, columns.kernel, columns.bias, where=where)
            values["identity"] = LINEAR_TERM(self.loss, logits, columns.identities, **options)
        asked = [name for name in COSINE_TERMS if name in names]
        if asked:
            cosines = cosine_scores(embedding, columns.kernel, sub_centers=sub_centers, where=where)
            for name in asked:
                values[name] = COSINE_TERMS[name](self.loss, cosines, columns.identities, **options)
        return values


def _diagnostics(
    features: Float[Array, "batch features"],
    identities: Int[Array, " batch"],
    loss: LossConfig,
    *,
    where: Bool[Array, " batch"],
    **options: Any,
) -> Scalars:
    """Distances, active triplets and norms to watch along with the losses; without a gradient.

    See `Objective.__call__` for their names, `make_pairs` for the options.
    """
    features = jax.lax.stop_gradient(features)
    pairs = make_pairs(features, identities, where=where, **options)
    distances = pairwise_distances(pairs.anchors, pairs.candidates, loss.distance)
    anchors = pairs.where[:, None]
    norms = jnp.linalg.norm(zero_padding(features, where), axis=1)
    found = {
        "features/norm": masked_mean(norms, where),
        "pairs/positive_distance": masked_mean(distances, pairs.positives & anchors),
        "pairs/negative_distance": masked_mean(distances, pairs.negatives & anchors),
    }
    if loss.triplet_weight or loss.quadruplet_weight:
        margin = loss.triplet_margin if loss.triplet_weight else loss.quadruplet_margin
        hard = hardest_pairs(pairs, loss.distance)
        gap = hard.positive_distance - hard.negative_distance + (margin or 0.0)
        found |= {
            "triplet/positive_distance": masked_mean(hard.positive_distance, hard.anchor),
            "triplet/negative_distance": masked_mean(hard.negative_distance, hard.anchor),
            "triplet/active_fraction": masked_mean((gap > 0.0).astype(gap.dtype), hard.anchor),
        }
    return found


def _needed(name: str, value: Needed | None) -> Needed:
    if value is None:
        raise ValueError(f"a term of the objective needs {name}, which is missing")
    return value


def _scalar(name: str, value: Array) -> Float[Array, ""]:
    value = jnp.asarray(value)
    if value.shape:
        raise ValueError(
            f"the term {name!r} returned an array of shape {value.shape}; a term returns a "
            "scalar, such as the mean over the rows that count"
        )
    return value
