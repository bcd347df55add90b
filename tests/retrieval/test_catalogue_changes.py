"""Photos come and go: one change at a time, then any sequence of them."""

import concurrent.futures
import dataclasses
import json
import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fashion_jax.errors import FashionJaxError
from fashion_jax.files import StorageError
from fashion_jax.inference.card import ModelCardError
from fashion_jax.retrieval import storage
from fashion_jax.retrieval.catalogue import Catalogue, CatalogueError, ItemTable
from fashion_jax.retrieval.catalogue.changes import (
    add_photos,
    check_addable,
    compact,
    remove_photos,
)
from fashion_jax.retrieval.catalogue.contents import Contents
from fashion_jax.retrieval.catalogue.manifest import Manifest
from fashion_jax.retrieval.index import EmbeddingError
from tests.retrieval.changing_catalogues import (
    CARD,
    DIMENSIONS,
    Photo,
    assert_answers,
    assert_holds,
    parts,
    write,
)

FIRST = [Photo(f"first {i}", 0) for i in range(9)]
SECOND = [Photo(f"second {i}", 0) for i in range(4)]


@pytest.fixture(params=["exact", "scann"])
def index(request, tmp_path):
    write(tmp_path / "index", FIRST, request.param)
    return tmp_path / "index"


def manifest_of(index):
    return json.loads((index / "manifest.json").read_text())


def check(index, photos):
    catalogue = Catalogue.open(index)
    assert_holds(catalogue, photos)
    for k in (1, 5, 100):
        assert_answers(catalogue, photos, k)
    folders = {path.name for path in index.glob("data-*")}
    manifest = manifest_of(index)
    removed = [manifest["removed"]] if manifest["removed"] else []
    items = [segment["items"] for segment in manifest["segments"]]
    assert folders == {part["data"] for part in manifest["segments"] + items + removed}
    assert [path.name for path in index.parent.iterdir()] == [index.name]


def test_added_photos_stand_behind_those_there(index):
    before = manifest_of(index)["segments"]
    change = add_photos(index, *parts(SECOND), CARD)
    assert (change.added, change.removed, change.photos) == (4, 0, 13)
    assert manifest_of(index)["segments"][:1] == before  # nothing was rebuilt
    check(index, FIRST + SECOND)


def test_the_manifest_is_read_once_before_and_once_under_the_lock(index, monkeypatch):
    read, reads = Manifest.read, []

    def counted(folder):
        reads.append(folder)
        return read(folder)

    with monkeypatch.context() as patch:
        patch.setattr(Manifest, "read", counted)
        contents = Contents(index)
        check_addable(contents, ItemTable.of(photo.item for photo in SECOND), CARD)
        assert len(reads) == 1
        add_photos(index, *parts(SECOND), CARD, contents=contents)
        assert len(reads) == 2
    check(index, FIRST + SECOND)


def test_contents_that_were_read_before_a_change_are_read_again(index):
    contents = Contents(index)
    remove_photos(index, ["first 0", "first 8"])
    add_photos(index, *parts(SECOND), CARD, contents=contents)
    check(index, FIRST[1:8] + SECOND)


def test_a_catalogue_that_vanishes_before_the_change_is_named(index):
    contents = Contents(index)
    shutil.rmtree(index)
    with pytest.raises(StorageError, match="is not a catalogue"):
        add_photos(index, *parts(SECOND), CARD, contents=contents)
    assert not list(index.parent.iterdir())


def test_removed_photos_are_never_found(index):
    add_photos(index, *parts(SECOND), CARD)
    names = ["first 0", "first 8", "second 1"]
    change = remove_photos(index, names)
    assert (change.added, change.removed, change.photos) == (0, 3, 10)
    left = [photo for photo in FIRST + SECOND if photo.name not in names]
    check(index, left)
    remove_photos(index, ["first 1"])
    check(index, left[1:])


def test_a_products_photos_go_together(index):
    product = FIRST[0].item.product
    remove_photos(index, products=[product])
    check(index, [photo for photo in FIRST if photo.item.product != product])


def test_a_segment_without_photos_goes(index):
    add_photos(index, *parts(SECOND), CARD)
    remove_photos(index, [photo.name for photo in FIRST])
    assert len(manifest_of(index)["segments"]) == 1
    assert manifest_of(index)["removed"] is None
    check(index, SECOND)


