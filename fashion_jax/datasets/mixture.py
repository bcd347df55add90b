"""Mixtures of datasets: their identities stay apart, their photos share batches.

Each dataset keeps its own plan and a fixed number of places in every batch. With a single dataset,
plan and split are its own.
"""

import fractions
import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Int

from fashion_jax.datasets.dataset import Split
from fashion_jax.datasets.duplicates.decisions import Decision
from fashion_jax.datasets.identity_batches import IdentityBatchPlan
from fashion_jax.datasets.labelled_pairs import ProductPairs, pairs_sha256, product_pairs
from fashion_jax.errors import FashionJaxError


class MixtureSplit(Split):
    """The photos of several splits, one split after the other.

    Identities of later splits are raised by an offset, so that splits share none; categories and
    photo ids may occur in several.
    """

    def __init__(self, splits: Sequence[Split]) -> None:
        """Concatenate splits of the same name, of at least one dataset."""
        self.name = splits[0].name
        offsets = _starts([int(split.identity.max(initial=-1)) + 1 for split in splits])
        self.identity = np.concatenate(
            [split.identity + offset for split, offset in zip(splits, offsets, strict=True)]
        )
        self.domain = np.concatenate([split.domain for split in splits])
        self.category = np.concatenate([split.category for split in splits])
        self.photo_id = np.concatenate([split.photo_id for split in splits])
        self.camera = np.concatenate([split.camera for split in splits])
        self._splits = tuple(splits)
        self._first_rows = _starts([len(split) for split in splits])

    def image_bytes(self, row: int) -> bytes:
        """Read the encoded photo in `row`."""
        part = int(np.searchsorted(self._first_rows, row, side="right")) - 1
        return self._splits[part].image_bytes(row - int(self._first_rows[part]))


