"""TFDS builder of DeepFashion Consumer-to-Shop."""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import ClassVar

from fashion_jax.datasets.building.base import BuildOptions, RetrievalBuilder
from fashion_jax.datasets.building.options import choice
from fashion_jax.datasets.building.plan import BuildPlan

from .layout import find_lists, photo_tree
from .lists import read_lists
from .splits import plan_build


@dataclasses.dataclass(frozen=True)
class Consumer2ShopOptions(BuildOptions):
    """Options that the records depend on.

    Attributes:
        photos: resolution: `low` (img/, 300 pixels on the longer side) or `high` (img_highres/).
        box_reading: `corners`, as the dataset's authors describe x_2 and y_2; or `xywh`, as a
            widely copied converter reads them: width and height. The latter cuts out too much; it
            serves comparisons with results that rest on it.
    """

    photos: str = choice("low", "high")
    box_reading: str = choice("corners", "xywh")


class DeepFashionConsumer2Shop(RetrievalBuilder):
    """Builder of photos by customers and shop photos of the same items."""

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

    def plan(self, manual_dir: pathlib.Path) -> BuildPlan:
        """Read the lists.

        Raises:
            LayoutError: if `manual_dir` is not a raw copy.
            ListError: if rows are invalid.
        """
        rows, pairs = read_lists(*find_lists(manual_dir))
        options = self.options
        photos = photo_tree(manual_dir, options.photos)
        return plan_build(
            rows, pairs, options.box_reading, photos, options.validation_fraction, options.seed
        )
