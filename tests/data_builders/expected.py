"""What each builder's dummy raw copy comes to: the table of `test_contract.py`."""

import dataclasses
import pathlib
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import numpy as np
from fashion_jax.data_builders.catalogue.storage import FileAccessError
from fashion_jax.data_builders.synthetic_street2shop.synthetic_street2shop import (
    Atelier,
    SyntheticOptions,
)

from fashion_jax.datasets.building.options import OptionError
from fashion_jax.datasets.building.raw_copy import LayoutError
from fashion_jax.datasets.photos import decode_photo
from tests.data_builders.built_records import StoredRecord
from tests.dummy_data import (
    catalogue,
    deepfashion2,
    deepfashion_consumer2shop,
    deepfashion_inshop,
    market1501,
    street2shop,
)

VALIDATION = {"validation_fraction": 0.3}


class Cut(NamedTuple):
    """A photo, and what of it is stored.

    Attributes:
        photo_id: as in the records.
        box: left, top, right, bottom; `None` for the whole photo.
        category: that of the record; `None` for any.
    """

    photo_id: str
    box: tuple[int, int, int, int] | None = None
    category: str | None = None


def _photo_of_the_copy(raw: pathlib.Path, photo_id: str) -> np.ndarray:
    return decode_photo((raw / photo_id).read_bytes())


@dataclasses.dataclass(frozen=True)
class Expected:
    """A dataset, and what its dummy copy comes to.

    Attributes:
        identities: products, or persons, that have a photo.
        validation: those of them that are for validation.
        without_match: queries that nothing in the gallery answers.
        distractors: identities of the gallery that no query asks for.
        product_of: name of a record's product, by its photo; `None` where that shows several.
        domain_of: domain of a record, by its photo.
        cuts: photos whose pixels are compared.
        photos: photos of some splits.
        further_records: records beyond one for each photo, of photos that show several products.
        side: longest side of photos that are all stored whole; `None` for others.
        write: writes the raw copy; `None` for a dataset that is drawn.
        source: pixels of a photo.
        tolerance: mean difference from them, as JPEG stores soft patterns well.
        options: options of the build.
        places: options whose values are paths below the raw copy, in the place of a manual_dir.
        domains: of queries, of the gallery.
        cameras: the photos' cameras are known.
        given_validation: the lists name the products for validation.
        seed_chooses_test: the lists do not say which products are for the test.
        needs: what is raised and said without a place of the raw copy.
        error: what is raised where there is no raw copy.
        wrong: other folders, and what is said of them; the copy itself is `raw`.
        lacking: lists without which the copy is not whole, and what is said then.
        kept: what a copy without photos still has, and what is said of it.
        test_set: what is enough for the test; empty where training and test share their lists.
    """

    identities: int
    validation: int
    without_match: int
    distractors: int
    product_of: Callable[[StoredRecord], Hashable]
    domain_of: Callable[[StoredRecord], str]
    cuts: tuple[Cut, ...]
    photos: dict[str, int] = dataclasses.field(default_factory=dict)
    further_records: int = 0
    side: int | None = None
    write: Callable[[pathlib.Path], None] | None = None
    source: Callable[[pathlib.Path, str], np.ndarray] = _photo_of_the_copy
    tolerance: float = 3.0
    options: dict[str, Any] = dataclasses.field(default_factory=lambda: VALIDATION)
    places: dict[str, str] = dataclasses.field(default_factory=dict)
    domains: tuple[str, str] = ("street", "shop")
    cameras: bool = False
    given_validation: bool = False
    seed_chooses_test: bool = False
    needs: tuple[type[Exception], str] = (LayoutError, "needs --manual_dir")
    error: type[Exception] = LayoutError
    wrong: dict[str, str] = dataclasses.field(default_factory=dict)
    lacking: dict[tuple[str, ...], str] = dataclasses.field(default_factory=dict)
    kept: tuple[tuple[str, ...], str] | None = None
    test_set: tuple[str, ...] = ()

    def arguments(self, raw: pathlib.Path | None) -> dict[str, Any]:
        """What `build` and `check` are called with, but for the data_dir."""
        if self.places:
            return {"progress": False, **{name: raw / path for name, path in self.places.items()}}
        return {"progress": False, "manual_dir": raw}


