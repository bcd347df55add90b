"""The record: one photo of one item, the same for every dataset and split."""

import dataclasses
import enum

SPLITS = ("train", "query", "gallery", "val_query", "val_gallery")

NO_CAMERA = -1


class Domain(enum.IntEnum):
    """Who took the photo: a customer in the street, or the shop."""

    STREET = 0
    SHOP = 1


DOMAIN_NAMES = tuple(domain.name.lower() for domain in Domain)


@dataclasses.dataclass(frozen=True)
class Record:
    """One photo of one item.

    Attributes:
        image: encoded photo (JPEG), already cropped to the item's box.
        identity: the product; dense (0, 1, 2, ...) per dataset, over all its splits.
        domain: street or shop.
        category: the raw dataset's name of the kind of garment, such as `dresses`.
        photo_id: the raw dataset's own name of the photo.
        camera: the camera's number, or `NO_CAMERA`.
    """

    image: bytes
    identity: int
    domain: Domain
    category: str
    photo_id: str
    camera: int = NO_CAMERA
