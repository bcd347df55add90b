"""`index update`: fields exchanged by lists, without a model."""

import dataclasses

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fashion_jax.datasets.boxes import Box
from fashion_jax.errors import FashionJaxError
from fashion_jax.retrieval.catalogue import Catalogue
from fashion_jax.retrieval.catalogue.changes import add_photos, remove_photos
from fashion_jax.retrieval.catalogue.manifest import Manifest
from fashion_jax.serving.update_index import update_index
from tests.retrieval.changing_catalogues import CARD
from tests.retrieval.feeds import Row, content_of, expected, parts_of, write

BOX = Box(1.0, 2.0, 3.0, 4.0)
FIRST = [
    Row("a.jpg", "001", fields={"price": 1.0, "sizes": ["S", "M"]}),
    Row("b.jpg", "001", fields={"price": 2.0}),
    Row("c.jpg", "AB-12/7", fields={"price": 3.0, "colour": "red"}),
]
SECOND = [Row("d.jpg", "", box=BOX, fields={"price": 4.0}), Row("d.jpg", "001")]
ALL = [*FIRST, *SECOND]


@pytest.fixture
def index(tmp_path):
    """Two segments, the first with a removed photo."""
    write(tmp_path / "index", [Row("gone.jpg", "001", fields={"price": 9.0}), *FIRST])
    add_photos(tmp_path / "index", *parts_of(SECOND), CARD)
    remove_photos(tmp_path / "index", ["gone.jpg"])
    return tmp_path / "index"


def update(index, text, **options):
    path = index.parent / "prices.csv"
    path.write_text(text)
    return update_index(index, path, **options)


def changed(*fields, **others):
    """All rows, some with fields other than before; `None` for none."""
    return [
        dataclasses.replace(row, fields=known({**row.fields, **new}), **others)
        for row, new in zip(ALL, fields, strict=True)
    ]


def known(fields):
    return {name: value for name, value in fields.items() if value is not None}


def holds(index, rows):
    return content_of(index) == expected(rows)


def refused(index, text, **options):
    before = (index / "manifest.json").read_bytes()
    with pytest.raises(FashionJaxError) as error:
        update(index, text, **options)
    assert (index / "manifest.json").read_bytes() == before
    return str(error.value)


def test_prices_of_products(index):
    result = update(index, "sku,price\n001,7.5\nAB-12/7,3\n")
    assert (result.listed, result.found, result.changed) == (2, 4, 3)
    assert (result.facts, result.new_fields, result.photos) == ({"price": 3}, {}, 5)
    seven = {"price": 7.5}
    assert holds(index, changed(seven, seven, {}, {}, seven))


def test_fields_of_photos(index):
    result = update(index, "photo,price,stock\na.jpg,,3\nd.jpg,5,0\n")
    assert result.facts == {"price": 3, "stock": 3}
    assert result.new_fields == {"stock": "number"}
    rows = changed({"price": None, "stock": 3.0}, {}, {}, *[{"price": 5.0, "stock": 0.0}] * 2)
    assert holds(index, rows)


def test_a_photo_with_several_products_or_boxes_has_a_row_for_each(index):
    update(index, "photo,product,price\nd.jpg,,8\nd.jpg,001,9\n")
    assert holds(index, changed({}, {}, {}, {"price": 8.0}, {"price": 9.0}))
    update(index, "photo,x,y,width,height,price\nd.jpg,1,2,3,4,1\nd.jpg,,,,,2\n")
    assert holds(index, changed({}, {}, {}, {"price": 1.0}, {"price": 2.0}))


def test_an_empty_cell_means_no_value_and_other_fields_stay(index):
    update(index, "product,price,colour\n001,,blue\n")
    none = {"price": None, "colour": "blue"}
    assert holds(index, changed(none, none, {}, {}, none))


def test_category_and_domain(index):
    text = "product,category,domain\n001,hats,street\nAB-12/7,,\n"
    assert update(index, text).facts == {"category": 3, "domain": 3}
    found = [(item.category, item.domain) for item in Catalogue.open(index).items]
    assert found == [("hats", "street")] * 2 + [("item", "shop")] * 2 + [("hats", "street")]


def test_lists_of_texts_and_times(index):
    text = 'photo,sizes,updated\na.jpg,"[""S"",""M""]",2026-11-27\nb.jpg,L|XL,\n'
    result = update(index, text)
    assert result.facts == {"sizes": 1, "updated": 1}
    assert result.new_fields == {"updated": "time"}
    assert Catalogue.open(index).items[1].fields["sizes"] == ["L", "XL"]


def test_no_vector_is_touched_and_other_segments_stay(index):
    before = Manifest.read(index)
    update(index, "photo,price\na.jpg,77\n")
    after = Manifest.read(index)
    assert [entry.data for entry in after.segments] == [entry.data for entry in before.segments]
    assert after.segments[0].items != before.segments[0].items
    assert after.segments[1] == before.segments[1]
    assert after.removed == before.removed


