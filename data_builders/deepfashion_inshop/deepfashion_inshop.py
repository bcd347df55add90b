"""TFDS builder of DeepFashion In-Shop Clothes Retrieval."""

import pathlib
from collections.abc import Mapping
from typing import ClassVar

from fashion_jax.datasets.building.base import RetrievalBuilder
from fashion_jax.datasets.building.plan import BuildPlan

from .joined_lists import JoinedLists
from .layout import find_lists, photo_tree
from .lists import read_lists
from .splits import plan_build


class DeepFashionInShop(RetrievalBuilder):
    """Builder of a shop's photos of its products, from several sides."""

    name = "deepfashion_inshop"
    # Totals: Liu et al. 2016. Parts: Sanakoyeu et al. 2019, who checked them, in
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

    def plan(self, manual_dir: pathlib.Path) -> BuildPlan:
        """Read the lists.

        Raises:
            LayoutError: if `manual_dir` is not a raw copy.
            ListError: if rows are invalid.
        """
        lists = JoinedLists(*read_lists(*find_lists(manual_dir)))
        photos = photo_tree(manual_dir)
        return plan_build(lists, photos, self.options.validation_fraction, self.options.seed)
