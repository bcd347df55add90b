"""Which photo of a catalogue goes into which split."""

import itertools
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from jaxtyping import Bool

from fashion_jax.datasets.boxes import Box
from fashion_jax.datasets.building.plan import Identity, Item, choose_validation
from fashion_jax.datasets.records import DOMAIN_NAMES, SPLITS, Domain

from .checks import codes_of
from .columns import BOX

Rows = Bool[np.ndarray, " rows"]


class Entries:
    """The rows of a manifest, as far as they decide on the splits.

    Where there are both street and shop photos, street photos ask for shop photos. Otherwise every
    photo asks for all others.

    Args:
        rows: as `read_manifest` gives them.
        seed: of the choice of identities.
    """

    def __init__(self, rows: pa.Table, seed: int):
        self._seed = seed
        self._identity, self._names = codes_of(rows["identity"])
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
        """Divides identities by a hash of their names.

        Only those with a query and an answer to it are divided. What is left of the others belongs
        to the test: photos to be found are distractors in its gallery, and street photos are
        queries without a match.
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
        """The manifest's own splits; where it has no validation, that is taken from training."""
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
        """Identities with a query, and another photo that answers it, among some rows."""
        if self._paired:
            return self._have(rows & self._asks) & self._have(rows & self._answers)
        # Two items of a product on one photo are no two photos of it.
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


def divide(
    rows: pa.Table, test_fraction: float, validation_fraction: float, seed: int
) -> dict[str, list[Item]]:
    """Divides a catalogue into splits.

    Args:
        rows: as `read_manifest` gives them.
        test_fraction: of the identities that can be asked for; used where no split is given.
        validation_fraction: of those that are left for training.
        seed: of that choice.

    Returns:
        Items by split, in the rows' order; an item may be query and gallery.
    """
    entries = Entries(rows, seed)
    if entries.given:
        splits = entries.as_given(validation_fraction)
    else:
        splits = entries.by_hash(test_fraction, validation_fraction)
    items = list(_items(rows))
    return {name: list(itertools.compress(items, splits[name].tolist())) for name in SPLITS}


def _items(rows: pa.Table) -> Iterator[Item]:
    """Items, which share what is the same for many: their number may be millions."""
    identity, names = codes_of(rows["identity"])
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
        yield Item(
            photo_id=photo,
            category=categories[garment],
            identity=identities[product],
            domain=kinds[kind],
            box=None if box[0] is None else Box(*box),
            camera=camera,
        )
