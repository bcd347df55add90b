"""TFDS builder of Market-1501."""

import pathlib
from collections.abc import Mapping
from typing import ClassVar

from fashion_jax.datasets.building.base import RetrievalBuilder
from fashion_jax.datasets.building.plan import BuildPlan

from .layout import read_photo_names
from .splits import plan_build


class Market1501(RetrievalBuilder):
    """Builder of persons in front of a supermarket, taken by six cameras."""

    name = "market1501"
    # Sources: the dataset's page, and the readme that comes with the photos, where `boxes` are
    # those of the training and the test folder, including junk and distractors. The size without
    # junk: KaiyangZhou/deep-person-reid, torchreid/data/datasets/image/market1501.py.
    PUBLISHED: ClassVar[Mapping[str, int]] = {
        "boxes": 32_668,
        "identities": 1_501,
        "train_photos": 12_936,
        "train_identities": 751,
        "query_photos": 3_368,
        "query_identities": 750,
        "test_photos": 19_732,
        "test_photos_without_junk": 15_913,
        "distractors": 2_793,
    }
    DESCRIPTION = (
        "Market-1501: persons, cut out of the pictures of six cameras by a detector. The benchmark "
        "of person re-identification: it shows whether the model itself is right."
    )
    HOMEPAGE = "https://zheng-lab.cecs.anu.edu.au/Project/project_reid.html"
    CITATION = """@inproceedings{zheng2015scalable,
  title={Scalable Person Re-identification: A Benchmark},
  author={Zheng, Liang and Shen, Liyue and Tian, Lu and Wang, Shengjin and Wang, Jingdong and
    Tian, Qi},
  booktitle={IEEE International Conference on Computer Vision (ICCV)},
  year={2015}
}"""
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
    manual_dir must hold bounding_box_train/, query/ and bounding_box_test/, as
    Market-1501-v15.09.15.zip unpacks.
    """

    def plan(self, manual_dir: pathlib.Path) -> BuildPlan:
        """List the photos.

        Raises:
            LayoutError: if `manual_dir` is not a raw copy.
        """
        photos = read_photo_names(manual_dir)
        return plan_build(photos, self.options.validation_fraction, self.options.seed)
