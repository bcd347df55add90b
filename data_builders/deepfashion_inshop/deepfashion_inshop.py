"""TFDS builder of DeepFashion In-Shop Clothes Retrieval."""

import pathlib
from collections.abc import Mapping
from typing import ClassVar

from fashion_jax.datasets.building.base import RetrievalBuilder
from fashion_jax.datasets.building.plan import Plan
from fashion_jax.datasets.building.raw_folder import LayoutError

from .joined_lists import JoinedLists
from .layout import find_lists, find_photos
from .lists import read_lists
from .splits import divide, sizes


class DeepFashionInShop(RetrievalBuilder):
    """Photos of a shop's products from several sides."""

    name = "deepfashion_inshop"
    # In all: Liu et al. 2016. The parts: Sanakoyeu et al. 2019, who checked them, in
    # github.com/CompVis/metric-learning-divide-and-conquer, lib/data/set/inshop.py.
    PUBLISHED: ClassVar[Mapping[str, int]] = {
        "photos": 52_712,
        "items": 7_982,
        "train_photos": 25_882,
        "train_items": 3_997,
        "query_photos": 14_218,
        "gallery_photos": 12_612,
        "test_items": 3_985,
    }
    DESCRIPTION = (
        "DeepFashion In-Shop Clothes Retrieval: a shop's photos of its products, from several "
        "sides, each with a box around the garment."
    )
    HOMEPAGE = "http://mmlab.ie.cuhk.edu.hk/projects/DeepFashion/InShopRetrieval.html"
    CITATION = """@inproceedings{liu2016deepfashion,
  title={DeepFashion: Powering Robust Clothes Recognition and Retrieval with Rich Annotations},
  author={Liu, Ziwei and Luo, Ping and Qiu, Shi and Wang, Xiaogang and Tang, Xiaoou},
  booktitle={IEEE Conference on Computer Vision and Pattern Recognition (CVPR)},
  year={2016}
}"""
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
    manual_dir must hold Eval/list_eval_partition.txt, Anno/list_bbox_inshop.txt, and the photos
    of img.zip in img/ (or Img/img/). Data for research only, on request from the dataset's page.
    """

    def plan(self, manual_dir: pathlib.Path | None) -> Plan:
        """Reads the lists.

        Raises:
            LayoutError: `manual_dir` is not given, or no raw copy.
            ListError: rows that cannot be understood.
        """
        if manual_dir is None:
            raise LayoutError("deepfashion_inshop needs --manual_dir, the folder of its raw copy")
        partition, boxes = find_lists(manual_dir)
        lists = JoinedLists(*read_lists(partition, boxes))
        photos = find_photos(manual_dir)
        found = [row for row in lists.rows.values() if row.photo in photos]
        present = {row.photo for row in found}
        division = divide(lists, present, self.options.validation_fraction, self.options.seed)
        return Plan(
            splits=division.splits,
            photos=photos,
            categories=sorted({row.category for row in lists.rows.values()}),
            problems=division.problems,
            listed=sizes(lists.rows.values()),
            found=sizes(found),
        )
