"""Validation queries of datasets whose photos are all of one domain."""

import collections
import hashlib
from collections.abc import Callable, Container, Hashable, Iterable

from fashion_jax.datasets.building.plan import Item


def pick_queries(
    items: Iterable[Item], group: Callable[[Item], Hashable], photos: Container[str], seed: int
) -> tuple[list[Item], list[Item]]:
    """Takes one item of each group as a query, by a seeded hash of its photo's name.

    Args:
        items: of the validation identities.
        group: what an item is grouped by, such as its identity.
        photos: those that are there; another one is taken only where a group has none of them.
        seed: another seed picks others.

    Returns:
        The queries, and all other items.
    """
    groups: dict[Hashable, list[Item]] = collections.defaultdict(list)
    for item in items:
        groups[group(item)].append(item)
    queries: list[Item] = []
    others: list[Item] = []
    for members in groups.values():
        query = min(members, key=lambda item: (item.photo_id not in photos, _hash(seed, item)))
        queries.append(query)
        others.extend(item for item in members if item is not query)
    return queries, others


def _hash(seed: int, item: Item) -> bytes:
    return hashlib.sha256(repr((seed, item.photo_id)).encode()).digest()