class DatasetMixture:
    """Rows of a `MixtureSplit` for every step: a fixed number of identities of each dataset.

    An epoch has as many steps as the longest epoch among the datasets; the others start their next
    epoch when they finish one. So every identity of every dataset appears in every epoch. Like the
    plan of each dataset, the mixture is a pure function of (seed, step).

    Attributes:
        labels: class of each photo in the classifier, 0..C−1, int32 [N]; the datasets' classes
            follow one another.
        num_identities: number of classes C, summed over the datasets.
        steps_per_epoch: batches until every identity of every dataset has been shown.
        quotas: identities of each dataset in a batch.
        pairs_sha256: SHA-256 of the labelled pairs.
        pairs: what labelled pairs say of each dataset's products, by its name.
    """

    def __init__(
        self,
        parts: Mapping[str, Split],
        identities_per_batch: int,
        photos_per_identity: int,
        seed: int,
        weights: Sequence[float] = (),
        balance_domains: bool = False,
        pairs: Sequence[Decision] = (),
    ) -> None:
        """Plan over the training splits of some datasets, by name of the dataset.

        Args:
            parts: training splits, in the order of classes and rows.
            identities_per_batch: P, over all datasets.
            photos_per_identity: K.
            seed: seed of the run.
            weights: share of each dataset in a batch, in any unit; empty for shares by number of
                identities.
            balance_domains: see `IdentityBatchPlan`.
            pairs: pairs of photos that people labelled; see
                `fashion_jax.datasets.labelled_pairs.ProductPairs`.

        Raises:
            FashionJaxError: if a batch has fewer places than datasets, or more places for a
                dataset than it has identities.
        """
        weights = weights or [float(len(np.unique(split.identity))) for split in parts.values()]
        self.quotas = quotas(identities_per_batch, weights)
        self.pairs_sha256 = pairs_sha256(pairs)
        self.pairs = {name: product_pairs(split, pairs) for name, split in parts.items()}
        self._plans = [
            _own_plan(
                name,
                split,
                self.pairs[name],
                quota,
                photos_per_identity,
                _own_seed(seed, number),
                balance_domains,
                len(parts),
            )
            for number, ((name, split), quota) in enumerate(
                zip(parts.items(), self.quotas, strict=True)
            )
        ]
        first_labels = _starts([plan.num_identities for plan in self._plans])
        self.labels = np.concatenate(
            [
                plan.labels + np.int32(first)
                for plan, first in zip(self._plans, first_labels, strict=True)
            ]
        )
        self.num_identities = sum(plan.num_identities for plan in self._plans)
        self.steps_per_epoch = max(plan.steps_per_epoch for plan in self._plans)
        self._first_rows = _starts([len(split) for split in parts.values()])

    def rows(self, step: int) -> Int[np.ndarray, "batch"]:
        """Return the rows of the photos in batch `step`; K consecutive rows share an identity."""
        parts = [
            plan.rows(self._own_step(plan, step)) + first
            for plan, first in zip(self._plans, self._first_rows, strict=True)
        ]
        return np.concatenate(parts)

    def _own_step(self, plan: IdentityBatchPlan, step: int) -> int:
        """Map a step to one of a dataset's own; each epoch begins with one of the dataset's own."""
        epoch, step_in_epoch = divmod(step, self.steps_per_epoch)
        own_epochs = -(-self.steps_per_epoch // plan.steps_per_epoch)
        return epoch * own_epochs * plan.steps_per_epoch + step_in_epoch


def quotas(places: int, weights: Sequence[float]) -> tuple[int, ...]:
    """Divide places by weight with the largest remainder method, at least one each.

    A weight due less than one place gets one; the others share the rest.

    Args:
        places: number of places, at least as many as weights.
        weights: positive numbers.

    Returns:
        Whole numbers, at least 1 each, with the sum `places`; of equal remainders, the earlier
        one is rounded up.

    Raises:
        FashionJaxError: if there are fewer places than weights.

    Examples:
        >>> quotas(16, [2.0, 1.0])
        (11, 5)
        >>> quotas(8, [98.0, 1.0, 1.0])
        (6, 1, 1)
    """
    if places < len(weights):
        raise FashionJaxError(
            f"a batch of {places} identities cannot hold one of each of {len(weights)} datasets; "
            "raise data.identities_per_batch"
        )
    due = _due([fractions.Fraction(str(weight)) for weight in weights], places)
    given = [math.floor(share) for share in due]
    by_remainder = sorted(range(len(due)), key=lambda number: given[number] - due[number])
    for number in by_remainder[: places - sum(given)]:
        given[number] += 1
    return tuple(given)


def _due(weights: list[fractions.Fraction], places: int) -> list[fractions.Fraction]:
    """Compute exact shares of the places, none below 1."""
    small: set[int] = set()
    while True:
        rest = sum(weight for number, weight in enumerate(weights) if number not in small)
        due = [
            fractions.Fraction(1) if number in small else weight * (places - len(small)) / rest
            for number, weight in enumerate(weights)
        ]
        below = {number for number, share in enumerate(due) if share < 1}
        if not below:
            return due
        small |= below


def _own_plan(
    name: str,
    split: Split,
    pairs: ProductPairs,
    quota: int,
    photos_per_identity: int,
    seed: int,
    balance_domains: bool,
    datasets: int,
) -> IdentityBatchPlan:
    try:
        return IdentityBatchPlan(
            pairs.identity,
            split.domain,
            quota,
            photos_per_identity,
            seed,
            balance_domains,
            pairs.different,
        )
    except FashionJaxError as error:
        if datasets == 1:
            raise
        raise FashionJaxError(f"{name}: {error}, or its weight in data.dataset_weights") from error


def _own_seed(seed: int, number: int) -> int:
    """Give the first dataset the run's seed, as if it were alone; derive the others'."""
    if number == 0:
        return seed
    return int(np.random.SeedSequence((seed, number)).generate_state(1, np.uint64)[0])


def _starts(lengths: Sequence[int]) -> list[int]:
    """Compute the start of each part of a concatenation."""
    return [0, *itertools.accumulate(lengths[:-1])]
