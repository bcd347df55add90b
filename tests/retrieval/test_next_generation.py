"""Another model beside the present one: both answer until they are exchanged."""

import dataclasses
import os
import pathlib
import shutil

import numpy as np
import pyarrow as pa
import pytest

from fashion_jax.datasets.boxes import Box
from fashion_jax.files import StorageError
from fashion_jax.inference.card import ModelCardError
from fashion_jax.locks import InUseError
from fashion_jax.retrieval.catalogue import Catalogue, Item, ItemTable, Origin
from fashion_jax.retrieval.catalogue import next_generation as following
from fashion_jax.retrieval.catalogue.changes import (
    compact,
    open_for_change,
    remove_photos,
    set_search_settings,
)
from fashion_jax.retrieval.catalogue.contents import Contents, write_items
from fashion_jax.retrieval.catalogue.generations import (
    GROWING,
    NEXT,
    open_for,
    photo_keys,
    places_in,
    stored_keys,
)
from fashion_jax.retrieval.catalogue.manifest import Manifest, SearchSettings
from fashion_jax.retrieval.catalogue.matching import NONE
from tests.retrieval.changing_catalogues import Photo
from tests.retrieval.two_models import (
    CARDS,
    add,
    assert_is,
    exchange,
    items,
    prepare,
    reembed,
    write,
)

FIRST = [Photo(f"first {i}", 0) for i in range(12)]
NEW = [Photo(f"new {i}", 0) for i in range(3)]
CHANGED = Photo("first 4", 1)


@pytest.fixture
def kind(request):
    return getattr(request, "param", "exact")


@pytest.fixture
def index(kind, tmp_path):
    write(tmp_path / "index", FIRST, kind=kind)
    return tmp_path / "index"


both_kinds = pytest.mark.parametrize("kind", ["exact", "scann"], indirect=True)


def names_in(folder):
    return {path.name for path in folder.iterdir()}


def assert_only(index):
    """Nothing is there but the present generation."""
    assert names_in(index) == {"manifest.json", *Manifest.read(index).folders}


@both_kinds
def test_both_models_are_answered_until_they_are_exchanged(index, kind):
    assert prepare(index) == [photo.name for photo in FIRST]
    assert_is(open_for(index, CARDS["first"]), FIRST, "first")
    assert_is(open_for(index, CARDS["second"]), FIRST, "second")
    assert_is(Catalogue.open(index), FIRST, "first")
    assert exchange(index) == []
    assert_is(open_for(index, CARDS["second"]), FIRST, "second")
    assert Catalogue.open(index).kind == kind
    assert {segment.entry.index for segment in Catalogue.open(index).segments} == {kind}
    with pytest.raises(ModelCardError, match="weights_hash"):
        open_for(index, CARDS["first"])
    assert_only(index)


def test_readers_keep_both_generations_after_the_exchange(index):
    prepare(index)
    old, new = open_for(index, CARDS["first"]), open_for(index, CARDS["second"])
    exchange(index)
    assert_is(old, FIRST, "first")
    assert_is(new, FIRST, "second")


def test_an_unfinished_generation_answers_nothing(index):
    place = following.begin(index, CARDS["second"])
    assert place == index / GROWING
    reembed(place, Contents(index), "second", most=7)
    assert_is(open_for(index, CARDS["first"]), FIRST, "first")
    with pytest.raises(ModelCardError, match=r"7 photos so far.*reembed.* again to finish"):
        open_for(index, CARDS["second"])


def test_what_is_embedded_is_not_embedded_again(index):
    place = following.begin(index, CARDS["second"])
    done = reembed(place, Contents(index), "second", most=7)
    rest = exchange(index)
    assert done + rest == [photo.name for photo in FIRST]
    assert_is(Catalogue.open(index), FIRST, "second")


@both_kinds
def test_photos_that_come_go_and_change_before_the_exchange(index):
    prepare(index)
    add(index, [*NEW, CHANGED])
    remove_photos(index, ["first 0", "first 11"])
    gone = {"first 0", "first 4", "first 11"}
    kept = [photo for photo in FIRST if photo.name not in gone]
    assert_is(open_for(index, CARDS["second"]), kept, "second")
    assert exchange(index) == ["new 0", "new 1", "new 2", "first 4"]
    assert_is(Catalogue.open(index), [*kept, *NEW, CHANGED], "second")
    assert len(Catalogue.open(index).segments) == 1
    assert_only(index)


