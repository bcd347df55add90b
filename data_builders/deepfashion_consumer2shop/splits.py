"""Splits of Consumer-to-Shop's photos."""

import collections
from collections.abc import Iterable, Mapping, Sequence

from fashion_jax.datasets.boxes import Box
from fashion_jax.datasets.building.plan import (
    BuildPlan,
    Identity,
    PhotoSource,
    PlannedItem,
    choose_validation,
    in_order,
)
from fashion_jax.datasets.building.tally import WITHOUT_BOX
from fashion_jax.datasets.records import Domain

from .lists import CornersRow, Pair, category_of

# An item with several statuses gets the first of these that it has.
_PRECEDENCE = ("test", "val", "train")


def corners_box(corners: Sequence[float]) -> Box:
    """Read x_1, y_1, x_2, y_2 as the authors mean them: two corners."""
    x_1, y_1, x_2, y_2 = corners
    return Box(x_1, y_1, x_2 - x_1, y_2 - y_1)


def xywh_box(corners: Sequence[float]) -> Box:
    """Read x_1, y_1, x_2, y_2 as a widely copied converter does: corner, width and height."""
    return Box(*corners)


READINGS = {"corners": corners_box, "xywh": xywh_box}
"""Values of the option `box_reading`."""


def plan_build(
    rows: Sequence[CornersRow],
    pairs: Sequence[Pair],
    box_reading: str,
    photos: PhotoSource,
    fraction: float,
    seed: int,
) -> BuildPlan:
    """Plan the records of the photos of all pairs.

    An item with several statuses is left to the test (then to validation): its pairs of another
    status are ignored. If the lists name no item for validation, a fraction of the training items
    is taken.

    Args:
        rows: boxes.
        pairs: pairs of a consumer's and a shop's photo of one item, with its status.
        box_reading: a key of `READINGS`.
        photos: source of the photos; only items with an existing consumer's and shop's photo can
            be chosen for validation.
        fraction: fraction of such training items to take if the lists name none.
        seed: seed of the choice.
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
    listed = {photo for pair in pairs for photo in (pair.consumer, pair.shop)}
    return BuildPlan(
        splits={name: in_order(items) for name, items in splits.items()},
        photos=photos,
        categories=sorted({item.category for items in splits.values() for item in items}),
        problems=_problems(rows, pairs, statuses),
        listed={
            "photos": len(listed | {row.photo for row in rows}),
            "items": len({pair.item for pair in pairs}),
        },
    )


def _statuses(pairs: Iterable[Pair]) -> dict[str, set[str]]:
    statuses: dict[str, set[str]] = collections.defaultdict(set)
    for pair in pairs:
        statuses[pair.item].add(pair.status)
    return statuses


def _is(pair: Pair, status: str, statuses: Mapping[str, set[str]]) -> bool:
    """Whether both the pair and its item have a status."""
    first = next(each for each in _PRECEDENCE if each in statuses[pair.item])
    return pair.status == status == first


def _items(pairs: Iterable[Pair], boxes: Mapping[str, Box]) -> list[PlannedItem]:
    """Make the items of pairs, each photo of an item once."""
    named: dict[tuple[str, str], Domain] = {}
    for pair in pairs:
        named.setdefault((pair.consumer, pair.item), Domain.STREET)
        named.setdefault((pair.shop, pair.item), Domain.SHOP)
    return [
        PlannedItem(
            photo_id=photo,
            category=category_of(photo),
            identity=(item,),
            domain=domain,
            box=boxes.get(photo),
            box_defect=None if photo in boxes else WITHOUT_BOX,
        )
        for (photo, item), domain in named.items()
    ]


def _paired(items: Iterable[PlannedItem], photos: PhotoSource) -> set[Identity]:
    """Find the identities with a consumer's and a shop's photo."""
    found = [item for item in items if item.photo_id in photos]
    street = {item.identity for item in _of(found, Domain.STREET)}
    return street & {item.identity for item in _of(found, Domain.SHOP)}


def _of(items: Iterable[PlannedItem], domain: Domain) -> list[PlannedItem]:
    return [item for item in items if item.domain == domain]


def _problems(
    rows: Sequence[CornersRow], pairs: Sequence[Pair], statuses: Mapping[str, set[str]]
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
