"""TFDS builder of drawn garments."""

import dataclasses
import functools
import pathlib

import numpy as np
from jaxtyping import UInt8

from fashion_jax.datasets.building.base import BuildOptions, RetrievalBuilder
from fashion_jax.datasets.building.options import option
from fashion_jax.datasets.building.plan import BuildPlan, PlannedItem, in_order
from fashion_jax.datasets.records import Domain

from .paint import Layer
from .products import (
    KINDS,
    Product,
    draw_product,
    make_product,
)
from .street import street_photo
from .studio import VIEWS, shop_photo

_GROUPS = {"train": 0, "val": 1, "test": 2}


@dataclasses.dataclass(frozen=True)
class SyntheticOptions(BuildOptions):
    """How much is drawn.

    Attributes:
        longest_side: of a photo, in pixels.
        train_identities: products to train on.
        val_identities: products of `val_query` and `val_gallery`.
        test_identities: products of `query` and `gallery`.
        distractors: further products of `gallery`, which no query asks for.
    """

    longest_side: int = option(144, least=8)
    train_identities: int = option(400)
    val_identities: int = option(60)
    test_identities: int = option(160)
    distractors: int = option(60)


class SyntheticStreet2Shop(RetrievalBuilder):
    """Drawn garments, in clean shop photos and bad street photos; needs no download."""

    name = "synthetic_street2shop"
    OPTIONS = SyntheticOptions
    options: SyntheticOptions
    DESCRIPTION = (
        "Drawn garments of eight categories, in families of four that differ only in colour, "
        "print or cut; studio photos of the shop, cluttered photos of the street."
    )

    def plan(self, manual_dir: pathlib.Path | None) -> BuildPlan:
        """Lists what is to be drawn; draws nothing."""
        return BuildPlan(plan_splits(self.options), Atelier(self.options), list(KINDS))


class Atelier:
    """Draws photos by name. Used from several threads.

    Args:
        options: of the builder.
    """

    def __init__(self, options: SyntheticOptions):
        self._options = options
        self._garment = functools.lru_cache(maxsize=64)(draw_garment)

    def __contains__(self, photo_id: object) -> bool:
        return True

    def load(self, photo_id: str) -> UInt8[np.ndarray, "height width 3"]:
        """Draws a photo: a pure function of the seed and the photo's name."""
        group, number, domain, index = parse_photo_id(photo_id)
        seed = (self._options.seed, _GROUPS[group], number)
        product, garment = self._garment(*seed)
        rng = np.random.default_rng([*seed, domain, index])
        side = self._options.longest_side
        if domain == Domain.STREET:
            return street_photo(garment, product.category, side, rng)
        view = "front" if index == 0 else VIEWS[1 + rng.integers(len(VIEWS) - 1)]
        return shop_photo(garment, product.category, view, side, rng)


def draw_garment(seed: int, group: int, number: int) -> tuple[Product, Layer]:
    """A product, and its picture."""
    product = make_product(seed, group, number)
    return product, draw_product(product)


def photo_id_of(group: str, number: int, domain: Domain, index: int) -> str:
    """Name of a photo, such as `test-00012-street-1`."""
    return f"{group}-{number:05d}-{domain.name.lower()}-{index}"


def parse_photo_id(photo_id: str) -> tuple[str, int, Domain, int]:
    """Group, number of the product, domain, and number of the photo."""
    group, number, domain, index = photo_id.split("-")
    return group, int(number), Domain[domain.upper()], int(index)


def plan_splits(options: SyntheticOptions) -> dict[str, list[PlannedItem]]:
    """Items by split."""
    train = _items(options, "train", range(options.train_identities))
    val = _items(options, "val", range(options.val_identities))
    asked = options.test_identities
    test = _items(options, "test", range(asked))
    others = _items(options, "test", range(asked, asked + options.distractors))
    splits = {
        "train": train,
        "query": _of(test, Domain.STREET),
        "gallery": _of(test + others, Domain.SHOP),
        "val_query": _of(val, Domain.STREET),
        "val_gallery": _of(val, Domain.SHOP),
    }
    return {split: in_order(items) for split, items in splits.items()}


def _items(options: SyntheticOptions, group: str, numbers: range) -> list[PlannedItem]:
    """All photos of some products: two or three of each domain."""
    items = []
    for number in numbers:
        category = make_product(options.seed, _GROUPS[group], number).category
        counts = np.random.default_rng([options.seed, _GROUPS[group], number]).integers(
            2, 4, size=2
        )
        items += [
            PlannedItem(
                photo_id=photo_id_of(group, number, domain, index),
                category=category,
                identity=(f"{group}-{number:05d}",),
                domain=domain,
            )
            for domain in Domain
            for index in range(counts[domain])
        ]
    return items


def _of(items: list[PlannedItem], domain: Domain) -> list[PlannedItem]:
    return [item for item in items if item.domain == domain]
