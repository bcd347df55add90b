"""Splits of a catalogue's photos."""

import itertools
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from jaxtyping import Bool

from fashion_jax.datasets.boxes import Box
from fashion_jax.datasets.building.plan import Identity, PlannedItem, choose_validation
from fashion_jax.datasets.photo_lists.checks import codes_of
from fashion_jax.datasets.photo_lists.columns import BOX
from fashion_jax.datasets.records import DOMAIN_NAMES, SPLITS, Domain

Rows = Bool[np.ndarray, " rows"]


class SplitColumns:
    """Columns of a list that decide on the splits.

    With both street and shop photos, queries are the street photos and the gallery the shop
    photos. Otherwise every photo is both.

    Args:
        rows: rows of `read_photo_list`.
        seed: seed of the choice of identities.
    """

    def __init__(self, rows: pa.Table, seed: int):
        self._seed = seed
        self._identity, self._names = codes_of(rows["product"])
        self._photo, _ = codes_of(rows["photo"])
        domain, domains = codes_of(rows["domain"])
        street = np.array([name == DOMAIN_NAMES[Domain.STREET] for name in domains])[domain]
        paired = bool(street.any() and not street.all())
        self._paired = paired
        self._asks = street if paired else np.ones_like(street)
        self._answers = ~street if paired else np.ones_like(street)
        self.given = rows["split"].null_count < rows.num_rows
        self._split = codes_of(rows["split"])

    def by_hash(self, test_fraction: float, validation_fraction: float) -> dict[str, Rows]:
        """Divide identities by a hash of their names.

        Only those with a query and a match are divided. The others belong to the test: their
        gallery photos as distractors, their street photos as queries without a match.
        """
        whole = self._whole(np.ones(len(self._identity), bool))
        test = self._choose(whole, test_fraction)
        validation = self._choose(whole & ~test, validation_fraction)
        test_rows = self._of(test | ~whole)
        query = self._asks & (test_rows if self._paired else self._of(test))
        return {
            "train": self._of(whole & ~test & ~validation),
            "query": query,
            "gallery": self._answers & test_rows,
            "val_query": self._asks & self._of(validation),
            "val_gallery": self._answers & self._of(validation),
        }

    def as_given(self, validation_fraction: float) -> dict[str, Rows]:
        """Use the manifest's own splits; without validation, that is taken from training."""
        codes, names = self._split
        splits = {
            split: codes == names.index(split) if split in names else np.zeros(len(codes), bool)
            for split in SPLITS
        }
        if splits["val_query"].any() or splits["val_gallery"].any():
            return splits
        validation = self._choose(self._whole(splits["train"]), validation_fraction)
        chosen = splits["train"] & self._of(validation)
        return splits | {
            "train": splits["train"] & ~chosen,
            "val_query": self._asks & chosen,
            "val_gallery": self._answers & chosen,
        }

    def _whole(self, rows: Rows) -> Bool[np.ndarray, " identities"]:
        """Find the identities with a query and another photo that matches it, among some rows."""
        if self._paired:
            return self._have(rows & self._asks) & self._have(rows & self._answers)
        # Two items of a product on one photo count as one photo.
        count = int(self._photo.max()) + 1
        pairs = np.unique(self._identity[rows] * count + self._photo[rows])
        return np.bincount(pairs // count, minlength=len(self._names)) > 1

    def _have(self, rows: Rows) -> Bool[np.ndarray, " identities"]:
        return np.bincount(self._identity[rows], minlength=len(self._names)) > 0

    def _choose(
        self, identities: Bool[np.ndarray, " identities"], fraction: float
    ) -> Bool[np.ndarray, " identities"]:
        numbers = np.flatnonzero(identities).tolist()
        chosen = choose_validation(
            [(self._names[number],) for number in numbers], fraction, self._seed
        )
        result = np.zeros_like(identities)
        result[[number for number in numbers if (self._names[number],) in chosen]] = True
        return result

    def _of(self, identities: Bool[np.ndarray, " identities"]) -> Rows:
        return identities[self._identity]


def assign_splits(
    rows: pa.Table, test_fraction: float, validation_fraction: float, seed: int
) -> dict[str, list[PlannedItem]]:
    """Assign the rows of a catalogue to splits.

    Args:
        rows: rows of `read_photo_list`.
        test_fraction: fraction of the identities with a query and a match to take for the test;
            ignored if the list has splits.
        validation_fraction: fraction of the remaining ones to take for validation.
        seed: seed of the choice.

    Returns:
        Items by split, in the order of the rows; an item may be both query and gallery.
    """
    columns = SplitColumns(rows, seed)
    if columns.given:
        splits = columns.as_given(validation_fraction)
    else:
        splits = columns.by_hash(test_fraction, validation_fraction)
    items = list(_items(rows))
    return {name: list(itertools.compress(items, splits[name].tolist())) for name in SPLITS}


def _items(rows: pa.Table) -> Iterator[PlannedItem]:
    """Make the items, which share equal values: their number may be millions."""
    identity, names = codes_of(rows["product"])
    category, categories = codes_of(rows["category"])
    domain, domains = codes_of(rows["domain"])
    identities: list[Identity] = [(name,) for name in names]
    kinds = [Domain[name.upper()] for name in domains]
    columns = [
        rows["photo"].to_pylist(),
        identity.tolist(),
        category.tolist(),
        domain.tolist(),
        rows["camera"].to_pylist(),
        *(rows[name].to_pylist() for name in BOX),
    ]
    for photo, product, garment, kind, camera, *box in zip(*columns, strict=True):
        yield PlannedItem(
            photo_id=photo,
            category=categories[garment],
            identity=identities[product],
            domain=kinds[kind],
            box=None if box[0] is None else Box(*box),
            camera=camera,
        )