def _corners(left: int, top: int, width: int, height: int) -> tuple[int, int, int, int]:
    return left, top, left + width, top + height


def _street2shop_source(raw: pathlib.Path, photo_id: str) -> np.ndarray:
    (path,) = raw.glob(f"[ip]*/{photo_id}*")  # images/ and photos/
    return decode_photo(path.read_bytes())


def _street2shop_cut(number: int, whole: bool = False) -> Cut:
    box = street2shop.good_box(number)
    corners = _corners(box["left"], box["top"], box["width"], box["height"])
    return Cut(f"{number:09d}", None if whole else corners)


STREET2SHOP = Expected(
    write=street2shop.write_dummy_data,
    source=_street2shop_source,
    # 14 products in each of 3 categories; of the ninth dress only the query photo is left.
    identities=42,
    validation=7,
    without_match=1,
    distractors=6,
    # Of 3 × 12 shop photos of the test two are missing.
    photos={"query": 12, "gallery": 34},
    further_records=1,
    product_of=lambda each: street2shop.product_of(int(each.photo_id), each.category),
    domain_of=lambda each: street2shop.domain_of(int(each.photo_id)),
    cuts=(
        *map(_street2shop_cut, (3, 4, 11, 15, 19, 35, 38, 60, 107, 131)),
        # Photos of the shop have no box, and some boxes are of no use.
        *(_street2shop_cut(n, whole=True) for n in (1, 5, 10, 14, 18, 22, 36, 98, 7, 8, 12)),
        Cut(f"{16:09d}", (20, 0, 48, 32)),  # partly outside
    ),
    wrong={
        "nowhere": r"nowhere does not exist: looked for .*nowhere/meta/json/.*images or photos/",
        "raw/photos": r"holds no raw copy of Street2Shop.*did you mean .*raw\?",
        ".": r"did you mean .*raw\?",
    },
    lacking={
        ("meta/json/train_pairs_hats.json", "meta/json/test_pairs_hats.json"): (
            r"lacks 2 list.*train_pairs_hats.*test_pairs_hats"
        )
    },
    kept=(("meta",), r"no photo found.*images and .*photos.*000000007"),
)


def _deepfashion2_source(raw: pathlib.Path, photo_id: str) -> np.ndarray:
    part, number = photo_id.split("/")
    return decode_photo((raw / part / "image" / f"{number}.jpg").read_bytes())


def _deepfashion2_cut(photo_id: str, pair: int, style: int, item: int) -> Cut:
    box = tuple(deepfashion2.good_box(photo_id, item))
    return Cut(photo_id, box, deepfashion2.category_of(pair, style))


DEEPFASHION2 = Expected(
    write=deepfashion2.write_dummy_data,
    source=_deepfashion2_source,
    # 17 products in train, 9 asked for in the test, 5 distractors.
    identities=31,
    validation=4,
    without_match=1,
    distractors=5,
    # Of each of 4 pairs: two items of customers' first photo, one of the second; and the one
    # that asks in vain. Two items on each of 8 photos of shops, one more of them twice on it,
    # one not asked for.
    photos={"query": 4 * 3 + 1, "gallery": 8 * 2 + 1 + 1},
    # Two items on 16 of the training photos, of which one is missing and one is no image; on 4 of
    # customers' in the test; and as above on 8 of shops'.
    further_records=(16 - 2) + 4 + (8 + 1),
    product_of=lambda each: deepfashion2.product_of(each.photo_id, each.category),
    domain_of=lambda each: deepfashion2.domain_of(each.photo_id),
    cuts=(
        _deepfashion2_cut("train/000001", pair=1, style=1, item=1),
        _deepfashion2_cut("train/000001", pair=1, style=2, item=2),
        _deepfashion2_cut("train/000027", pair=7, style=2, item=2),
        _deepfashion2_cut("validation/000001", pair=1, style=1, item=1),
        _deepfashion2_cut("validation/000002", pair=1, style=1, item=1),
        _deepfashion2_cut("validation/000004", pair=1, style=0, item=2),
        _deepfashion2_cut("validation/000011", pair=3, style=2, item=2),
        Cut(deepfashion2.REVERSED),
        Cut(deepfashion2.OUTSIDE),
        Cut(deepfashion2.CLIPPED, (0, 20, 20, 50)),
    ),
    wrong={
        "nowhere": r"nowhere does not exist: looked for .*nowhere/\{train,validation\}/annos/",
        "raw/train": r"holds no raw copy of DeepFashion2.*did you mean .*raw\?",
        ".": r"\}/image/000001\.jpg; did you mean .*raw\?",
    },
    kept=(("train/annos",), r"no photos found: .*/train/image and .*/validation/im"),
    test_set=("validation",),
)