def test_photos_that_come_before_the_exchange_rebuild_nothing(index):
    prepare(index)
    (old,) = Manifest.read(index / NEXT).segments
    add(index, NEW)
    compact(index)
    assert exchange(index) == [photo.name for photo in NEW]
    assert_is(Catalogue.open(index), [*FIRST, *NEW], "second")
    assert Manifest.read(index).segments[0].data == old.data


def test_a_photo_that_comes_back_has_its_embedding_still(index):
    prepare(index)
    remove_photos(index, ["first 3"])
    add(index, [Photo("first 3", 0)])
    assert exchange(index) == []
    order = [*FIRST[:3], *FIRST[4:], FIRST[3]]
    assert_is(Catalogue.open(index), order, "second")


def test_fields_are_the_present_ones(index):
    prepare(index)
    with open_for_change(index) as change:
        (segment,) = change.contents.segments
        table = segment.items.with_columns({"field:price": pa.array([5.0] * len(FIRST))})
        entry = dataclasses.replace(segment.entry, items=write_items(change.staging, table))
        change.commit(dataclasses.replace(change.contents.manifest, segments=(entry,)))
    expected = [dataclasses.replace(photo.item, fields={"price": 5.0}) for photo in FIRST]
    assert list(open_for(index, CARDS["second"]).items) == expected
    exchange(index)
    assert list(Catalogue.open(index).items) == expected
    assert Catalogue.open(index).items.origin(2) == items(FIRST).origin(2)


def test_another_kind_of_index_is_that_of_the_exchanged_one(index):
    prepare(index)
    compact(index, "auto")
    exchange(index)
    assert (Catalogue.open(index).kind, len(Catalogue.open(index).segments)) == ("auto", 1)
    assert_is(Catalogue.open(index), FIRST, "second")


def test_tuned_settings_of_the_next_generation_stay(tmp_path):
    write(tmp_path / "index", FIRST)
    prepare(tmp_path / "index")
    (segment,) = Manifest.read(tmp_path / "index" / NEXT).segments
    tuned = SearchSettings(5, 0, 1.0, 3, 9, 100.0)
    set_search_settings(tmp_path / "index" / NEXT, {segment.data: tuned})
    exchange(tmp_path / "index")
    assert Manifest.read(tmp_path / "index").segments[0].search == tuned


def test_all_photos_are_removed_before_the_exchange(index):
    prepare(index)
    remove_photos(index, [photo.name for photo in FIRST])
    assert len(open_for(index, CARDS["second"])) == 0
    exchange(index)
    assert_is(Catalogue.open(index), [], "second")


def test_damage_is_noticed_and_embedded_again(index):
    place = following.begin(index, CARDS["second"])
    reembed(place, Contents(index), "second", at_once=5)
    assert following.drop_damaged(place) == []
    data = Manifest.read(place).segments[1].data
    path = place / data / "embeddings.npy"
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(bytes(content))
    assert following.drop_damaged(place) == [data]
    assert exchange(index) == [photo.name for photo in FIRST[5:10]]
    assert_is(Catalogue.open(index), FIRST, "second")


def test_damage_of_the_next_generation_is_not_the_presents(index):
    prepare(index)
    (index / NEXT / "manifest.json").write_text("{")
    assert_is(open_for(index, CARDS["first"]), FIRST, "first")
    with pytest.raises(StorageError, match=r"next/manifest\.json is damaged"):
        open_for(index, CARDS["second"])
    with pytest.raises(StorageError, match="begin anew: --discard"):
        following.begin(index, CARDS["second"])
    assert following.begin(index, CARDS["second"], discard=True) == index / GROWING
    exchange(index)
    assert_is(Catalogue.open(index), FIRST, "second")


@pytest.mark.parametrize("state", ["unfinished", "prepared"])
def test_the_generation_of_a_third_model_is_refused_by_name(index, state):
    third = dataclasses.replace(CARDS["second"], weights_hash="third", dataset="deepfashion")
    if state == "prepared":
        prepare(index)
    else:
        reembed(following.begin(index, CARDS["second"]), Contents(index), "second", most=5)
    said = rf"{state} embeddings of another.*street2shop.*second.*deepfashion.*third.*--discard"
    with pytest.raises(ModelCardError, match=said):
        following.begin(index, third)
    assert following.begin(index, third, discard=True) == index / GROWING
    assert len(Contents(index / GROWING)) == 0
    assert not (index / NEXT).exists()


