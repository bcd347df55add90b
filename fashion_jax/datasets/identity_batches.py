"""P×K plan: the photos of each training batch.

A batch holds K photos of each of P identities. An epoch shows every identity: those with many
photos in several groups of K, those with fewer than K photos with some of them repeated. The plan
is a pure function of (seed, step); no state is kept between batches.
"""

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int, Shaped

from fashion_jax.errors import FashionJaxError

# First elements of random seeds: the purpose of the numbers.
_EPOCH, _FILLER, _PHOTOS = 0, 1, 2


@runtime_checkable
class BatchPlan(Protocol):
    """Plan as seen by the loader, over one dataset or several.

    Attributes:
        labels: class of each photo in the classifier, int32 [N].
    """

    labels: Int[np.ndarray, "photos"]

    def rows(self, step: int) -> Int[np.ndarray, "batch"]:
        """Return the rows of the photos in batch `step`."""
        ...


class IdentityBatchPlan:
    """Rows of a training split for every step.

    An identity with n photos has max(1, n // K) groups of K in an epoch, at most one per batch.
    Its groups walk through its photos in random order, each starting where the last one stopped,
    so that they share no photo, except one that may be moved up to show the other domain: each
    group shows both domains if the identity has both.

    Balanced domains keep the identities of each batch and change only their photos. A group then
    shows K // 2 photos of the smaller domain, or all of them if it has fewer, and the rest from
    the other domain; of equal domains, a random one counts as the smaller, drawn again in each
    epoch. Groups walk through each domain separately: a photo repeats only after all others of
    its domain. The smaller domain may come round several times in an epoch, which leaves photos of
    the other one to a later epoch.

    Products that people told apart meet in batches: an eighth of the identities of each batch, at
    least one, are then taken from those that are known to differ from the others of the batch, as
    far as there are any.

    Attributes:
        labels: class of each photo in the classifier, 0..C−1, int32 [N].
        num_identities: number of classes C.
        steps_per_epoch: batches until every identity has been shown.
    """

    def __init__(
        self,
        identity: Int[np.ndarray, "photos"],
        domain: Int[np.ndarray, "photos"],
        identities_per_batch: int,
        photos_per_identity: int,
        seed: int,
        balance_domains: bool = False,
        different: Int[np.ndarray, "pairs two"] | None = None,
    ) -> None:
        """Plan over photos with the given identities and domains.

        Args:
            identity: product on each photo, any whole numbers, [N].
            domain: street or shop, [N].
            identities_per_batch: P.
            photos_per_identity: K; 1 cannot be halved, and `balance_domains` has no effect.
            seed: seed of the run.
            balance_domains: whether half of an identity's K photos come from the street and half
                from the shop.
            different: pairs of identities that people told apart, [M, 2]; by default none.

        Raises:
            FashionJaxError: if the split has fewer identities than a batch.
        """
        self._domain = domain
        self._identities_per_batch = identities_per_batch
        self._photos_per_identity = photos_per_identity
        self._seed = seed
        # A single photo would always come from the larger domain.
        self._balance_domains = balance_domains and photos_per_identity > 1
        unique, labels = np.unique(identity, return_inverse=True)
        self.labels = labels.astype(np.int32)
        self.num_identities = len(unique)
        if self.num_identities < identities_per_batch:
            raise FashionJaxError(
                f"a batch takes {identities_per_batch} identities, but the training split has "
                f"{self.num_identities}; lower data.identities_per_batch"
            )
        counts = np.bincount(self.labels)
        order = np.argsort(self.labels, kind="stable")
        self._rows_of = np.split(order, np.cumsum(counts)[:-1])
        self._told_apart = _partners(unique, different)
        reserved = max(1, identities_per_batch // 8) if self._told_apart else 0
        self._groups, self.steps_per_epoch = _groups_and_steps(
            np.maximum(1, counts // photos_per_identity), max(1, identities_per_batch - reserved)
        )
        nothing = np.zeros(0, np.int64)
        self._last_shuffled = -1, (nothing, nothing, nothing)

    def rows(self, step: int) -> Int[np.ndarray, "batch"]:
        """Return the rows of the photos in batch `step`; K consecutive rows share an identity."""
        epoch, step_in_epoch = divmod(step, self.steps_per_epoch)
        labels, groups = self._batch(epoch, step_in_epoch)
        chosen = [
            self._photos(epoch, int(label), int(group))
            for label, group in zip(labels, groups, strict=True)
        ]
        return np.concatenate(chosen)

    def _batch(
        self, epoch: int, step_in_epoch: int
    ) -> tuple[Int[np.ndarray, "identities"], Int[np.ndarray, "identities"]]:
        """Pick the P distinct identities of a batch, and the group of photos shown of each."""
        labels, groups, steps = self._shuffled(epoch)
        # The groups of an identity are adjacent in the list, and the list is dealt out to the steps
        # like cards: no step gets two of them.
        dealt = np.arange(steps[step_in_epoch], len(labels), self.steps_per_epoch)
        labels, groups = labels[dealt], groups[dealt]
        missing = self._identities_per_batch - len(labels)
        if missing == 0:
            return labels, groups
        rng = np.random.default_rng((_FILLER, self._seed, epoch, step_in_epoch))
        partners = [self._told_apart.get(label, []) for label in labels.tolist()]
        wanted = np.setdiff1d(np.concatenate([[], *partners]).astype(np.int64), labels)
        wanted = rng.permutation(wanted)[:missing]
        others = np.setdiff1d(np.arange(self.num_identities), np.append(labels, wanted))
        others = rng.choice(others, missing - len(wanted), replace=False)
        fillers = np.append(wanted, others)
        return np.append(labels, fillers), np.append(groups, self._groups[fillers])

    def _shuffled(self, epoch: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Shuffle the groups of an epoch (identity, number of the group) and its steps."""
        cached_epoch, shuffled = self._last_shuffled
        if cached_epoch == epoch:
            return shuffled
        rng = np.random.default_rng((_EPOCH, self._seed, epoch))
        identities = rng.permutation(self.num_identities)
        counts = self._groups[identities]
        labels = np.repeat(identities, counts)
        numbers = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
        shuffled = labels, numbers, rng.permutation(self.steps_per_epoch)
        self._last_shuffled = epoch, shuffled  # one assignment: reading threads see old or new
        return shuffled

    def _photos(self, epoch: int, label: int, group: int) -> Int[np.ndarray, "photos"]:
        """Pick K photos of an identity, from both domains if it has both; repeat some if needed."""
        rng = np.random.default_rng((_PHOTOS, self._seed, epoch, label))
        rows = rng.permutation(self._rows_of[label])
        wanted = self._photos_per_identity
        choose = _half_of_each_domain if self._balance_domains else _some_of_both_domains
        chosen = choose(rows, self._domain[rows], group, wanted)
        if len(chosen) < wanted:
            repeats = np.random.default_rng((_PHOTOS, self._seed, epoch, label, group))
            extra = repeats.choice(rows, wanted - len(chosen), replace=wanted > 2 * len(rows))
            chosen = np.append(chosen, extra)
        return chosen


def _partners(
    unique: Int[np.ndarray, "identities"], different: Int[np.ndarray, "pairs two"] | None
) -> dict[int, list[int]]:
    """Labels of the identities that each one was told apart from, by its label."""
    partners: dict[int, list[int]] = {}
    pairs = [] if different is None else np.searchsorted(unique, different).tolist()
    for first, second in pairs:
        partners.setdefault(first, []).append(second)
        partners.setdefault(second, []).append(first)
    return partners


def _groups_and_steps(
    groups: Int[np.ndarray, "identities"], identities_per_batch: int
) -> tuple[Int[np.ndarray, "identities"], int]:
    """Count each identity's groups in an epoch, at most one per batch, and the batches."""
    steps = -(-int(groups.sum()) // identities_per_batch)
    while groups.max() > steps:
        groups = np.minimum(groups, steps)
        steps = -(-int(groups.sum()) // identities_per_batch)
    return groups, steps


def _some_of_both_domains(
    rows: Int[np.ndarray, "photos"], domain: Shaped[np.ndarray, "photos"], group: int, wanted: int
) -> Int[np.ndarray, "chosen"]:
    """Take the group's part of the rows, at most `wanted`, with both domains if possible."""
    shift = -group * wanted
    return _both_domains_first(np.roll(rows, shift), np.roll(domain, shift))[:wanted]


def _half_of_each_domain(
    rows: Int[np.ndarray, "photos"], domain: Shaped[np.ndarray, "photos"], group: int, wanted: int
) -> Int[np.ndarray, "chosen"]:
    """Take the group's part of each domain's rows, half of `wanted` each if there are enough."""
    first = domain == domain[0]
    fewer, more = sorted((rows[first], rows[~first]), key=len)
    of_fewer = min(len(fewer), wanted // 2)
    of_more = min(len(more), wanted - of_fewer)
    return np.concatenate(
        [
            np.roll(fewer, -group * of_fewer)[:of_fewer],
            np.roll(more, -group * of_more)[:of_more],
        ]
    )


def _both_domains_first(
    rows: Int[np.ndarray, "photos"], domain: Shaped[np.ndarray, "photos"]
) -> Int[np.ndarray, "photos"]:
    """Move the first photo of the domain that differs from the first row's to second place."""
    other = np.flatnonzero(domain != domain[0])
    if len(other) == 0:
        return rows
    return np.concatenate([rows[:1], rows[other[:1]], np.delete(rows, [0, other[0]])])
