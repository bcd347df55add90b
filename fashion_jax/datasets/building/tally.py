"""Counts of a build, photo by photo; the basis of a `BuildReport`."""

import collections
import dataclasses
from collections.abc import Hashable, Iterable, Iterator, Mapping

from fashion_jax.datasets.duplicates.equal_pictures import first_rows
from fashion_jax.datasets.photos import UNDECODABLE_KINDS

MISSING = "missing"
USABLE = "usable"
PHOTO_OUTCOMES = (MISSING, *UNDECODABLE_KINDS, USABLE)

WITHOUT_BOX = "missing"
WITHOUT_SIZE = "without_size"
WITHOUT_SCALE = "without_scale"
TINY = "tiny"
BOX_DEFECTS = (WITHOUT_BOX, WITHOUT_SIZE, WITHOUT_SCALE, "empty", "outside", "clipped", TINY)
"""Boxes without a row in the list; without width and height; in pixels of a photo of unknown size;
without area; entirely or partly outside the photo; smaller than `LEAST_SIDE`."""

LEAST_SIDE = 16
"""Shorter side of the smallest crop, in pixels, that may show what a garment is."""


@dataclasses.dataclass
class Counts:
    """Counts of one category, or of all.

    Attributes:
        outcomes: number of photos by outcome.
        boxes: number of boxes by defect.
        photos: number of usable photos by split and identity.
    """

    outcomes: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    boxes: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    photos: dict[str, collections.Counter[Hashable]] = dataclasses.field(default_factory=dict)

    def to_json(self, splits: Iterable[str]) -> dict[str, object]:
        """Return the counts under their names in the report."""
        expected = self.outcomes.total()
        return {
            "photos": {
                "expected": expected,
                "found": expected - self.outcomes[MISSING],
                **{outcome: self.outcomes[outcome] for outcome in PHOTO_OUTCOMES},
            },
            "boxes": {defect: self.boxes[defect] for defect in BOX_DEFECTS},
            "splits": {split: self._split(split) for split in splits},
            "queries_without_match": self._without_match("query", "gallery"),
            "val_queries_without_match": self._without_match("val_query", "val_gallery"),
            "distractor_identities": self._distractors(),
        }

    def _split(self, split: str) -> dict[str, int]:
        photos = self.photos.get(split, collections.Counter())
        return {"photos": photos.total(), "identities": len(photos)}

    def _without_match(self, query: str, gallery: str) -> int | None:
        if query not in self.photos or gallery not in self.photos:
            return None
        found = self.photos[gallery]
        queries = self.photos[query].items()
        return sum(photos for identity, photos in queries if identity not in found)

    def _distractors(self) -> int | None:
        if "query" not in self.photos or "gallery" not in self.photos:
            return None
        return len(self.photos["gallery"].keys() - self.photos["query"].keys())


@dataclasses.dataclass
class BoxReach:
    """Furthest extent of boxes in their photos.

    Attributes:
        photos: names of photos with a box that has area.
        across: furthest right end, as a fraction of its photo's width.
        down: furthest lower end, as a fraction of its photo's height.
    """

    photos: set[str] = dataclasses.field(default_factory=set)
    across: float = 0.0
    down: float = 0.0


class Tally:
    """Counter of photos and boxes; a photo met again counts once.

    Args:
        splits: names of the requested splits.
        categories: names of all categories, including empty ones, in the order of the report.
    """

    def __init__(self, splits: Iterable[str], categories: Iterable[str]):
        self.splits = tuple(splits)
        self.total = self._new_counts()
        self.categories = {category: self._new_counts() for category in categories}
        self._problems: dict[str, dict[str, None]] = collections.defaultdict(dict)
        self._seen: set[tuple[str, str | None]] = set()
        self.box_reach = BoxReach()
        self._pictures: dict[str, tuple[bytes, Hashable]] = {}

    def _new_counts(self) -> Counts:
        return Counts(photos={split: collections.Counter() for split in self.splits})

    def add_photo(self, photo_id: str, category: str, outcome: str) -> None:
        """Count the outcome of a photo in a category."""
        for key, counts in ((None, self.total), (category, self.categories[category])):
            if (photo_id, key) not in self._seen:
                self._seen.add((photo_id, key))
                counts.outcomes[outcome] += 1
        if outcome != USABLE:
            self.add_problem(outcome, photo_id)

    def add_box_defect(self, photo_id: str, category: str, defect: str) -> None:
        """Count a box that was dropped or clipped."""
        self.total.boxes[defect] += 1
        self.categories[category].boxes[defect] += 1
        self.add_problem(f"box_{defect}", photo_id)

    def add_box_reach(self, photo_id: str, across: float, down: float) -> None:
        """Note how far a box reaches, as fractions of its photo's width and height."""
        reach = self.box_reach
        reach.photos.add(photo_id)
        reach.across, reach.down = max(reach.across, across), max(reach.down, down)

    def add_picture(self, photo_id: str, product: Hashable, digest: bytes) -> None:
        """Note the pixels of a photo that is one product's; equal ones of another are a problem."""
        self._pictures[photo_id] = (digest, product)

    def add_record(self, split: str, category: str, identity: Hashable) -> None:
        """Count a written record."""
        self.total.photos[split][identity] += 1
        self.categories[category].photos[split][identity] += 1

    def add_problem(self, kind: str, name: str) -> None:
        """Note the name of anything worth a person's look, by kind."""
        self._problems[kind][name] = None

    @property
    def problems(self) -> Mapping[str, list[str]]:
        """Names by kind of problem, both sorted."""
        for names in self._same_pictures():
            self.add_problem("same_picture_of_two_products", names)
        return {kind: sorted(names) for kind, names in sorted(self._problems.items())}

    def _same_pictures(self) -> Iterator[str]:
        """Names of photos of different products with equal pixels, each with the first of them."""
        names, pictures = list(self._pictures), list(self._pictures.values())
        for row, first in enumerate(first_rows(digest for digest, _ in pictures).tolist()):
            if pictures[row][1] != pictures[first][1]:
                yield f"{names[first]} and {names[row]}"

    def empty_splits(self) -> list[str]:
        """List the splits without any record."""
        return [split for split in self.splits if not self.total.photos[split]]
