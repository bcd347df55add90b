"""The weighted sum of losses that a network is trained on."""

import dataclasses
from collections.abc import Container, Mapping
from typing import TypeVar

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int, Key

from fashion_jax.config import ClassifierConfig, ExperimentConfig, LossConfig, MiningConfig
from fashion_jax.losses.center import center_gradient, center_loss
from fashion_jax.losses.diagnostics import diagnostics
from fashion_jax.losses.memory import Memory, empty_memory, enqueue
from fashion_jax.losses.objective_like import Batch, LossState, ObjectiveLike, Scalars, Term
from fashion_jax.losses.partial_fc import (
    Columns,
    all_columns,
    num_classes,
    sampled_columns,
    sampled_per_group,
)
from fashion_jax.losses.scores import cosine_scores, linear_scores
from fashion_jax.losses.terms import (
    COSINE_TERMS,
    LINEAR_TERM,
    OWN_PAIRS,
    PAIR_TERMS,
    TERMS,
    weights_of,
)

Needed = TypeVar("Needed")


@dataclasses.dataclass(frozen=True)
class Objective(ObjectiveLike):
    """Weighted sum of losses; a weight of 0 leaves a term out.

    Example:
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
        weights = weights_of(self.loss)
        values = {
            name: PAIR_TERMS[name](
                self.loss, features, identities, where=where, **({} if name in OWN_PAIRS else pairs)
            )
            for name in weights
            if name in PAIR_TERMS
        }
        if not weights.keys().isdisjoint(("identity", *COSINE_TERMS)):
            classifier = _needed("the classifier", classifier)
            columns = self._columns(batch, classifier, num_identities, key)
            values |= self._class_terms(weights, embedding, columns, where)
        if "center" in weights:
            centers = jax.lax.stop_gradient(_needed("centers", state.get("centers")))
            values["center"] = center_loss(features, identities, centers, where=where)
        for name, (weight, term) in self.extra_terms.items():
            if weight:
                weights[name] = weight
                values[name] = _scalar(name, term(features, embedding, batch))
        scalars = diagnostics(features, identities, self.loss, where=where, **pairs)
        return _weighted_sum(values, weights, scalars)

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
            centers = state["centers"]
            pull = center_gradient(features, identities, centers, where=where)
            following["centers"] = centers - self.center_learning_rate * pull.astype(centers.dtype)
        if "memory" in state:
            begun = where & (step >= self.mining.memory_start_step)
            memory = Memory(**state["memory"])
            fresh = enqueue(memory, features, identities, batch["domain"], begun)
            following["memory"] = fresh._asdict()
        return following

    def _columns(
        self,
        batch: Batch,
        classifier: Mapping[str, Array],
        num_identities: int,
        key: Key[Array, ""] | None,
    ) -> Columns:
        config, kernel = self.classifier, classifier["kernel"]
        count = num_identities or kernel.shape[1] // config.sub_centers
        bias = classifier.get("bias")
        every = all_columns(kernel, bias, batch["identity"], count, config.sub_centers)
        if config.sample_rate == 1.0:
            return every
        sampled = sampled_per_group(config, count)
        return sampled_columns(every, batch["valid"], config, sampled, _needed("a key", key))

    def _class_terms(
        self, names: Container[str], embedding: Array, columns: Columns, where: Array
    ) -> dict[str, Array]:
        kernel, identities = columns.kernel, columns.identities
        options = {"where": where, "where_classes": columns.classes}
        values = {}
        if "identity" in names:
            logits = linear_scores(embedding, kernel, columns.bias, where=where)
            values["identity"] = LINEAR_TERM(self.loss, logits, identities, **options)
        asked = [name for name in COSINE_TERMS if name in names]
        if asked:
            sub_centers = self.classifier.sub_centers
            cosines = cosine_scores(embedding, kernel, sub_centers=sub_centers, where=where)
            for name in asked:
                values[name] = COSINE_TERMS[name](self.loss, cosines, identities, **options)
        return values


def _weighted_sum(
    values: Mapping[str, Array], weights: Mapping[str, float], scalars: Scalars
) -> tuple[Float[Array, ""], Scalars]:
    total = jnp.zeros_like(scalars["features/norm"])
    for name, value in values.items():
        value = value.astype(total.dtype)  # a custom term may have another
        total += weights[name] * value
        weight = jnp.full_like(value, weights[name])
        scalars |= {f"loss/{name}": value, f"weight/{name}": weight}
    return total, scalars


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
