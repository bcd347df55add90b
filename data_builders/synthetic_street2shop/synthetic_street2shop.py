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
from .photos import VIEWS, shop_photo, street_photo
from .products import PATTERNS, Product, draw_product, make_product

_GROUPS = {"train": 0, "val": 1, "test": 2}
_MOST = 100_000  # products are numbered with five digits


@dataclasses.dataclass(frozen=True)
class SyntheticOptions(BuildOptions):
    """Number and size of the drawings.

    Attributes:
        longest_side: longest side of a photo, in pixels.
        train_identities: products to train on.
        val_identities: products of `val_query` and `val_gallery`.
        test_identities: products of `query` and `gallery`.
        distractors: further products of `gallery`, which no query asks for.
    """

    longest_side: int = option(144, least=8, most=4096)
    train_identities: int = option(400, most=_MOST)
    val_identities: int = option(60, most=_MOST)
    test_identities: int = option(160, most=_MOST)
    distractors: int = option(60, most=_MOST)


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
        """List what to draw; draw nothing."""
        return BuildPlan(plan_splits(self.options), Atelier(self.options), list(PATTERNS))


class Atelier:
    """A source of photos that are drawn by name, such as `test-00012-street-1`; thread-safe.

    Args:
        options: options of the builder.
    """

    def __init__(self, options: SyntheticOptions):
        self._options = options

    def __contains__(self, photo_id: object) -> bool:
        return True

    def load(self, photo_id: str) -> UInt8[np.ndarray, "_ _ 3"]:
        """Draw a photo: a pure function of the seed and the photo's name."""
        group, number, domain, index = parse_photo_id(photo_id)
        seed = (self._options.seed, _GROUPS[group], number)
        product, garment = draw_garment(*seed)
        rng = np.random.default_rng([*seed, domain, index])
        side = self._options.longest_side
        if domain == Domain.STREET:
            return street_photo(garment, product.category, side, rng)
        view = "front" if index == 0 else str(rng.choice(VIEWS[1:]))
        return shop_photo(garment, product.category, view, side, rng)


@functools.lru_cache(maxsize=64)
def draw_garment(seed: int, group: int, number: int) -> tuple[Product, Layer]:
    """A product and its picture."""
    product = make_product(seed, group, number)
    return product, draw_product(product)


def parse_photo_id(photo_id: str) -> tuple[str, int, Domain, int]:
    """Group, number of the product, domain, and number of the photo."""
    group, number, domain, index = photo_id.split("-")
    return group, int(number), Domain[domain.upper()], int(index)


def plan_splits(options: SyntheticOptions) -> dict[str, list[PlannedItem]]:
    """Items by split."""
    asked = options.test_identities
    val = _items(options, "val", range(options.val_identities))
    test = _items(options, "test", range(asked))
    others = _items(options, "test", range(asked, asked + options.distractors))
    splits = {
        "train": _items(options, "train", range(options.train_identities)),
        "query": [item for item in test if item.domain == Domain.STREET],
        "gallery": [item for item in test + others if item.domain == Domain.SHOP],
        "val_query": [item for item in val if item.domain == Domain.STREET],
        "val_gallery": [item for item in val if item.domain == Domain.SHOP],
    }
    return {split: in_order(items) for split, items in splits.items()}


def _items(options: SyntheticOptions, group: str, numbers: range) -> list[PlannedItem]:
    """All photos of some products: two or three of each domain."""
    items = []
    for number in numbers:
        product, seed = f"{group}-{number:05d}", (options.seed, _GROUPS[group], number)
        category = make_product(*seed).category
        counts = np.random.default_rng(seed).integers(2, 4, size=len(Domain))
        items += [
            PlannedItem(f"{product}-{domain.name.lower()}-{index}", category, (product,), domain)
            for domain in Domain
            for index in range(counts[domain])
        ]
    return items
