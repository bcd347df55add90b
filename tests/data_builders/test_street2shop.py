from fashion_jax.datasets.building.build import build
from tests.dummy_data import street2shop as dummy_data

BOXES = {
    "missing": 0,
    "without_size": 1,
    "without_scale": 0,
    "empty": 1,
    "outside": 1,
    "clipped": 1,
    "tiny": 0,
}


def number_of(record):
    return int(record.photo_id)


def of_photo(records, number):
    return [each for split in records.values() for each in split if number_of(each) == number]


def test_photo_counts(built):
    _, report = built
    assert report.counts["photos"] == {
        "expected": 144,
        "found": 140,
        "missing": 4,
        "empty": 1,
        "truncated": 1,
        "not_an_image": 1,
        "unsupported_format": 0,
        "too_large": 0,
        "unreadable": 0,
        "usable": 137,
    }


def test_box_counts(built):
    _, report = built
    assert report.counts["boxes"] == BOXES
    assert report.categories["dresses"]["boxes"] == report.counts["boxes"]
    assert not any(report.categories["hats"]["boxes"].values())


def test_every_defect_is_listed_by_photo(built):
    _, report = built
    assert report.problems == {
        "box_clipped": ["000000016"],
        "box_empty": ["000000008"],
        "box_outside": ["000000012"],
        "box_without_size": ["000000007"],
        "empty": ["000000006"],
        "identity_in_train_and_test": ["tops/9"],
        "missing": ["000000002", "000000033", "000000034", "000000051"],
        "not_an_image": ["000000099"],
        "repeated_row": ["000000059"],
        "truncated": ["000000055"],
    }


def test_counts_per_category(built):
    _, report = built
    categories = report.categories
    assert list(categories) == ["belts", "dresses", "hats", "tops"]
    assert categories["belts"]["photos"]["expected"] == 0
    assert [categories[name]["photos"]["missing"] for name in ("dresses", "hats")] == [3, 1]
    unmatched = [categories[name]["queries_without_match"] for name in ("dresses", "hats")]
    assert unmatched == [1, 0]
    # A street photo with a dress and a top on it counts in both, and once in all.
    assert sum(each["photos"]["expected"] for each in categories.values()) == 145


def test_sizes_stand_beside_the_published_ones(built):
    _, report = built
    # 3 × 14 products have two shop photos each, of which three are missing. Of 3 × (16 + 4) + 1
    # street photos one is missing and one shows two garments; one has no shop photo left.
    assert report.published == {
        "shop_photos": {"published": 404_683, "listed": 84, "found": 81},
        "street_photos": {"published": 20_357, "listed": 61, "found": 60},
        "pairs": {"published": 39_479, "listed": 62, "found": 60},
    }
    (line,) = [line for line in report.to_table().splitlines() if line.startswith("street photos")]
    assert line.split() == ["street", "photos", "20,357", "61", "60"]


def test_product_in_train_and_test_is_left_to_the_test(records):
    assert not of_photo(records, dummy_data.LEAKED_PHOTO)
    asked = [each.identity for each in records["query"] if number_of(each) == 131]
    shop = [each.identity for each in records["gallery"] if number_of(each) in (129, 130)]
    assert asked + shop == [asked[0]] * 3


def test_the_same_product_number_is_another_product_in_another_category(records):
    first = [of_photo(records, number)[0].identity for number in (1, 49, 97)]
    assert len(set(first)) == 3


def test_validation_is_a_twentieth_by_default(built):
    # Of 3 × 8 training products.
    assert built[1].counts["splits"]["val_query"]["identities"] == 1


def test_two_items_on_one_photo_are_two_records(records):
    both = of_photo(records, dummy_data.SHARED_PHOTO)
    assert sorted(each.category for each in both) == ["dresses", "tops"]
    assert len({each.identity for each in both}) == 2


def test_repeated_row_is_one_record(records):
    assert len(of_photo(records, dummy_data.REPEATED_PHOTO)) == 1


def test_margin_and_longest_side_are_options(raw, tmp_path, read_records):
    options = {"splits": ["query"], "margin": 0.1, "longest_side": 32}
    build("street2shop", tmp_path, raw, progress=False, **options)
    query = read_records(tmp_path, "query")
    (stored,) = [each for each in query if number_of(each) == 38]
    # A box of 30×41 becomes 36×49, whose height shrinks to 32.
    assert stored.image.shape == (32, round(36 * 32 / 49), 3)
