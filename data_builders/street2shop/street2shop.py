"""TFDS builder of Exact Street2Shop."""

import pathlib
from collections.abc import Mapping
from typing import ClassVar

from fashion_jax.datasets.building.base import RetrievalBuilder
from fashion_jax.datasets.building.plan import BuildPlan

from .layout import find_lists, require_photos
from .links import read_links
from .lists import read_lists
from .splits import plan_build


class Street2Shop(RetrievalBuilder):
    """Builder of street photos by customers and shop photos of exactly the same products."""

    name = "street2shop"
    PUBLISHED: ClassVar[Mapping[str, int]] = {
        "shop_photos": 404_683,
        "street_photos": 20_357,
        "pairs": 39_479,
    }
    DESCRIPTION = (
        "Exact Street2Shop: street photos with a box around a garment, and shop photos of exactly "
        "the same product, in eleven categories."
    )
    HOMEPAGE = "http://www.tamaraberg.com/street2shop/"
    CITATION = """@inproceedings{kiapour2015buy,
  title={Where to Buy It: Matching Street Clothing Photos in Online Shops},
  author={Hadi Kiapour, M. and Han, Xufeng and Lazebnik, Svetlana and Berg, Alexander C. and
    Berg, Tamara L.},
  booktitle={IEEE International Conference on Computer Vision (ICCV)},
  year={2015}
}"""
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
    manual_dir must hold meta/json/{retrieval,train_pairs,test_pairs}_{category}.json, and the
    photos in images/ or photos/, each named by its number of nine digits, with any suffix.
    """

    read_links = staticmethod(read_links)

    def plan(self, manual_dir: pathlib.Path) -> BuildPlan:
        """Read the lists and scan the photos.

        Raises:
            LayoutError: if `manual_dir` is not a raw copy.
            ListError: if rows are invalid.
        """
        rows = read_lists(find_lists(manual_dir))
        photos = require_photos(manual_dir)
        return plan_build(rows, photos, self.options.validation_fraction, self.options.seed)