_INSHOP = {photo.number: photo.name for photo in deepfashion_inshop.dummy_list()}
_INSHOP_ITEMS = {photo.name: photo.item for photo in deepfashion_inshop.dummy_list()}

INSHOP = Expected(
    write=deepfashion_inshop.write_dummy_data,
    # All of the 36 products but the one without photos.
    identities=35,
    validation=7,
    without_match=2,
    distractors=0,
    photos={"query": 24, "gallery": 22},
    product_of=lambda each: _INSHOP_ITEMS[each.photo_id],
    domain_of=lambda each: "shop",
    cuts=(
        *(
            Cut(_INSHOP[number], deepfashion_inshop.good_box(number))
            for number in (1, 3, 25, 29, 62, 100, deepfashion_inshop.MISFILED)
        ),
        Cut(_INSHOP[deepfashion_inshop.REVERSED]),
        Cut(_INSHOP[deepfashion_inshop.OUTSIDE]),
        Cut(_INSHOP[deepfashion_inshop.WITHOUT_BOX]),
        Cut(_INSHOP[deepfashion_inshop.CLIPPED], (30, 20, 64, 50)),
    ),
    domains=("shop", "shop"),
    wrong={
        "nowhere": r"nowhere does not exist: looked for .*nowhere/Eval/list_eval_partition\.txt",
        "raw/img": r"holds no raw copy of DeepFashion In-Shop.*did you mean .*raw\?",
        ".": r"Anno/list_bbox_inshop\.txt.*did you mean .*raw\?",
    },
    lacking={
        (path,): f"lacks {path}"
        for path in ("Anno/list_bbox_inshop.txt", "Eval/list_eval_partition.txt")
    },
    kept=(("Anno", "Eval"), r"no photos found: looked for .*/img and .*/Img/img$"),
)


def _consumer2shop_cut(photo: deepfashion_consumer2shop.Photo, *box: int) -> Cut:
    return Cut(deepfashion_consumer2shop.path_of(photo), box or None)


CONSUMER2SHOP = Expected(
    write=deepfashion_consumer2shop.write_dummy_data,
    identities=24,
    validation=6,
    without_match=2,
    distractors=0,
    # 44 - 5, 13, 13 - 2, 12, 12: of the item in training and test one pair is left.
    photos={"train": 39, "query": 13, "gallery": 11, "val_query": 12, "val_gallery": 12},
    product_of=lambda each: each.photo_id.split("/")[3],
    domain_of=lambda each: "street" if "/comsumer_" in each.photo_id else "shop",
    cuts=(
        *(
            _consumer2shop_cut(photo, *deepfashion_consumer2shop.corners_of(photo))
            for photo in deepfashion_consumer2shop.GOOD
        ),
        _consumer2shop_cut((11, "comsumer", 1)),  # without area
        _consumer2shop_cut((11, "shop", 1)),  # corners in the wrong order
        _consumer2shop_cut((12, "comsumer", 1)),  # outside
        _consumer2shop_cut(deepfashion_consumer2shop.WITHOUT_BOX),
        _consumer2shop_cut((20, "comsumer", 1), 20, 8, 48, 40),  # partly outside
    ),
    given_validation=True,
    wrong={
        "nowhere": r"nowhere does not exist: looked for .*nowhere/Anno/list_bbox_consumer2shop",
        "raw/img": r"holds no raw copy of DeepFashion Consumer-to-Shop.*did you mean .*raw\?",
        ".": r"did you mean .*raw\?",
    },
    lacking={
        (path,): f"lacks the list .*{path}"
        for path in ("Anno/list_bbox_consumer2shop.txt", "Eval/list_eval_partition.txt")
    },
    kept=(("Anno", "Eval"), r"no photo found: looked for .*/img and .*/Img/img"),
)


