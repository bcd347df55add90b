"""Which photo of Street2Shop goes into which split."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence

from fashion_jax.datasets.building.photo_folder import PhotoFolder
from fashion_jax.datasets.building.plan import Identity, Item, choose_validation, in_order
from fashion_jax.datasets.records import Domain

from .layout import photo_name
from .lists import Row

Rows = Mapping[str, Mapping[str, list[Row]]]


@dataclasses.dataclass(frozen=True)
class Division:
    """Items by split, and what was wrong with the lists.

    Attributes:
        splits: items by split, in the order of records.
        problems: by kind: `identity_in_train_and_test`, `repeated_row`.
        listed: `shop_photos`, `street_photos` and `pairs` in the lists, each counted once. A pair
            is a row of the pairs' lists: a street photo and a product that is on it. The paper
            counts "clothing item matches between street and shop photos" without saying how.
        found: the same, of photos that are there; a pair also needs a shop photo of its product.
    """

    splits: dict[str, list[Item]]
    problems: dict[str, list[str]]
    listed: dict[str, int]
    found: dict[str, int]


def divide(rows: Rows, photos: PhotoFolder, fraction: float, seed: int) -> Division:
    """Divides all rows into splits.

    Training products are those of the training pairs; a product that the test pairs ask for as
    well is left to the test. Shop photos of every other product are the gallery.

    Args:
        rows: by role and category.
        photos: only products with a street and a shop photo in there can be validation identities.
        fraction: of such identities, taken for validation.
        seed: of that choice.
    """
    repeated: list[str] = []
    street = list(_items(rows["train_pairs"], Domain.STREET, repeated))
    query = list(_items(rows["test_pairs"], Domain.STREET, repeated))
    shop = list(_items(rows["retrieval"], Domain.SHOP, repeated))
    asked = {item.identity for item in query}
    train = {item.identity for item in street}
    leaks = train & asked
    train -= leaks
    pairs = _present(street, photos) & _present(shop, photos) & train
    validation = choose_validation(pairs, fraction, seed)
    train -= validation
    splits = {
        "train": _of(street, train) + _of(shop, train),
        "query": query,
        "gallery": [item for item in shop if item.identity not in train | validation],
        "val_query": _of(street, validation),
        "val_gallery": _of(shop, validation),
    }
    problems = {
        "identity_in_train_and_test": ["/".join(identity) for identity in leaks],
        "repeated_row": repeated,
    }
    asking = [*street, *query]
    return Division(
        splits={name: in_order(items) for name, items in splits.items()},
        problems=problems,
        listed=_sizes(shop, asking),
        found=_sizes_found(shop, asking, photos),
    )


def _sizes(shop: Iterable[Item], pairs: Sequence[Item]) -> dict[str, int]:
    """Photos and pairs, those that are in several lists once."""
    return {
        "shop_photos": len({item.photo_id for item in shop}),
        "street_photos": len({item.photo_id for item in pairs}),
        "pairs": len({(item.photo_id, item.identity) for item in pairs}),
    }


def _sizes_found(
    shop: Iterable[Item], pairs: Iterable[Item], photos: PhotoFolder
) -> dict[str, int]:
    shop = [item for item in shop if item.photo_id in photos]
    street = [item for item in pairs if item.photo_id in photos]
    sold = {item.identity for item in shop}
    both = [item for item in street if item.identity in sold]
    return {**_sizes(shop, street), "pairs": _sizes(shop, both)["pairs"]}


def _items(rows: Mapping[str, list[Row]], domain: Domain, repeated: list[str]) -> Iterator[Item]:
    """Items of all categories; a photo counts once for a product, with its first box."""
    for category, of_category in rows.items():
        seen: set[tuple[int, int]] = set()
        for row in of_category:
            if (row.photo, row.product) in seen:
                repeated.append(photo_name(row.photo))
                continue
            seen.add((row.photo, row.product))
            yield Item(
                photo_id=photo_name(row.photo),
                category=category,
                identity=(category, str(row.product)),
                domain=domain,
                box=row.box,
                box_defect=row.box_defect,
            )


def _present(items: Iterable[Item], photos: PhotoFolder) -> set[Identity]:
    return {item.identity for item in items if item.photo_id in photos}


def _of(items: Iterable[Item], identities: set[Identity]) -> list[Item]:
    return [item for item in items if item.identity in identities]