def test_an_emptied_catalogue_has_no_answers_and_can_be_filled(index):
    remove_photos(index, [photo.name for photo in FIRST])
    check(index, [])
    assert not compact(index).changed
    add_photos(index, *parts(SECOND), CARD)
    check(index, SECOND)


def test_compacting_leaves_one_segment_and_the_same_photos(index):
    add_photos(index, *parts(SECOND), CARD)
    remove_photos(index, ["first 3"])
    assert compact(index).changed
    manifest = manifest_of(index)
    assert (len(manifest["segments"]), manifest["removed"]) == (1, None)
    left = [photo for photo in FIRST + SECOND if photo.name != "first 3"]
    check(index, left)
    assert not compact(index).changed
    assert manifest_of(index) == manifest
    check(index, left)


@pytest.mark.scann
def test_compacting_can_change_the_kind(index):
    for kind in ("exact", "scann", "auto"):
        compact(index, kind)
        assert Catalogue.open(index).kind == kind
        expected = "scann" if kind == "scann" else "exact"
        assert [segment["index"] for segment in manifest_of(index)["segments"]] == [expected]
        check(index, FIRST)
    with pytest.raises(FashionJaxError, match="kind of index 'hnsw'"):
        compact(index, "hnsw")


def test_photos_that_are_there_are_refused_or_replaced(index):
    newer = [Photo("first 2", 1), Photo("third", 1), Photo("first 7", 1)]
    with pytest.raises(CatalogueError, match=r"2 of the 3 photos.*already: first 2, first 7"):
        add_photos(index, *parts(newer), CARD)
    check(index, FIRST)
    change = add_photos(index, *parts(newer), CARD, replace=True)
    assert (change.added, change.removed, change.photos) == (3, 2, 10)
    check(index, [photo for photo in FIRST if photo.name not in ("first 2", "first 7")] + newer)


def test_several_garments_of_a_photo_share_its_name(index):
    embeddings, items, thumbnails = parts([Photo("two", 0), Photo("two", 1)])
    items[1] = dataclasses.replace(items[1], product="99")
    add_photos(index, embeddings, items, thumbnails, CARD)
    assert list(Catalogue.open(index).items[-2:]) == items
    assert remove_photos(index, ["two"]).removed == 2
    check(index, FIRST)


def test_what_is_not_there_is_listed_and_nothing_is_removed(index):
    with pytest.raises(CatalogueError, match="2 photos are not in the catalogue: a, b"):
        remove_photos(index, ["first 1", "b", "a"])
    with pytest.raises(CatalogueError, match="1 products are not in the catalogue: 77"):
        remove_photos(index, products=["77"])
    check(index, FIRST)
    assert remove_photos(index, ["first 1", "b"], ["77"], missing_ok=True).removed == 1
    check(index, [FIRST[0], *FIRST[2:]])


def test_photos_of_another_model_are_refused_by_field(index):
    other = dataclasses.replace(CARD, weights_hash="def")
    with pytest.raises(ModelCardError, match="weights_hash: the catalogue has"):
        add_photos(index, *parts(SECOND), other)
    check(index, FIRST)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda e, i, t: (e[:-1], i, t), CatalogueError, "3 embeddings but 4 items"),
        (lambda e, i, t: (e, i, t[:-1]), CatalogueError, "4 embeddings but 3 thumbnails"),
        (lambda e, i, t: (e[:0], [], []), CatalogueError, "no photos; a segment"),
        (lambda e, i, t: (e * np.nan, i, t), EmbeddingError, "4 of 4 embeddings contain NaN"),
        (lambda e, i, t: (e[:, :-1], i, t), EmbeddingError, f"expected {DIMENSIONS}"),
    ],
)
def test_parts_that_do_not_fit_change_nothing(index, change, error, message):
    with pytest.raises(error, match=message):
        add_photos(index, *change(*parts(SECOND)), CARD)
    check(index, FIRST)


@pytest.mark.parametrize("make", [lambda i: remove_photos(i, ["x"]), compact])
def test_what_is_no_catalogue_is_not_changed(tmp_path, make):
    with pytest.raises(StorageError, match="is not a catalogue"):
        make(tmp_path)
    with pytest.raises(StorageError, match="is not a catalogue"):
        make(tmp_path / "nowhere")
    assert not list(tmp_path.iterdir())


