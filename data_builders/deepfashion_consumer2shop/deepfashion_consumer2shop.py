"""TFDS builder of DeepFashion Consumer-to-Shop."""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import ClassVar

from fashion_jax.datasets.building.base import BuildOptions, RetrievalBuilder
from fashion_jax.datasets.building.options import choice
from fashion_jax.datasets.building.photo_tree import PhotoTree
from fashion_jax.datasets.building.plan import Plan
from fashion_jax.datasets.building.raw_folder import LayoutError

from .layout import (
    HIGH,
    LOW,
    find_lists,
    low_places,
    require_photos,
)
from .lists import read_lists
from .photos import HighResolutionPhotos
from .splits import divide


@dataclasses.dataclass(frozen=True)
class Consumer2ShopOptions(BuildOptions):
    """Everything that the records depend on.

    Attributes:
        photos: resolution: `low` (img/, 300 pixels on the longer side) or `high` (img_highres/).
        box_reading: `corners`, as the dataset's authors describe x_2 and y_2; or `xywh`, as a
            widely copied converter takes them, namely for width and height: it cuts out too much,
            and is there for a comparison with results that rest on it.
    """

    photos: str = choice("low", "high")
    box_reading: str = choice("corners", "xywh")


class DeepFashionConsumer2Shop(RetrievalBuilder):
    """Photos that customers took, shop photos of the same items."""

    name = "deepfashion_consumer2shop"
    OPTIONS = Consumer2ShopOptions
    options: Consumer2ShopOptions
    PUBLISHED: ClassVar[Mapping[str, int]] = {"photos": 239_557, "items": 33_881}
    DESCRIPTION = (
        "DeepFashion Consumer-to-Shop: photos that customers took of clothes, and shop photos of "
        "the same items, each with a box around the garment."
    )
    HOMEPAGE = "https://mmlab.ie.cuhk.edu.hk/projects/DeepFashion/Consumer2ShopRetrieval.html"
    CITATION = """@inproceedings{liu2016deepfashion,
  title={DeepFashion: Powering Robust Clothes Recognition and Retrieval with Rich Annotations},
  author={Liu, Ziwei and Luo, Ping and Qiu, Shi and Wang, Xiaogang and Tang, Xiaoou},
  booktitle={IEEE Conference on Computer Vision and Pattern Recognition (CVPR)},
  year={2016}
}"""
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
    manual_dir must hold Anno/list_bbox_consumer2shop.txt, Eval/list_eval_partition.txt and the
    photos in img/ (or img_highres/), as unpacked from the authors' archives.
    """

    def plan(self, manual_dir: pathlib.Path | None) -> Plan:
        """Reads the lists.

        Raises:
            LayoutError: `manual_dir` is not given, or no raw copy.
            ListError: lines that cannot be understood.
        """
        if manual_dir is None:
            raise LayoutError(f"{self.name} needs --manual_dir, the folder of its raw copy")
        rows, pairs = read_lists(*find_lists(manual_dir))
        photos = self._photos(manual_dir)
        options = self.options
        division = divide(
            rows, pairs, options.box_reading, photos, options.validation_fraction, options.seed
        )
        items = [item for of_split in division.splits.values() for item in of_split]
        listed = {photo for pair in pairs for photo in (pair.consumer, pair.shop)}
        return Plan(
            splits=division.splits,
            photos=photos,
            categories=sorted({item.category for item in items}),
            problems=division.problems,
            listed={
                "photos": len(listed | {row.photo for row in rows}),
                "items": len({pair.item for pair in pairs}),
            },
        )

    def _photos(self, manual_dir: pathlib.Path) -> PhotoTree:
        if self.options.photos == "high":
            require_photos(manual_dir, HIGH)
            return HighResolutionPhotos(manual_dir)
        require_photos(manual_dir, LOW)
        return PhotoTree(manual_dir, low_places)
