"""In-Shop's two lists as one: every photo once, with its box."""

import collections
from collections.abc import Iterable, Mapping

from fashion_jax.datasets.boxes import Box
from fashion_jax.datasets.building.list_files import Table
from fashion_jax.datasets.building.plan import PlannedItem
from fashion_jax.datasets.building.tally import WITHOUT_BOX
from fashion_jax.datasets.records import Domain

from .layout import BOXES, PARTITION
from .lists import BoxRow, PartitionRow


class JoinedLists:
    """The two lists, joined; every photo once.

    Args:
        partition: list of the partition; the first row of a photo counts.
        boxes: list of the boxes; the first box of a photo counts.

    Attributes:
        rows: rows of the partition, by photo.
        problems: names of defects, by kind.
    """

    def __init__(self, partition: Table[PartitionRow], boxes: Table[BoxRow]):
        self.problems: dict[str, list[str]] = collections.defaultdict(list)
        self.rows = self._unique_rows(partition.rows)
        self._boxes = self._unique_boxes(boxes.rows)
        self._check_counts({PARTITION: partition, BOXES: boxes})
        self._check_categories()

    def items(self, status: str) -> list[PlannedItem]:
        """Make the items of all photos with a status."""
        return [self._item(row) for row in self.rows.values() if row.status == status]

    def _item(self, row: PartitionRow) -> PlannedItem:
        box = self._boxes.get(row.photo)
        return PlannedItem(
            photo_id=row.photo,
            category=row.category,
            identity=(row.item,),
            domain=Domain.SHOP,
            box=box,
            box_defect=WITHOUT_BOX if box is None else None,
        )

    def _unique_rows(self, rows: Iterable[PartitionRow]) -> dict[str, PartitionRow]:
        unique: dict[str, PartitionRow] = {}
        for row in rows:
            first = unique.setdefault(row.photo, row)
            if first is not row:
                kind = "repeated_row" if first == row else "contradicting_row"
                self.problems[kind].append(row.photo)
            elif row.item != row.item_of_path:
                self.problems["item_differs_from_path"].append(row.photo)
        return unique

    def _unique_boxes(self, rows: Iterable[BoxRow]) -> dict[str, Box]:
        unique: dict[str, Box] = {}
        for row in rows:
            if row.photo not in self.rows:
                self.problems["box_of_unlisted_photo"].append(row.photo)
            elif row.photo in unique:
                self.problems["repeated_box"].append(row.photo)
            else:
                unique[row.photo] = row.box
        return unique

    def _check_counts(self, tables: Mapping[str, Table[PartitionRow] | Table[BoxRow]]) -> None:
        for name, table in tables.items():
            if table.announced != len(table.rows):
                count = f"{name} announces {table.announced:,} rows and has {len(table.rows):,}"
                self.problems["wrong_count"].append(count)

    def _check_categories(self) -> None:
        categories: dict[str, set[str]] = collections.defaultdict(set)
        for row in self.rows.values():
            categories[row.item].add(row.category)
        several = [item for item, names in categories.items() if len(names) > 1]
        self.problems["identity_in_several_categories"] += several
