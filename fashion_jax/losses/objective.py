"""The weighted sum of losses that a network is trained on, and what to log about it."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int, Key

from fashion_jax.config import ClassifierConfig, LossConfig, MiningConfig
from fashion_jax.losses.center import center, center_gradient
from fashion_jax.losses.class_columns import (
    Columns,
    all_columns,
    num_classes,
    sampled_columns,
    sampled_per_group,
)
from fashion_jax.losses.class_terms import any_class_term, class_terms
from fashion_jax.losses.diagnostics import Scalars, diagnostics
from fashion_jax.losses.memory import empty_memory, remember
from fashion_jax.losses.pair_terms import PAIR_TERMS, Photos
from fashion_jax.losses.pairs import Context, Memory

LossState = dict[str, Any]
Needed = TypeVar("Needed")


class Outputs(NamedTuple):
    """What the network made of a batch.

    Attributes:
        features: before the neck, for losses over pairs.
        embedding: after the neck (and dropout), for losses over classes.
    """

    features: Float[Array, "batch features"]
    embedding: Float[Array, "batch embedding"]


class Labels(NamedTuple):
    """What is known about a batch.

    Attributes:
        identities: dense training labels.
        domains: street (0) or shop (1).
        valid: rows that are not padding.
    """

    identities: Int[Array, " batch"]
    domains: Int[Array, " batch"]
    valid: Bool[Array, " batch"]


@dataclasses.dataclass(frozen=True)
class Objective:
    """Any sum of losses, each with its weight; a weight of 0 leaves a term out altogether.

    Attributes:
        loss: weights and settings.
        mining: which pairs count.
        classifier: of the columns that the losses over classes compare with.
        num_identities: training identities; 0 if no term needs to know.
    """

    loss: LossConfig
    mining: MiningConfig = dataclasses.field(default_factory=MiningConfig)
    classifier: ClassifierConfig = dataclasses.field(default_factory=ClassifierConfig)
    num_identities: int = 0

    def initial_state(
        self, key: Key[Array, ""], batch: int, width: int, dtype: DTypeLike = jnp.float32
    ) -> LossState:
        """What the losses keep from step to step: `centers`, drawn from N(0, 1), and `memory`.

        Args:
            key: to draw from.
            batch: photos of a step.
            width: of a feature before the neck.
            dtype: of both.
        """
        state: LossState = {}
        if self.loss.center_weight:
            shape = num_classes(self.classifier, self.num_identities), width
            state["centers"] = jax.random.normal(key, shape, dtype)
        if self.mining.memory_batches:
            slots = self.mining.memory_batches * batch
            state["memory"] = empty_memory(slots, width, dtype)._asdict()
        return state

    def __call__(
        self,
        outputs: Outputs,
        labels: Labels,
        classifier: Mapping[str, Array] | None = None,
        state: LossState | None = None,
        key: Key[Array, ""] | None = None,
    ) -> tuple[Float[Array, ""], Scalars]:
        """Computes the total and what to log.

        No gradient reaches the centers: they follow `center_gradient`, which is not weighted.

        Args:
            outputs: of the network.
            labels: of the batch.
            classifier: its `kernel` and, if it has one, `bias`; for losses over classes.
            state: from `initial_state`.
            key: to draw classes from, if only a share of them is looked at.

        Returns:
            The weighted sum, and scalars: `loss/<term>` (unweighted) and `weight/<term>` of each
            term, `loss/total`, `features/norm`, and `pairs/positive_distance` and
            `pairs/negative_distance`, means over all pairs; with a triplet or quadruplet term
            `triplet/positive_distance` and `triplet/negative_distance`, means over the hardest
            pairs, and `triplet/active_fraction`, of anchors with d(a, p) + margin > d(a, n), the
            soft margin counting as 0.

        Raises:
            ValueError: if a term lacks what it needs.
        """
        photos = self._photos(outputs.features, labels, state)
        values = {
            name: term(self.loss, photos)
            for name, term in PAIR_TERMS.items()
            if getattr(self.loss, f"{name}_weight")
        }
        if any_class_term(self.loss):
            columns = self._columns(_needed("the classifier", classifier), labels, key)
            sub_centers = self.classifier.sub_centers
            embedding, valid = outputs.embedding, labels.valid
            values |= class_terms(self.loss, embedding, columns, valid, sub_centers)
        if self.loss.center_weight:
            centers = jax.lax.stop_gradient(_needed("centers", (state or {}).get("centers")))
            values["center"] = center(outputs.features, labels.identities, centers, labels.valid)
        scalars = diagnostics(photos, self.loss)
        total = jnp.zeros_like(scalars["features/norm"])
        for name, value in values.items():
            weight = getattr(self.loss, f"{name}_weight")
            total += weight * value
            scalars |= {f"loss/{name}": value, f"weight/{name}": jnp.full_like(value, weight)}
        return total, scalars | {"loss/total": total}

    def next_state(
        self,
        state: LossState,
        features: Float[Array, "batch features"],
        labels: Labels,
        step: Int[Array, ""],
        center_learning_rate: float,
    ) -> LossState:
        """The state after a step: centers a step of SGD further, the batch in the memory.

        Args:
            state: before the step.
            features: of the batch, before the neck.
            labels: of the batch.
            step: steps done before this one.
            center_learning_rate: of the centers, on the unweighted gradient.
        """
        following = dict(state)
        if "centers" in state:
            centers = state["centers"]
            pull = center_gradient(features, labels.identities, centers, labels.valid)
            following["centers"] = centers - center_learning_rate * pull.astype(centers.dtype)
        if "memory" in state:
            begun = labels.valid & (step >= self.mining.memory_start_step)
            memory = Memory(**state["memory"])
            fresh = remember(memory, features, labels.identities, labels.domains, begun)
            following["memory"] = fresh._asdict()
        return following

    def _photos(
        self, features: Float[Array, "batch features"], labels: Labels, state: LossState | None
    ) -> Photos:
        memory = None
        if self.mining.memory_batches:
            memory = Memory(**_needed("a memory", (state or {}).get("memory")))
        context = Context(labels.domains, memory, self.mining)
        return Photos(features, labels.identities, labels.valid, context)

    def _columns(
        self, classifier: Mapping[str, Array], labels: Labels, key: Key[Array, ""] | None
    ) -> Columns:
        kernel, bias = classifier["kernel"], classifier.get("bias")
        config, identities = self.classifier, self.num_identities
        count = identities or kernel.shape[1] // config.sub_centers
        every = all_columns(kernel, bias, labels.identities, count, config.sub_centers)
        if config.sample_rate == 1.0:
            return every
        sampled = sampled_per_group(config, count)
        return sampled_columns(every, labels.valid, config, sampled, _needed("a key", key))


def _needed(name: str, value: Needed | None) -> Needed:
    if value is None:
        raise ValueError(f"a term of the objective needs {name}; there is none")
    return value