def test_a_second_process_is_refused_by_name(index):
    message = rf"embedding .*index again: process {os.getpid()}"
    with following.sole_reembed(index), pytest.raises(InUseError, match=message):
        following.sole_reembed(index).__enter__()
    with pytest.raises(StorageError, match="is not a catalogue"):
        following.sole_reembed(index.parent / "nowhere").__enter__()
    assert names_in(index.parent) == {"index"}


def test_a_folder_of_something_else_is_left_alone(index):
    (index / NEXT).mkdir()
    (index / NEXT / "mine.txt").write_text("important")
    with pytest.raises(StorageError, match="next is no catalogue; move it away"):
        following.begin(index, CARDS["second"])
    (index / NEXT).rename(index / GROWING)
    with pytest.raises(StorageError, match="reembed exists already"):
        following.begin(index, CARDS["second"])
    assert (index / GROWING / "mine.txt").exists()


def test_what_a_killed_exchange_left_is_removed(index):
    prepare(index)
    shutil.copytree(index / NEXT, index.parent / "copy")
    exchange(index)
    (index.parent / "copy").rename(index / NEXT)
    following.remove_left_overs(index)
    assert_only(index)
    assert_is(Catalogue.open(index), FIRST, "second")


def test_disks_without_links_get_copies(index, monkeypatch):
    def no_links(source, target):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    exchange(index)
    assert_is(Catalogue.open(index), FIRST, "second")


def test_a_reader_retries_while_generations_are_exchanged(index, monkeypatch):
    """The next generation vanishes while it is opened: it is the present one then."""
    prepare(index)
    read = Contents.__init__

    def exchanged_before(contents, directory, manifest=None):
        if pathlib.Path(directory) == index / NEXT:
            monkeypatch.setattr(Contents, "__init__", read)
            exchange(index)
        read(contents, directory, manifest)

    monkeypatch.setattr(Contents, "__init__", exchanged_before)
    assert_is(open_for(index, CARDS["second"]), FIRST, "second")


class TestKeys:
    ITEM = Item("a", "1", "tops", "shop")
    ORIGIN = Origin("/photos/a", Box(0.25, 0.5, 0.5, 0.125), "fraction", "ab", 5, 6)

    def key(self, item=ITEM, origin=ORIGIN):
        return photo_keys(ItemTable.of([item], [origin])).to_pylist()

    @pytest.mark.parametrize(
        "change",
        [
            {"box": None},
            {"box": Box(0.25, 0.5, 0.5, 0.25)},
            {"box_unit": "percent"},
            {"sha256": "cd"},
            {"sha256": None},
        ],
    )
    def test_differ_where_embeddings_may(self, change):
        assert self.key(origin=dataclasses.replace(self.ORIGIN, **change)) != self.key()
        assert self.key(dataclasses.replace(self.ITEM, photo_id="b")) != self.key()

    @pytest.mark.parametrize("change", [{"source": "/moved/a"}, {"size": None}, {"mtime_ns": 7}])
    def test_are_equal_where_embeddings_are(self, change):
        assert self.key(origin=dataclasses.replace(self.ORIGIN, **change)) == self.key()
        assert self.key(Item("a", "2", "hats", "street", {"price": 1.0})) == self.key()

    def test_a_source_stands_for_an_unknown_content(self):
        unknown = dataclasses.replace(self.ORIGIN, sha256=None)
        moved = dataclasses.replace(unknown, source="/moved/a")
        assert self.key(origin=unknown) != self.key(origin=moved)

    @pytest.mark.parametrize(
        ("keys", "others", "places"),
        [
            ("", "", []),
            ("ab", "", [-1, -1]),
            ("", "ab", []),
            ("bxa", "ab", [1, -1, 0]),
            ("aaab", "baa", [1, 2, -1, 0]),
        ],
    )
    def test_are_paired_one_to_one(self, keys, others, places):
        columns = (pa.chunked_array([pa.array(list(each), pa.string())]) for each in (others, keys))
        np.testing.assert_array_equal(places_in(*columns), np.array(places, np.int64))

    def test_rows_without_a_key_are_nobodys(self):
        table = items(FIRST)
        assert (places_in(photo_keys(table), stored_keys(table)) == NONE).all()
