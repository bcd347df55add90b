"""Which item of DeepFashion2 goes into which split."""

import collections
from collections.abc import Container, Iterable

from fashion_jax.datasets.building.plan import Identity, Item, choose_validation, in_order
from fashion_jax.datasets.records import Domain

from .annotations import Annotation, Garment
from .layout import TRAIN, VALIDATION


class Garments:
    """Items of all photos, as the annotations come in; the annotations are not kept.

    Attributes:
        street: items on customers' photos that have a partner somewhere (style > 0), by set.
        shop: items on shops' photos; of the training set those with a partner, by set.
        problems: names by kind.
    """

    def __init__(self) -> None:
        self.street: dict[str, list[Item]] = {TRAIN: [], VALIDATION: []}
        self.shop: dict[str, list[Item]] = {TRAIN: [], VALIDATION: []}
        self.problems: dict[str, list[str]] = collections.defaultdict(list)
        self._category_of: dict[Identity, str] = {}
        self._identities: dict[Identity, Identity] = {}

    def add(self, part: str, annotation: Annotation) -> None:
        """Takes up a photo's items that have a use in their set."""
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

    def _item(self, part: str, annotation: Annotation, garment: Garment) -> Item:
        identity = self._identity(part, annotation, garment)
        category = garment.category.replace(" ", "_")
        if self._category_of.setdefault(identity, category) != category:
            self.problems["identity_in_several_categories"].append("/".join(identity))
        return Item(annotation.photo_id, category, identity, annotation.domain, garment.box)

    def _identity(self, part: str, annotation: Annotation, garment: Garment) -> Identity:
        """The product: (set, pair, style), or an identity of its own without a style.

        Pairs are numbered from 1 in each set, so that the same number is another product in
        another set.
        """
        if garment.style == 0:
            return (annotation.photo_id, garment.name)
        identity = (part, str(annotation.pair_id), str(garment.style))
        return self._identities.setdefault(identity, identity)


def divide(
    garments: Garments, photos: Container[str], fraction: float, seed: int
) -> dict[str, list[Item]]:
    """Divides all items into splits.

    Args:
        garments: of all photos.
        photos: only products with a street and a shop photo in there can be validation identities.
        fraction: of such identities, taken for validation.
        seed: of that choice.

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


def _present(items: Iterable[Item], photos: Container[str]) -> set[Identity]:
    return {item.identity for item in items if item.photo_id in photos}
