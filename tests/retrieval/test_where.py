"""Conditions: read, checked against the fields, and the same as filtering by hand."""

import datetime
import operator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fashion_jax.retrieval.catalogue import Item, ItemTable
from fashion_jax.retrieval.catalogue.where import (
    OPERATORS,
    Condition,
    WhereError,
    allowed_rows,
    parse_where,
    without_matches,
)

DAY = datetime.datetime(2026, 11, 27, tzinfo=datetime.UTC)
ITEMS = ItemTable.of(
    [
        Item("a", "00123", "hats", "shop", {"price": 9.5, "colour": "red", "size": ["S", "M"]}),
        Item("b", "123", "hats", "street", {"price": 50.0, "colour": "dark, blue", "sale": True}),
        Item("c", "", "tops", "shop", {"price": 120.0, "sale": False, "since": DAY, "size": []}),
        Item("d", "AB-12/7", "tops", "shop", {"colour": "red", "x in y": "1", "size": ["L"]}),
    ]
)


@pytest.mark.parametrize(
    ("where", "names"),
    [
        ("price<50", "a"),
        ("price <= 50", "ab"),
        ("price>9.5", "bc"),
        ("price >= 9.5", "abc"),
        ("price=50", "b"),
        ("price!=50", "acd"),
        ("price in 9.5, 120", "ac"),
        ("price not in 9.5,120", "bd"),
        ("price missing", "d"),
        ("price present", "abc"),
        ("colour=red", "ad"),
        ("colour != red", "bc"),
        ('colour in red,"dark, blue"', "abd"),
        ("colour = dark, blue", "b"),
        ('colour="red"', "ad"),
        ("colour  not  in red", "bc"),
        ("sale=true", "b"),
        ("sale = No", "c"),
        ("sale in true,false", "bc"),
        ("since=2026-11-27", "c"),
        ("since<2026-11-27T00:00:01Z", "c"),
        ("since >= 2026-11-27T01:00:00+01:00", "c"),
        ("size=M", "a"),
        ("size in M,L", "ad"),
        ("size != M", "bcd"),
        ("size missing", "b"),
        ("product=00123", "a"),
        ("product in 123", "b"),
        ("product missing", "c"),
        ("category=hats", "ab"),
        ("domain!=shop", "b"),
        ("photo_id in a,d", "ad"),
        ('"x in y"=1', "d"),
        ([], "abcd"),
        (["price<100", "category=hats", "colour=red"], "a"),
        ({"field": "price", "operator": "<", "value": 50}, "a"),
        ([{"field": "colour", "operator": "in", "value": ["red"]}], "ad"),
        (Condition("price", "present"), "abc"),
        ([Condition("since", ">=", DAY), "price>1"], "c"),
        ({"field": "product", "operator": "=", "value": 123}, "b"),
    ],
    ids=str,
)
def test_photos_that_meet_conditions(where, names):
    rows = np.flatnonzero(allowed_rows(parse_where(where), ITEMS))
    assert "".join(ITEMS[row].photo_id for row in rows) == names


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("price", "'price' is no condition; write NAME OPERATOR VALUE"),
        ("", "is no condition"),
        ("<5", "is no condition"),
        ("price==5", "write price=5, with a single ="),
        ("price<cheap", "price<|price < cheap: price is a number; 'cheap' is none"),
        ("price<nan", "'nan' is none"),
        ("price in 1,x", "'x' is none"),
        ("sale=maybe", "sale is true or false; 'maybe' is none"),
        ("since<yesterday", "since is a time, such as 2026-11-27"),
        ("colour<red", "colour is text, which has no order; use ="),
        ("size>M", "size is a list of texts, which has no order"),
        ("prise<5", "no field 'prise'; choose from .*; did you mean 'price'"),
        ("stock>0", "no field 'stock'; choose from photo_id, product, category, domain, price"),
        ("price present 5", "price present takes no value; got '5'"),
        ({"field": "price", "operator": "~", "value": 1}, "'~' is not an operator; choose from ="),
        ({"field": "price", "operator": "in", "value": 1}, "price in takes a list of values"),
        ({"field": "price", "operator": "=", "value": [1]}, "price = takes one value"),
        ({"field": "price", "operator": "="}, "price = takes one value; got None"),
        ({"field": "price", "op": "=", "value": 1}, "a condition has field, operator and value"),
        ({"operator": "=", "value": 1}, "a condition has field, operator and value"),
        ({"field": "price", "operator": "=", "value": True}, "price is a number; True is none"),
        ({"field": "colour", "operator": "=", "value": 1.5}, "colour is text; 1.5 is none"),
    ],
    ids=str,
)
def test_what_is_wrong_with_a_condition_is_said(where, message):
    with pytest.raises(WhereError, match=message):
        allowed_rows(parse_where(where), ITEMS)


def test_values_that_no_photo_has_are_named_with_the_nearest():
    conditions = parse_where(["colour in red,rad", "size=XL", "price=7", "category != x"])
    assert without_matches(conditions, ITEMS) == [
        "no photo has the colour 'rad'; did you mean 'red'?",
        "no photo has the size 'XL'; did you mean 'L'?",
    ]


def test_a_condition_is_written_as_it_is_read():
    for text in ("price < 50", "colour not in red,blue", "sale present"):
        assert str(*parse_where(text)) == text


VALUES = {
    "number": st.sampled_from([0.0, 1.0, 2.5, -3.0]),
    "text": st.sampled_from(["", "a", "b", "ä b", "in c"]),
    "flag": st.booleans(),
    "texts": st.lists(st.sampled_from(["a", "b"]), max_size=2),
}
COMPARE = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def by_hand(condition, value):
    """What a condition means, for one value."""
    name, wanted = condition.operator, condition.value
    if name in ("present", "missing"):
        return (value is None) == (name == "missing")
    if name in COMPARE:
        return value is not None and COMPARE[name](value, wanted)
    values = wanted if isinstance(wanted, tuple) else (wanted,)
    own = value if isinstance(value, list) else [value]
    found = value is not None and any(each in values for each in own)
    return found != (name in ("!=", "not in"))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_condition_is_the_same_as_filtering_by_hand(data):
    rows = data.draw(st.lists(st.fixed_dictionaries({}, optional=VALUES), min_size=1, max_size=8))
    field = data.draw(st.sampled_from(sorted({name for row in rows for name in row} or {"none"})))
    if field == "none":
        return
    ordered = () if field == "number" else tuple(COMPARE)
    name = data.draw(st.sampled_from([each for each in OPERATORS if each not in ordered]))
    value = VALUES["text"] if field == "texts" else VALUES[field]
    wanted = None
    if name.endswith("in"):
        wanted = tuple(data.draw(st.lists(value, max_size=3)))
    elif name not in ("present", "missing"):
        wanted = data.draw(value)
    items = ItemTable.of([Item(str(n), "", "", "", row) for n, row in enumerate(rows)])
    condition = Condition(field, name, wanted)
    found = allowed_rows([condition], items).tolist()
    assert found == [by_hand(condition, row.get(field)) for row in rows]
