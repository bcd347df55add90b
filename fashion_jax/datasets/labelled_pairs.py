"""Pairs of photos that people labelled, as products of a split."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from fashion_jax.datasets.dataset import Split
from fashion_jax.datasets.duplicates.decisions import SAME, Decision
from fashion_jax.strict_json import digest


@dataclasses.dataclass(frozen=True)
class ProductPairs:
    """What labelled pairs say of the products of a split.

    Attributes:
        identity: product on each photo; products with a pair of `same` photos are one, [N].
        different: pairs of these products with `different` photos, each pair once, [M, 2].
        joined: number of products that were joined to another one.
        contradicted: pairs labelled `different` of what is one product here.
        unknown: pairs with a photo that is not in the split, or that shows several products.
    """

    identity: Int[np.ndarray, " photos"]
    different: Int[np.ndarray, "pairs two"]
    joined: int
    contradicted: Sequence[Decision]
    unknown: int

    def __str__(self) -> str:
        said = (
            f"{self.joined:,} products joined to others, {len(self.different):,} pairs of products "
            f"told apart, {self.unknown:,} pairs not of these photos"
        )
        if self.contradicted:
            first = self.contradicted[0]
            said += (
                f"; {len(self.contradicted):,} pairs are labelled different and have the same "
                f"product, such as {first.first} and {first.second}"
            )
        return said


def pairs_sha256(pairs: Sequence[Decision]) -> str:
    """SHA-256 of labelled pairs, whatever their order and comments."""
    return digest(sorted([*sorted(pair.pair), pair.decision] for pair in pairs))


def product_pairs(split: Split, pairs: Sequence[Decision]) -> ProductPairs:
    """Find out what labelled pairs say of the products of a split.

    Args:
        split: the split.
        pairs: pairs of photos, labelled `same` or `different`.
    """
    products, labels = np.unique(split.identity, return_inverse=True)
    label_of = _label_of(split, labels)
    known = [each for each in pairs if each.first in label_of and each.second in label_of]
    ends = np.array(
        [(label_of[each.first], label_of[each.second]) for each in known], np.int64
    ).reshape(-1, 2)
    same = np.array([each.decision == SAME for each in known], bool)
    links = coo_array((np.ones(same.sum()), tuple(ends[same].T)), (len(products),) * 2)
    groups, group = connected_components(links, directed=False)
    ends = np.sort(group[ends], axis=1)
    apart = ~same & (ends[:, 0] != ends[:, 1])
    names = products[np.unique(group, return_index=True)[1]]  # the smallest of each group
    return ProductPairs(
        identity=names[group][labels],
        different=names[np.unique(ends[apart], axis=0)],
        joined=len(products) - groups,
        contradicted=[known[row] for row in np.flatnonzero(~same & ~apart)],
        unknown=len(pairs) - len(known),
    )


def _label_of(split: Split, labels: Int[np.ndarray, " photos"]) -> dict[str, int]:
    """The product of each photo that shows one."""
    found: dict[str, int] = {}
    several = set[str]()
    for name, label in zip(split.photo_id.tolist(), labels.tolist(), strict=True):
        if found.setdefault(name, label) != label:
            several.add(name)
    return {name: label for name, label in found.items() if name not in several}
