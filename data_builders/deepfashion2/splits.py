"""Splits of DeepFashion2's items."""

import collections
from collections.abc import Container, Iterable

from fashion_jax.datasets.building.plan import Identity, PlannedItem, choose_validation, in_order
from fashion_jax.datasets.records import Domain

from .annotations import Annotation, Garment
from .layout import TRAIN, VALIDATION


class GarmentCollector:
    """Collector of the items of all photos; annotations are not kept.

    Attributes:
        street: items on customers' photos with a partner somewhere (style > 0), by set.
        shop: items on shops' photos, by set; from the training set only those with a partner.
        problems: names of defects, by kind.
    """

    def __init__(self) -> None:
        self.street: dict[str, list[PlannedItem]] = {TRAIN: [], VALIDATION: []}
        self.shop: dict[str, list[PlannedItem]] = {TRAIN: [], VALIDATION: []}
        self.problems: dict[str, list[str]] = collections.defaultdict(list)
        self._category_of: dict[Identity, str] = {}
        self._identities: dict[Identity, Identity] = {}

    def add(self, part: str, annotation: Annotation) -> None:
        """Add the items of a photo that are used in their set."""
        if not annotation.garments:
            self.problems["photo_without_items"].append(annotation.photo_id)
        of_street = annotation.domain is Domain.STREET
        items = self.street[part] if of_street else self.shop[part]
        for garment in annotation.garments:
            if garment.wrong_id:
                name = f"{annotation.photo_id}/{garment.name}"
                self.problems["category_id_differs_from_name"].append(name)
            if garment.style > 0 or (part == VALIDATION and not of_street):
                items.append(self._item(part, annotation, garment))

    def _item(self, part: str, annotation: Annotation, garment: Garment) -> PlannedItem:
        identity = self._identity(part, annotation, garment)
        category = garment.category.replace(" ", "_")
        if self._category_of.setdefault(identity, category) != category:
            self.problems["identity_in_several_categories"].append("/".join(identity))
        return PlannedItem(annotation.photo_id, category, identity, annotation.domain, garment.box)

    def _identity(self, part: str, annotation: Annotation, garment: Garment) -> Identity:
        """Name the product: (set, pair, style), or a separate identity without a style.

        Pairs are numbered from 1 in each set: the same number in another set is another product.
        """
        if garment.style == 0:
            return (annotation.photo_id, garment.name)
        identity = (part, str(annotation.pair_id), str(garment.style))
        return self._identities.setdefault(identity, identity)


def assign_splits(
    garments: GarmentCollector, photos: Container[str], fraction: float, seed: int
) -> dict[str, list[PlannedItem]]:
    """Assign all items to splits.

    Args:
        garments: items of all photos.
        photos: existing photos; only products with a street and a shop photo among them can become
            validation identities.
        fraction: fraction of such identities to take for validation.
        seed: seed of the choice.

    Returns:
        Items by split, in the order of records.
    """
    street, shop = garments.street[TRAIN], garments.shop[TRAIN]
    pairs = _present(street, photos) & _present(shop, photos)
    validation = choose_validation(pairs, fraction, seed)
    splits = {
        "train": [item for item in (*street, *shop) if item.identity not in validation],
        "query": garments.street[VALIDATION],
        "gallery": garments.shop[VALIDATION],
        "val_query": [item for item in street if item.identity in validation],
        "val_gallery": [item for item in shop if item.identity in validation],
    }
    return {name: in_order(items) for name, items in splits.items()}


def _present(items: Iterable[PlannedItem], photos: Container[str]) -> set[Identity]:
    return {item.identity for item in items if item.photo_id in photos}