MARKET1501 = Expected(
    write=market1501.write_dummy_data,
    # 8 persons in train, 8 in the test; each of 3 distractors is one of its own.
    identities=19,
    validation=2,
    without_match=1,
    # In addition, two persons without a query.
    distractors=market1501.DISTRACTORS + 2,
    photos={"query": 10, "gallery": 24},
    side=market1501.HEIGHT,
    product_of=lambda each: market1501.person_of(each.photo_id) or each.photo_id,
    domain_of=lambda each: "street",
    cuts=(
        Cut("query/0001_c1s1_000105_00.jpg"),
        Cut("bounding_box_test/0003_c2s1_000225_01.jpg"),
        Cut("bounding_box_test/0000_c1s1_000100_00.jpg"),
        Cut("bounding_box_train/0020_c1s1_000125_01.jpg"),
        Cut(market1501.ENDS_TWICE),
    ),
    domains=("street", "street"),
    cameras=True,
    wrong={
        "nowhere": r"nowhere does not exist: looked for .*nowhere/\{bounding_box_train,query,boun",
        "raw/query": r"holds no raw copy of Market-1501.*did you mean .*raw\?",
        ".": r"0002_c1s1_000451_03\.jpg; did you mean .*raw\?",
    },
    kept=(("bounding_box_test/Thumbs.db",), r"no photo found: .*/query, .*box_test for files"),
    test_set=("query", "bounding_box_test"),
)


_CATALOGUE_PRODUCTS = {
    row["photo"]: row["identity"]
    for row in catalogue.manifest_rows()
    if row["photo"] != catalogue.SHARED_PHOTO
}

CATALOGUE = Expected(
    write=catalogue.write_dummy_data,
    source=lambda raw, photo_id: _photo_of_the_copy(raw / "photos", photo_id),
    places={"manifest": "items.csv", "photos": "photos"},
    identities=27,
    further_records=1,
    # Three tenths of the 19 products that are whole and not for the test.
    validation=6,
    without_match=1,
    distractors=2,
    product_of=lambda each: _CATALOGUE_PRODUCTS.get(each.photo_id),
    domain_of=lambda each: each.photo_id.split("/")[0],
    cuts=(
        *(
            Cut(f"street/P-{number:03d}-2.jpg", _corners(*catalogue.good_box(number)))
            for number in (1, 4, 5, 6, 13, 24)
        ),
        Cut("shop/P-001-1.jpg"),
        *map(Cut, catalogue.FILES.values()),
        Cut("street/P-008-1.jpg"),  # an empty box
        Cut("street/P-009-1.jpg"),  # outside
        Cut("street/P-010-1.jpg", (20, 0, 48, 33)),  # y from -8 to 32.5, x from 20 to the edge
    ),
    cameras=True,
    seed_chooses_test=True,
    needs=(OptionError, "needs --manifest"),
    error=FileAccessError,
    wrong={"nowhere": r"no file .*nowhere/items\.csv", ".": r"no file .*items\.csv"},
    lacking={("items.csv",): r"no file .*items\.csv"},
    kept=(("items.csv",), r"--photos .*photos is not a directory"),
)


DRAWN = "synthetic_street2shop"  # drawing photos takes longer than reading them
_DRAWN_SIZE = {"train_identities": 6, "val_identities": 2, "test_identities": 3, "distractors": 2}

SYNTHETIC = Expected(
    source=lambda raw, photo_id: Atelier(SyntheticOptions()).load(photo_id),
    tolerance=8.0,  # noise of a street photo
    identities=sum(_DRAWN_SIZE.values()),
    side=144,
    validation=2,
    without_match=0,
    distractors=2,
    product_of=lambda each: each.photo_id.rsplit("-", 2)[0],
    domain_of=lambda each: each.photo_id.rsplit("-", 2)[1],
    cuts=(Cut("train-00003-street-0"), Cut("test-00004-shop-1"), Cut("val-00001-shop-0")),
    options=_DRAWN_SIZE,
    seed_chooses_test=True,
)

DATASETS = {
    "street2shop": STREET2SHOP,
    "deepfashion2": DEEPFASHION2,
    "deepfashion_inshop": INSHOP,
    "deepfashion_consumer2shop": CONSUMER2SHOP,
    "market1501": MARKET1501,
    "catalogue": CATALOGUE,
    DRAWN: SYNTHETIC,
}
