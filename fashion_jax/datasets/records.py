"""The record: one photo of one item, the same for every dataset and split.

Its fields, in built files and in the columns of a split:

- `image`: encoded photo (JPEG), already cropped to the item's box
- `identity`: product, int64; dense (0, 1, 2, ...) per dataset, over all its splits
- `domain`: street or shop
- `category`: the raw dataset's name for the kind of garment, such as `dresses`
- `photo_id`: the raw dataset's name for the photo
- `camera`: number of the camera, int32, or `NO_CAMERA`
"""

import enum

import numpy as np
from jaxtyping import Int8, Shaped

SPLITS = ("train", "query", "gallery", "val_query", "val_gallery")

NO_CAMERA = -1
LARGEST_CAMERA = 2**31 - 1


class Domain(enum.IntEnum):
    """Origin of a photo: a customer in the street, or the shop."""

    STREET = 0
    SHOP = 1


DOMAIN_NAMES = tuple(domain.name.lower() for domain in Domain)


def domain_names(domain: Int8[np.ndarray, " photos"]) -> Shaped[np.ndarray, " photos"]:
    """Convert the domains of photos to the texts `street` and `shop`."""
    return np.array(DOMAIN_NAMES)[domain]
