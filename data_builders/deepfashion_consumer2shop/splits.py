"""Which photo of Consumer-to-Shop goes into which split."""

import collections
import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from fashion_jax.datasets.boxes import Box
from fashion_jax.datasets.building.plan import (
    Identity,
    Item,
    PhotoSource,
    choose_validation,
    in_order,
)
from fashion_jax.datasets.building.tally import WITHOUT_BOX
from fashion_jax.datasets.records import Domain

from .lists import BoxRow, Pair, category_of

# An item with several statuses gets the first of these that it has.
_PRECEDENCE = ("test", "val", "train")


@dataclasses.dataclass(frozen=True)
class Division:
    """Items by split, and what was wrong with the lists.

    Attributes:
        splits: items by split, in the order of records.
        problems: names by kind: `identity_with_several_statuses`, `identity_in_several_categories`,
            `other_domain_in_boxes`, `box_without_pair`, `repeated_pair`, `repeated_box`.
    """

    splits: dict[str, list[Item]]
    problems: dict[str, list[str]]


def corners_box(corners: Sequence[float]) -> Box:
    """x_1, y_1, x_2, y_2 as what they are: two corners."""
    x_1, y_1, x_2, y_2 = corners
    return Box(x_1, y_1, x_2 - x_1, y_2 - y_1)


def xywh_box(corners: Sequence[float]) -> Box:
    """x_1, y_1, x_2, y_2 as a widely copied converter takes them: corner, width and height."""
    return Box(*corners)


READINGS = {"corners": corners_box, "xywh": xywh_box}
"""Values of the option `box_reading`."""


def divide(
    rows: Sequence[BoxRow],
    pairs: Sequence[Pair],
    box_reading: str,
    photos: PhotoSource,
    fraction: float,
    seed: int,
) -> Division:
    """Divides the photos of all pairs into splits.

    An item with several statuses is left to the test (then to validation): its rows of another
    status count for nothing. Where no item at all is for validation, a fraction of the training
    items is taken.

    Args:
        rows: boxes.
        pairs: consumer's and shop's photos of one item, with its status.
        box_reading: a key of `READINGS`.
        photos: only items with a consumer's and a shop's photo in there can be chosen for
            validation.
        fraction: of such training items, taken for validation where the lists name none.
        seed: of that choice.
    """
    statuses = _statuses(pairs)
    boxes = {row.photo: READINGS[box_reading](row.corners) for row in reversed(rows)}
    by_status = {
        status: _items([pair for pair in pairs if _is(pair, status, statuses)], boxes)
        for status in _PRECEDENCE
    }
    train, val = by_status["train"], by_status["val"]
    if not val:
        chosen = choose_validation(_paired(train, photos), fraction, seed)
        val = [item for item in train if item.identity in chosen]
        train = [item for item in train if item.identity not in chosen]
    splits = {
        "train": train,
        "query": _of(by_status["test"], Domain.STREET),
        "gallery": _of(by_status["test"], Domain.SHOP),
        "val_query": _of(val, Domain.STREET),
        "val_gallery": _of(val, Domain.SHOP),
    }
    ordered = {name: in_order(items) for name, items in splits.items()}
    return Division(ordered, _problems(rows, pairs, statuses))


def _statuses(pairs: Iterable[Pair]) -> dict[str, set[str]]:
    statuses: dict[str, set[str]] = collections.defaultdict(set)
    for pair in pairs:
        statuses[pair.item].add(pair.status)
    return statuses


def _is(pair: Pair, status: str, statuses: Mapping[str, set[str]]) -> bool:
    """Whether the pair is of this status and so is its item."""
    first = next(each for each in _PRECEDENCE if each in statuses[pair.item])
    return pair.status == status == first


def _items(pairs: Iterable[Pair], boxes: Mapping[str, Box]) -> list[Item]:
    """Each photo of an item once."""
    named: dict[tuple[str, str], Domain] = {}
    for pair in pairs:
        named.setdefault((pair.consumer, pair.item), Domain.STREET)
        named.setdefault((pair.shop, pair.item), Domain.SHOP)
    return [
        Item(
            photo_id=photo,
            category=category_of(photo),
            identity=(item,),
            domain=domain,
            box=boxes.get(photo),
            box_defect=None if photo in boxes else WITHOUT_BOX,
        )
        for (photo, item), domain in named.items()
    ]


def _paired(items: Iterable[Item], photos: PhotoSource) -> set[Identity]:
    """Identities with a consumer's and a shop's photo."""
    found = [item for item in items if item.photo_id in photos]
    street = {item.identity for item in _of(found, Domain.STREET)}
    return street & {item.identity for item in _of(found, Domain.SHOP)}


def _of(items: Iterable[Item], domain: Domain) -> list[Item]:
    return [item for item in items if item.domain == domain]


def _problems(
    rows: Sequence[BoxRow], pairs: Sequence[Pair], statuses: Mapping[str, set[str]]
) -> dict[str, list[str]]:
    domains = {pair.shop: Domain.SHOP for pair in pairs}
    domains |= {pair.consumer: Domain.STREET for pair in pairs}
    categories: dict[str, set[str]] = collections.defaultdict(set)
    for pair in pairs:
        categories[pair.item] |= {category_of(pair.consumer), category_of(pair.shop)}
    return {
        "identity_with_several_statuses": _several(statuses),
        "identity_in_several_categories": _several(categories),
        "other_domain_in_boxes": [
            row.photo for row in rows if domains.get(row.photo, row.domain) != row.domain
        ],
        "box_without_pair": [row.photo for row in rows if row.photo not in domains],
        "repeated_pair": _repeated(
            f"{pair.consumer} {pair.shop} {pair.item} {pair.status}" for pair in pairs
        ),
        "repeated_box": _repeated(row.photo for row in rows),
    }


def _several(values: Mapping[str, set[str]]) -> list[str]:
    return [name for name, found in values.items() if len(found) > 1]


def _repeated(names: Iterable[str]) -> list[str]:
    return [name for name, number in collections.Counter(names).items() if number > 1]
