"""TFDS builder of Market-1501."""

import pathlib
from collections.abc import Mapping
from typing import ClassVar

from fashion_jax.datasets.building.base import RetrievalBuilder
from fashion_jax.datasets.building.plan import Plan
from fashion_jax.datasets.building.raw_folder import LayoutError

from .layout import find_photos
from .splits import CATEGORY, divide, sizes


class Market1501(RetrievalBuilder):
    """Persons in front of a supermarket, taken by six cameras."""

    name = "market1501"
    # The dataset's page, and the readme that comes with the photos; there, `boxes` are those of
    # the training and the test folder, junk and distractors included. How many there are without
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

    def plan(self, manual_dir: pathlib.Path | None) -> Plan:
        """Lists the photos.

        Raises:
            LayoutError: `manual_dir` is not given, or no raw copy.
        """
        if manual_dir is None:
            raise LayoutError("market1501 needs --manual_dir, the folder of its raw copy")
        photos = find_photos(manual_dir)
        division = divide(photos, self.options.validation_fraction, self.options.seed)
        listed = sizes(photos)
        return Plan(division.splits, photos.source, [CATEGORY], division.problems, listed)
