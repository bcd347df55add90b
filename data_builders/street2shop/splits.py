"""Splits of Street2Shop's photos."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from fashion_jax.datasets.building.plan import (
    BuildPlan,
    Identity,
    PlannedItem,
    choose_validation,
    in_order,
)
from fashion_jax.datasets.building.raw_copy import PhotoFolder
from fashion_jax.datasets.records import Domain

from .layout import photo_name
from .lists import ListRow

Rows = Mapping[str, Mapping[str, list[ListRow]]]


def plan_build(rows: Rows, photos: PhotoFolder, fraction: float, seed: int) -> BuildPlan:
    """Plan the records of all rows.

    Training products are those of the training pairs; a product that is also in the test pairs is
    left to the test. Shop photos of every other product are the gallery.

    The plan's sizes are `shop_photos`, `street_photos` and `pairs`, each counted once. A pair is a
    row of the pairs' lists: a street photo and a product on it. The paper counts "clothing item
    matches between street and shop photos" without saying how. A found pair also has a shop photo
    of its product.

    Args:
        rows: rows by role and category.
        photos: existing photos; only products with a street and a shop photo among them can become
            validation identities.
        fraction: fraction of such identities to take for validation.
        seed: seed of the choice.
    """
    repeated: list[str] = []
    street = list(_items(rows["train_pairs"], Domain.STREET, repeated))
    query = list(_items(rows["test_pairs"], Domain.STREET, repeated))
    shop = list(_items(rows["retrieval"], Domain.SHOP, repeated))
    train = {item.identity for item in street}
    leaks = train & {item.identity for item in query}
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
        "duplicate_file": photos.duplicates,
    }
    return BuildPlan(
        splits={name: in_order(items) for name, items in splits.items()},
        photos=photos,
        categories=list(rows["retrieval"]),
        problems=problems,
        listed=_sizes(shop, [*street, *query]),
        found=_sizes_found(shop, [*street, *query], photos),
    )


def _sizes(shop: Iterable[PlannedItem], pairs: Sequence[PlannedItem]) -> dict[str, int]:
    """Count photos and pairs; those in several lists count once."""
    return {
        "shop_photos": len({item.photo_id for item in shop}),
        "street_photos": len({item.photo_id for item in pairs}),
        "pairs": len({(item.photo_id, item.identity) for item in pairs}),
    }


def _sizes_found(
    shop: Iterable[PlannedItem], pairs: Iterable[PlannedItem], photos: PhotoFolder
) -> dict[str, int]:
    shop = [item for item in shop if item.photo_id in photos]
    street = [item for item in pairs if item.photo_id in photos]
    sold = {item.identity for item in shop}
    both = [item for item in street if item.identity in sold]
    return {**_sizes(shop, street), "pairs": _sizes(shop, both)["pairs"]}


def _items(
    rows: Mapping[str, list[ListRow]], domain: Domain, repeated: list[str]
) -> Iterator[PlannedItem]:
    """Make the items of all categories; a photo counts once per product, with its first box."""
    for category, of_category in rows.items():
        seen: set[tuple[int, int]] = set()
        for row in of_category:
            if (row.photo, row.product) in seen:
                repeated.append(photo_name(row.photo))
                continue
            seen.add((row.photo, row.product))
            yield PlannedItem(
                photo_id=photo_name(row.photo),
                category=category,
                identity=(category, str(row.product)),
                domain=domain,
                box=row.box,
                box_defect=row.box_defect,
            )


def _present(items: Iterable[PlannedItem], photos: PhotoFolder) -> set[Identity]:
    return {item.identity for item in items if item.photo_id in photos}


def _of(items: Iterable[PlannedItem], identities: set[Identity]) -> list[PlannedItem]:
    return [item for item in items if item.identity in identities]