def test_what_is_known_already_changes_nothing(index):
    before = (index / "manifest.json").read_bytes()
    result = update(index, "photo,price\na.jpg,1\nb.jpg,2.0\n")
    assert (result.changed, result.facts, result.done) == (0, {}, True)
    assert (index / "manifest.json").read_bytes() == before


def test_keys_that_are_not_there_are_refused_and_listed(index):
    said = refused(index, "photo,price\na.jpg,5\nx.jpg,1\ngone.jpg,1\n")
    assert "2 of the list's 3 rows are not in the catalogue: gone.jpg, x.jpg" in said
    assert "AB-13" in refused(index, "product,price\nAB-13,5\n")
    said = refused(index, "photo,product,price\na.jpg,other,5\n")
    assert "a.jpg of product other" in said
    result = update(index, "photo,price\na.jpg,5\nx.jpg,1\n", missing_ok=True)
    assert (result.missing, result.changed) == (["x.jpg"], 1)
    assert "not in the index: 1 (x.jpg)" in result.to_table()
    assert holds(index, changed({"price": 5.0}, {}, {}, {}, {}))


def test_types_stay(index):
    said = refused(index, "product,price\n001,1\nAB-12/7,sold out\n")
    assert "price must be a number (1 row):\n    line 3: 'sold out'" in said
    said = refused(index, "product,price\n001,1\n", types={"price": "text"})
    assert "the index has other types for price; `fashion-jax index sync` can change" in said
    update(index, "product,price\n001,\nAB-12/7,Sold Out\n", none=["sold out"])
    assert holds(index, changed(*[{"price": None}] * 3, {}, {"price": None}))
    update(index, "product,ean\n001,123\n", types={"ean": "text"})
    assert Catalogue.open(index).items.types["ean"] == "text"


def test_a_field_without_any_value_is_gone(index):
    update(index, "photo,price\na.jpg,\nb.jpg,\nc.jpg,\nd.jpg,\n")
    items = Catalogue.open(index).items
    assert all("price" not in item.fields for item in items)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("price\n1\n", "column photo or product is missing"),
        ("product,price\n,1\n", "product is empty (1 row):\n    line 2"),
        ("photo,price\n,1\n", "photo is empty (1 row):\n    line 2"),
        ("product\n001\n", "says nothing about its photos or products"),
        ("product,price\n001,1\n001,2\n", "line 3: price 2.0, but line 2 has price 1.0"),
        ("product,catgory\n001,hats\n", "did you mean 'category'"),
        ("product,price\n#N/A,1\n", "product is a word for a missing value"),
    ],
)
def test_wrong_lists_are_refused(index, text, message):
    assert message in refused(index, text)


def test_a_dry_run_changes_nothing(index):
    before = (index / "manifest.json").read_bytes()
    result = update(index, "product,price\n001,7\n", dry_run=True)
    assert (result.changed, result.done) == (3, False)
    assert "nothing was changed" in result.to_table()
    assert (index / "manifest.json").read_bytes() == before


def test_photos_named_by_their_addresses(tmp_path):
    link = "https://shop.com/1.jpg"
    write(tmp_path / "index", [Row(link, "1"), Row("https://shop.com/2.jpg", "1")])
    result = update(tmp_path / "index", f"product,image_link,price\n1,{link},5\n")
    assert (result.found, result.changed) == (1, 1)


def test_result_for_people(index):
    lines = update(index, "product,price,stock\n001,7.5,1\n").to_table().splitlines()
    assert [line.split() for line in lines[:3]] == [
        ["changed", "3", "price", "3,", "stock", "3"],
        ["unchanged", "0"],
        ["not", "in", "the", "list", "2"],
    ]
    assert lines[3:] == ["new fields: stock (number)", f"1 rows, 5 photos: {index}"]


NEW = st.dictionaries(
    st.sampled_from(["a.jpg", "b.jpg", "c.jpg", "d.jpg"]),
    st.tuples(st.sampled_from(["", "1", "2.5"]), st.sampled_from(["", "red", "blue"])),
    min_size=1,
)


@pytest.mark.slow
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(lists=st.lists(NEW, min_size=1, max_size=3))
def test_any_lists_end_as_by_hand(tmp_path_factory, lists):
    index = tmp_path_factory.mktemp("any") / "index"
    write(index, FIRST)
    add_photos(index, *parts_of(SECOND), CARD)
    rows = ALL
    for new in lists:
        lines = [f"{name},{price},{colour}" for name, (price, colour) in new.items()]
        update(index, "\n".join(["photo,price,colour", *lines]))
        rows = [by_hand(row, new) for row in rows]
    assert holds(index, rows)


def by_hand(row, new):
    if row.photo not in new:
        return row
    price, colour = new[row.photo]
    values = {"price": float(price) if price else None, "colour": colour or None}
    return dataclasses.replace(row, fields=known({**row.fields, **values}))
