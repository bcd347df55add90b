"""The P×K plan: which photos make up each training batch.

A batch holds K photos of each of P identities. An epoch shows every identity: those with many
photos in several groups of K, those with fewer than K photos with some of them repeated. The plan
is a pure function of (seed, step) and nothing is stored between batches.
"""

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int, Shaped

from fashion_jax.errors import FashionJaxError

# First elements of random seeds: what the numbers are drawn for.
_EPOCH, _FILLER, _PHOTOS = 0, 1, 2


@runtime_checkable
class BatchPlan(Protocol):
    """What a loader asks of a plan, be it over one dataset or several.

    Attributes:
        labels: int32 [N], each photo's identity as a class of the classifier.
    """

    labels: Int[np.ndarray, "photos"]

    def rows(self, step: int) -> Int[np.ndarray, "batch"]:
        """Rows of the photos in batch `step`."""
        ...


class IdentityBatchPlan:
    """Rows of a training split for every step.

    An identity with n photos has max(1, n // K) groups of K in an epoch, at most one in a batch.
    Its groups go through its photos in a random order, one taking up where the last one stopped,
    so that they share none, but for the one photo that may be moved up to show the other domain:
    each group shows both domains where the identity has both.

    With balanced domains the identities of each batch stay the same and only their photos differ.
    A group then shows K // 2 photos of the domain that has fewer, or all of them if there are not
    so many, and fills up with the other domain; of equal domains, chance says which one counts as
    the one with fewer, anew in each epoch. Groups go through each domain on its own: none shows
    a photo again before the others of its domain were shown. The domain with fewer photos may
    come round several times in an epoch, which leaves out photos of the other until a later one.

    Attributes:
        labels: int32 [N], each photo's identity as a class 0..C−1 of the classifier.
        num_identities: C.
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
    ) -> None:
        """Plans over photos with these identities and domains.

        Args:
            identity: [N], any whole numbers.
            domain: [N], street or shop.
            identities_per_batch: P.
            photos_per_identity: K; of 1 there are no halves, and `balance_domains` changes nothing.
            seed: of the run.
            balance_domains: whether half of an identity's K photos are from the street and half
                from the shop.

        Raises:
            FashionJaxError: if there are fewer identities than a batch needs.
        """
        self._domain = domain
        self._identities_per_batch = identities_per_batch
        self._photos_per_identity = photos_per_identity
        self._seed = seed
        # A single photo would always be of the domain with more, and the others never be shown.
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
        self._groups, self.steps_per_epoch = _groups_and_steps(
            np.maximum(1, counts // photos_per_identity), identities_per_batch
        )
        nothing = np.zeros(0, np.int64)
        self._last_shuffled = -1, (nothing, nothing, nothing)

    def rows(self, step: int) -> Int[np.ndarray, "batch"]:
        """Rows of the photos in batch `step`; K neighbouring rows share an identity."""
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
        """The P distinct identities of a batch, and which of their groups of photos it shows."""
        labels, groups, steps = self._shuffled(epoch)
        # An identity's groups are neighbours in the list and the list is dealt out to the steps
        # like cards, so that no step gets two of them.
        dealt = np.arange(steps[step_in_epoch], len(labels), self.steps_per_epoch)
        labels, groups = labels[dealt], groups[dealt]
        missing = self._identities_per_batch - len(labels)
        if missing == 0:
            return labels, groups
        rng = np.random.default_rng((_FILLER, self._seed, epoch, step_in_epoch))
        others = np.setdiff1d(np.arange(self.num_identities), labels)
        fillers = rng.choice(others, missing, replace=False)
        return np.append(labels, fillers), np.append(groups, self._groups[fillers])

    def _shuffled(self, epoch: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """An epoch's groups in random order (identity, number of the group); order of its steps."""
        cached_epoch, shuffled = self._last_shuffled
        if cached_epoch == epoch:
            return shuffled
        rng = np.random.default_rng((_EPOCH, self._seed, epoch))
        identities = rng.permutation(self.num_identities)
        counts = self._groups[identities]
        labels = np.repeat(identities, counts)
        numbers = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
        shuffled = labels, numbers, rng.permutation(self.steps_per_epoch)
        self._last_shuffled = epoch, shuffled  # one assignment: readers in threads see old or new
        return shuffled

    def _photos(self, epoch: int, label: int, group: int) -> Int[np.ndarray, "photos"]:
        """K photos of an identity: both domains where it has both, repeats only if it must."""
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


def _groups_and_steps(
    groups: Int[np.ndarray, "identities"], identities_per_batch: int
) -> tuple[Int[np.ndarray, "identities"], int]:
    """Groups of each identity in an epoch, none with more groups than there are batches."""
    steps = -(-int(groups.sum()) // identities_per_batch)
    while groups.max() > steps:
        groups = np.minimum(groups, steps)
        steps = -(-int(groups.sum()) // identities_per_batch)
    return groups, steps


def _some_of_both_domains(
    rows: Int[np.ndarray, "photos"], domain: Shaped[np.ndarray, "photos"], group: int, wanted: int
) -> Int[np.ndarray, "chosen"]:
    """The group's stretch of the rows, at most `wanted`, with both domains if there are two."""
    shift = -group * wanted
    return _both_domains_first(np.roll(rows, shift), np.roll(domain, shift))[:wanted]


def _half_of_each_domain(
    rows: Int[np.ndarray, "photos"], domain: Shaped[np.ndarray, "photos"], group: int, wanted: int
) -> Int[np.ndarray, "chosen"]:
    """The group's stretch of each domain's rows, half of `wanted` each as far as there are any."""
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
    """The same rows with the first photo of another domain than the first one's moved up."""
    other = np.flatnonzero(domain != domain[0])
    if len(other) == 0:
        return rows
    return np.concatenate([rows[:1], rows[other[:1]], np.delete(rows, [0, other[0]])])
