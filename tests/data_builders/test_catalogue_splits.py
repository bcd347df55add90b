"""Splits of a catalogue, as given and by hash."""

import pytest
from fashion_jax.data_builders.catalogue.splits import assign_splits

from fashion_jax.datasets.photo_lists.photo_list import read_photo_list
from fashion_jax.datasets.records import Domain


def split(lines, test=0.2, validation=0.05, seed=0):
    rows = read_photo_list("\n".join(lines).encode(), "items.csv").rows
    return assign_splits(rows, test, validation, seed)


def photos(splits):
    return {name: [item.photo_id for item in items] for name, items in splits.items()}


def identities(items):
    return {item.identity[0] for item in items}


def both_domains(count):
    for number in range(count):
        for which in "ab":
            yield f"street {number}{which}.jpg,{number},street"
            yield f"shop {number}{which}.jpg,{number},shop"


WITH_DOMAINS = ["photo,identity,domain", *both_domains(100)]
WITHOUT = ["photo,identity", *(f"{i}{which}.jpg,{i}" for i in range(100) for which in "abc")]


def test_with_domains_street_photos_ask_for_shop_photos():
    splits = split(WITH_DOMAINS)
    test, validation = identities(splits["query"]), identities(splits["val_query"])
    assert (len(test), len(validation)) == (20, 4)  # 20 % of 100, 5 % of the remaining 80
    assert identities(splits["gallery"]) == test
    assert identities(splits["val_gallery"]) == validation
    assert not test & validation
    assert identities(splits["train"]) == {str(i) for i in range(100)} - test - validation
    assert {item.domain for item in splits["query"] + splits["val_query"]} == {Domain.STREET}
    assert {item.domain for item in splits["gallery"] + splits["val_gallery"]} == {Domain.SHOP}
    assert sum(map(len, splits.values())) == 400


def test_identities_that_lack_a_domain_belong_to_the_test():
    lines = ["s1.jpg,only shop,shop", "s2.jpg,only shop,", "t.jpg,only street,street"]
    splits = split([*WITH_DOMAINS, *lines])
    without = split(WITH_DOMAINS)
    rest = {item.photo_id for item in splits["gallery"]} - {i.photo_id for i in without["gallery"]}
    assert rest == {"s1.jpg", "s2.jpg"}
    assert identities(splits["query"]) - identities(without["query"]) == {"only street"}
    for name in ("train", "val_query", "val_gallery"):
        assert splits[name] == without[name]


@pytest.mark.parametrize("domain", ["", ",street", ",shop"])
def test_photos_of_one_kind_are_query_and_gallery(domain):
    header = "photo,identity" + (",domain" if domain else "")
    splits = split([header, *(line + domain for line in WITHOUT[1:]), f"one.jpg,single{domain}"])
    assert splits["query"] == [item for item in splits["gallery"] if item.photo_id != "one.jpg"]
    assert splits["val_query"] == splits["val_gallery"]
    assert len(splits["query"]) == 60
    assert len(splits["val_query"]) == 12
    assert len(splits["train"]) == 300 - 60 - 12
    assert "one.jpg" in photos(splits)["gallery"]


def test_two_items_on_one_photo_are_no_two_photos():
    header = "photo,identity,x,y,width,height"
    boxes = ["pair.jpg,shoes,0,0,5,5", "pair.jpg,shoes,9,0,5,5"]
    splits = split([header, *(line + ",,,," for line in WITHOUT[1:]), *boxes])
    assert [name for name, items in splits.items() if "shoes" in identities(items)] == ["gallery"]


def test_the_order_of_rows_does_not_matter():
    assert split([WITHOUT[0], *reversed(WITHOUT[1:])]) == split(WITHOUT)


def test_seed_and_fractions_choose():
    first = split(WITHOUT)
    assert identities(split(WITHOUT, seed=1)["query"]) != identities(first["query"])
    assert len(identities(split(WITHOUT, test=0.5)["query"])) == 50
    assert not split(WITHOUT, test=0.0)["query"]
    assert not split(WITHOUT, validation=0.0)["val_query"]


def test_other_products_are_hardly_moved_when_one_comes_in():
    chosen = identities(split(WITHOUT)["query"])
    more = identities(split([*WITHOUT, "new a.jpg,new", "new b.jpg,new"])["query"])
    assert len(chosen & more) >= 19


def test_given_splits_are_kept():
    lines = ["photo,identity,domain,split", "a,1,shop,train", "b,1,street,train"]
    lines += ["c,2,street,gallery", "d,2,shop,query", "e,3,,val_query", "f,3,,val_gallery"]
    assert photos(split(lines)) == {
        **{"train": ["a", "b"], "query": ["d"], "gallery": ["c"]},
        **{"val_query": ["e"], "val_gallery": ["f"]},
    }


def given(lines, split_of):
    return [lines[0] + ",split", *(f"{line},{split_of(line)}" for line in lines[1:])]


def test_validation_is_taken_from_training_where_none_is_given():
    lines = given(WITH_DOMAINS, lambda line: "train" if int(line.split(",")[1]) < 60 else "gallery")
    splits = split(lines)
    assert len(splits["gallery"]) == 160
    assert not splits["query"]
    validation = identities(splits["val_query"])
    assert len(validation) == 3
    assert identities(splits["val_gallery"]) == validation
    assert {item.domain for item in splits["val_query"]} == {Domain.STREET}
    assert len(identities(splits["train"]) | validation) == 60
    assert not identities(splits["train"]) & validation


def test_validation_without_domains_is_query_and_gallery():
    splits = split(given(WITHOUT, lambda line: "train"), validation=0.1)
    assert splits["val_query"] == splits["val_gallery"]
    assert len(splits["val_query"]) == 30
    assert len(splits["train"]) == 270


def test_items_say_what_the_manifest_says():
    lines = ["photo,identity,domain,category,camera,split,x,y,width,height"]
    lines += ["a.jpg,P 1,street,hats,4,query,1,2.5,3,4", "b.jpg,P 1,,,,gallery,,,,"]
    splits = split(lines)
    (query,), (gallery,) = splits["query"], splits["gallery"]
    assert (query.photo_id, query.identity, query.domain) == ("a.jpg", ("P 1",), Domain.STREET)
    assert (query.category, query.camera, str(query.box)) == ("hats", 4, "3×4 at x=1, y=2.5")
    assert (gallery.domain, gallery.category) == (Domain.SHOP, "item")
    assert (gallery.camera, gallery.box, gallery.box_defect) == (-1, None, None)
