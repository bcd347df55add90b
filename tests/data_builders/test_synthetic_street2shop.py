import numpy as np
import pytest
from fashion_jax.data_builders.synthetic_street2shop.paint import CANVAS, empty, paint
from fashion_jax.data_builders.synthetic_street2shop.palette import scene_colours
from fashion_jax.data_builders.synthetic_street2shop.parts import DRAWINGS
from fashion_jax.data_builders.synthetic_street2shop.photos import VIEWS, shop_photo, street_photo
from fashion_jax.data_builders.synthetic_street2shop.prints import PRINTS
from fashion_jax.data_builders.synthetic_street2shop.products import (
    FAMILY,
    PATTERNS,
    Product,
    draw_product,
    make_product,
)
from fashion_jax.data_builders.synthetic_street2shop.scenery import OBSTACLES, SCENES
from fashion_jax.data_builders.synthetic_street2shop.synthetic_street2shop import (
    Atelier,
    SyntheticOptions,
    parse_photo_id,
    plan_splits,
)

from fashion_jax.datasets.records import Domain

SMALL = {"train_identities": 12, "val_identities": 4, "test_identities": 6, "distractors": 2}


def test_each_split_has_as_many_products_as_were_asked_for():
    splits = plan_splits(SyntheticOptions(**SMALL))
    products = {name: len({item.identity for item in items}) for name, items in splits.items()}
    assert products == {"train": 12, "query": 6, "gallery": 8, "val_query": 4, "val_gallery": 4}


def test_photo_id_and_category_say_what_is_drawn():
    for item in plan_splits(SyntheticOptions(**SMALL))["train"]:
        assert parse_photo_id(item.photo_id)[2] == item.domain
        assert item.category in PATTERNS


def test_each_product_has_two_or_three_photos_of_each_domain():
    items = plan_splits(SyntheticOptions(train_identities=40))["train"]
    for product in {item.identity for item in items}:
        domains = [item.domain for item in items if item.identity == product]
        assert all(2 <= domains.count(domain) <= 3 for domain in Domain)


def test_more_products_leave_the_others_as_they_are():
    few = plan_splits(SyntheticOptions(train_identities=8))["train"]
    many = plan_splits(SyntheticOptions(train_identities=40, test_identities=8))["train"]
    assert many[: len(few)] == few


def test_photos_do_not_depend_on_the_order_in_which_they_are_drawn():
    names = ["train-00003-street-0", "test-00003-street-0", "train-00003-shop-1"]
    one, other = Atelier(SyntheticOptions()), Atelier(SyntheticOptions())
    forwards = [one.load(name) for name in names]
    backwards = [other.load(name) for name in reversed(names)]
    for left, right in zip(forwards, reversed(backwards), strict=True):
        np.testing.assert_array_equal(left, right)
        assert max(left.shape) == 144


def test_seed_draws_other_products():
    assert make_product(0, 0, 0) != make_product(1, 0, 0)


@pytest.mark.parametrize("family", range(12))
def test_family_differs_in_one_thing_each(family):
    founder, *others = (make_product(0, 0, family * FAMILY + member) for member in range(FAMILY))
    changed = []
    for other in others:
        differing = [
            name for name in vars(founder) if getattr(founder, name) != getattr(other, name)
        ]
        assert len(differing) == 1
        changed += differing
    assert sorted(changed) == ["colour_names", "cut", "print_name"]


def test_members_of_a_family_look_different():
    for family in range(8):
        drawn = [
            draw_product(make_product(0, 0, family * FAMILY + member)) for member in range(FAMILY)
        ]
        for number, one in enumerate(drawn):
            for other in drawn[number + 1 :]:
                assert np.abs(one.astype(int) - other).max() > 30


def drawn(category, cut=None, print_name="plain"):
    cuts = {name: next(iter(values)) for name, values in PATTERNS[category].items()}
    return draw_product(
        Product(category, cuts | (cut or {}), print_name, ("wheat", "seagreen", "indigo"), 0)
    )


def assert_all_differ(pictures):
    assert len({picture.tobytes() for picture in pictures}) == len(pictures)


@pytest.mark.parametrize("category", PATTERNS)
def test_every_cut_can_be_drawn(category):
    for cut, values in PATTERNS[category].items():
        layers = [drawn(category, {cut: value}) for value in values]
        assert_all_differ(layers)
        for layer in layers:
            alpha = layer[:, :, 3]
            assert (alpha == 255).mean() > 0.05
            assert not alpha[[0, -1]].any()
            assert not alpha[:, [0, -1]].any()


def test_every_print_can_be_drawn():
    assert_all_differ([drawn("tops", print_name=name) for name in (*PRINTS, "logo")])


@pytest.mark.parametrize("table", ["people", "things"])
def test_people_and_things_can_be_drawn(table):
    colours = scene_colours(np.random.default_rng(0))
    pictures = [paint(empty(), parts, colours) for parts in DRAWINGS[table].values()]
    assert_all_differ(pictures)
    assert all(picture[:, :, 3].any() for picture in pictures)


def test_every_thing_is_somewhere():
    used = {group[0] for groups in (*SCENES, *OBSTACLES) for group in groups}
    assert used == DRAWINGS["things"].keys()


@pytest.mark.parametrize("category", PATTERNS)
def test_shop_photos_are_clean_and_street_photos_are_not(category):
    """In a corner of the photo: even paper, and clutter in uneven light."""
    garment, spread = drawn(category), []
    for number in range(10):
        rng = np.random.default_rng(number)
        photos = (
            shop_photo(garment, category, "front", 96, rng),
            street_photo(garment, category, 96, rng),
        )
        spread.append(
            [np.ptp(photo[:12, :12].astype(float), axis=(0, 1)).max() for photo in photos]
        )
    shop, street = np.median(spread, axis=0)
    assert shop < 25 < 35 < street


def test_views_differ():
    garment = drawn("tops")
    assert garment.shape == (CANVAS, CANVAS, 4)
    photos = [shop_photo(garment, "tops", view, 96, np.random.default_rng(0)) for view in VIEWS]
    assert_all_differ(photos)


def test_all_categories_come_equally_often():
    categories = [make_product(0, 2, number).category for number in range(160)]
    assert {categories.count(category) for category in PATTERNS} == {20}