def test_a_damaged_list_of_removed_rows_is_named(index):
    remove_photos(index, ["first 1"])
    (index / manifest_of(index)["removed"]["data"] / "removed.json").write_text("{}")
    with pytest.raises(StorageError, match=r"wrong checksum removed\.json"):
        Catalogue.open(index)


def test_damage_does_not_spread(index):
    (index / manifest_of(index)["segments"][0]["data"] / "embeddings.npy").write_bytes(b"x")
    add_photos(index, *parts(SECOND), CARD)
    with pytest.raises(StorageError, match=r"wrong checksum embeddings\.npy"):
        compact(index)


def test_changed_while_being_opened(index, monkeypatch):
    verify, left = storage.verify, [1, 2, 3]

    def compact_first(folder, expected):
        if left:
            monkeypatch.setattr(storage, "verify", verify)
            remove_photos(index, [f"first {left.pop()}"])
            compact(index)
            monkeypatch.setattr(storage, "verify", compact_first)
        verify(folder, expected)

    monkeypatch.setattr(storage, "verify", compact_first)
    assert_holds(Catalogue.open(index), [FIRST[0], *FIRST[4:]])


def test_an_opened_catalogue_does_not_change(index):
    before = Catalogue.open(index)
    remove_photos(index, ["first 1"])
    add_photos(index, *parts(SECOND), CARD)
    compact(index)
    assert_holds(before, FIRST)
    assert_answers(before, FIRST, 5)


def test_two_writers_wait_for_each_other(index):
    def add(who):
        for number in range(6):
            add_photos(index, *parts([Photo(f"{who} {number}", 0)]), CARD)

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        list(pool.map(add, "abc"))
    catalogue = Catalogue.open(index)
    names = [item.photo_id for item in catalogue.items]
    assert len(set(names)) == len(names) == len(FIRST) + 18
    assert [path.name for path in index.parent.iterdir()] == [index.name]


NAMES = st.lists(st.sampled_from("abcdefghijkl"), unique=True, max_size=5)
ADD = st.tuples(st.just("add"), NAMES.filter(bool), st.booleans())
REMOVE = st.tuples(st.just("remove"), NAMES, st.booleans())
PRODUCT = st.tuples(
    st.just("product"), st.sampled_from([f"P{number}" for number in range(5)]), st.booleans()
)
COMPACT = st.tuples(st.just("compact"), st.none(), st.none())


@pytest.mark.slow
@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    steps=st.lists(st.one_of(ADD, REMOVE, PRODUCT, COMPACT), max_size=8),
    kind=st.sampled_from(["exact", "scann"]),
)
def test_any_sequence_of_changes_equals_a_fresh_build(tmp_path_factory, steps, kind):
    folder = tmp_path_factory.mktemp("any")
    photos = [Photo(name, -1) for name in "abc"]
    write(folder / "index", photos, kind)
    for version, step in enumerate(steps):
        photos = take(folder / "index", photos, version, *step)
    catalogue = Catalogue.open(folder / "index")
    assert_holds(catalogue, photos)
    if photos:
        fresh = write(folder / "fresh", photos, kind)
        category = photos[0].item.category
        for wanted in (None, {category}):
            for k in (2, 50):
                assert_answers(catalogue, photos, k, wanted)
                assert_answers(fresh, photos, k, wanted)


def take(index, photos, version, word, what, flag):
    """Make one change in the catalogue and in a plain list of photos."""
    if word == "compact":
        compact(index)
        return photos
    names = {photo.name for photo in photos}
    if word == "add":
        new = [Photo(name, version) for name in what]
        if names & set(what) and not flag:
            with pytest.raises(CatalogueError, match="already"):
                add_photos(index, *parts(new), CARD)
            return photos
        add_photos(index, *parts(new), CARD, replace=flag)
        return [photo for photo in photos if photo.name not in what] + new
    if word == "product":
        gone = {photo.name for photo in photos if photo.item.product == what}
        unknown, wanted = not gone, {"products": [what]}
    else:
        gone, unknown, wanted = set(what), bool(set(what) - names), {"photo_ids": what}
    if unknown and not flag:
        with pytest.raises(CatalogueError, match="not in the catalogue"):
            remove_photos(index, **wanted)
        return photos
    remove_photos(index, **wanted, missing_ok=flag)
    return [photo for photo in photos if photo.name not in gone]
