"""A catalogue brought in line with lists: only what differs is touched."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fashion_jax.datasets.boxes import Box
from fashion_jax.files import StorageError
from fashion_jax.inference.card import ModelCardError
from fashion_jax.retrieval.catalogue import Catalogue, CatalogueError, ItemTable
from fashion_jax.retrieval.catalogue.changes import add_photos, compact, remove_photos
from fashion_jax.retrieval.catalogue.manifest import Manifest
from fashion_jax.retrieval.catalogue.sync import sync_photos
from tests.retrieval.changing_catalogues import CARD
from tests.retrieval.feeds import (
    Embedder,
    Row,
    content_of,
    expected,
    parts_of,
    sync,
    table_of,
    write,
)

BOX = Box(1.0, 2.0, 3.0, 4.0)
FIRST = [Row(f"{name}.jpg", name, name, fields={"price": 1.0}) for name in "abcde"]


@pytest.fixture
def index(tmp_path):
    write(tmp_path / "index", FIRST)
    return tmp_path / "index"


def changed(row, **values):
    return dataclasses.replace(row, **values)


def holds(index, rows):
    return content_of(index) == expected(rows)


def folders(index):
    """Data folders of the first segment: of its vectors and of its items."""
    entry = Manifest.read(index).segments[0]
    return entry.data, entry.items.data


def counts(result):
    return result.added, result.replaced, result.removed, result.changed, result.unchanged


def test_a_missing_catalogue_is_made(tmp_path):
    embed = Embedder()
    result = sync(tmp_path / "new" / "index", FIRST, embed)
    assert counts(result) == (5, 0, 0, 0, 0)
    assert (result.photos, result.embedded, result.done) == (5, 5, True)
    assert result.new_fields == {"price": "number"}
    assert holds(tmp_path / "new" / "index", FIRST)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["index"]


def test_a_folder_of_something_else_is_refused_before_anything_is_embedded(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    embed = Embedder()
    with pytest.raises(StorageError, match="exists already"):
        sync(tmp_path, FIRST, embed)
    assert not embed.asked


def test_the_same_list_changes_nothing(index):
    before, embed = (index / "manifest.json").read_bytes(), Embedder()
    result = sync(index, FIRST[::-1], embed)
    assert counts(result) == (0, 0, 0, 0, 5)
    assert (index / "manifest.json").read_bytes() == before
    assert not embed.asked


def test_new_gone_changed_and_other_photos(index):
    rows = [
        FIRST[0],
        changed(FIRST[1], content="b, edited"),
        changed(FIRST[2], fields={"price": 2.0}),
        Row("new.jpg", "n", "n", fields={"price": 3.0}),
    ]
    embed, vectors = Embedder(), folders(index)[0]
    result = sync(index, rows, embed)
    assert counts(result) == (1, 1, 2, 1, 1)
    assert result.facts == {"price": 1}
    assert sorted(embed.asked) == [("b.jpg", None), ("new.jpg", None)]
    assert folders(index)[0] == vectors
    assert holds(index, rows)


def test_fields_are_exchanged_without_touching_a_vector(index):
    rows = [changed(row, fields={"stock": 3.0}, category="hats") for row in FIRST]
    data, items = folders(index)
    result = sync(index, rows, Embedder())
    assert result.facts == {"category": 5, "price": 5, "stock": 5}
    assert (result.new_fields, result.gone_fields) == ({"stock": "number"}, ["price"])
    assert folders(index)[0] == data
    assert folders(index)[1] != items
    assert holds(index, rows)


def test_segments_without_a_difference_keep_their_items(index):
    more = [Row("more.jpg", "m", "m", fields={"price": 9.0})]
    add_photos(index, *parts_of(more), CARD)
    before = folders(index)
    sync(index, [*FIRST, changed(more[0], fields={"price": 8.0})])
    assert folders(index) == before
    sync(index, FIRST)
    assert folders(index) == before
    assert holds(index, FIRST)


def test_a_field_may_get_another_type_also_where_rows_were_removed(index):
    sync(index, FIRST[:2])
    rows = [changed(row, fields={"price": "on request"}) for row in FIRST[:2]]
    sync(index, [*rows, Row("x.jpg", content="x", fields={"price": "cheap"})])
    assert Catalogue.open(index).items.types == {"price": "text"}
    rows = [changed(rows[0], fields={}), Row("y.jpg", content="y", fields={"price": 4.0})]
    sync(index, rows)
    assert Catalogue.open(index).items.types == {"price": "number"}
    assert holds(index, rows)


def test_a_relabelled_photo_keeps_its_vector(index):
    rows = [*FIRST[1:], changed(FIRST[0], product="another")]
    embed = Embedder()
    result = sync(index, rows, embed)
    assert (counts(result), result.facts) == ((0, 0, 0, 1, 4), {"product": 1})
    assert not embed.asked
    assert holds(index, rows)


def test_another_product_on_a_photo_takes_over_the_vector(index):
    rows = [*FIRST, changed(FIRST[0], product="second"), changed(FIRST[0], product="third")]
    embed = Embedder()
    assert counts(sync(index, rows, embed)) == (2, 0, 0, 0, 5)
    assert holds(index, rows)
    rows = [row for row in rows if row.product not in ("a", "third")]
    assert counts(sync(index, rows, embed)) == (0, 0, 2, 0, 5)
    assert not embed.asked
    assert holds(index, rows)


def test_a_renamed_photo_takes_over_the_vector(index):
    rows = [*FIRST[1:], changed(FIRST[0], photo="renamed.jpg")]
    embed = Embedder()
    assert counts(sync(index, rows, embed)) == (1, 0, 1, 0, 4)
    assert not embed.asked
    assert holds(index, rows)


def test_equal_bytes_and_boxes_are_embedded_once(tmp_path):
    rows = [Row(f"{i}.jpg", str(i), "same", box) for i in range(3) for box in (None, BOX)]
    embed = Embedder()
    result = sync(tmp_path / "index", rows, embed)
    assert (result.added, result.embedded) == (6, 2)
    assert embed.asked == [("0.jpg", None), ("0.jpg", BOX)]
    assert holds(tmp_path / "index", rows)


def test_a_box_is_another_photo(index):
    rows = [*FIRST[1:], changed(FIRST[0], box=BOX)]
    embed = Embedder()
    assert counts(sync(index, rows, embed)) == (1, 0, 1, 0, 4)
    assert embed.asked == [("a.jpg", BOX)]
    assert holds(index, rows)


def test_times_of_files_are_refreshed_without_counting_as_changes(index):
    rows = [changed(row, mtime_ns=99) for row in FIRST]
    assert counts(sync(index, rows, Embedder())) == (0, 0, 0, 0, 5)
    assert holds(index, rows)


def test_photos_of_unknown_bytes_are_embedded_again(index):
    unknown = ItemTable.of([row.item for row in FIRST[:1]])
    vectors, _, thumbnails = parts_of(FIRST[:1])
    add_photos(index, vectors, unknown, thumbnails, CARD, replace=True)
    embed = Embedder()
    assert counts(sync(index, FIRST, embed)) == (0, 1, 0, 0, 4)
    assert embed.asked == [("a.jpg", None)]
    assert holds(index, FIRST)


def test_photos_that_cannot_be_embedded_are_left_out(index):
    same = [Row("x.jpg", "1", "bad"), Row("x.jpg", "2", "bad"), Row("y.jpg", "3", "bad")]
    embed = Embedder(bad=["x.jpg"])
    result = sync(index, [*FIRST, *same], embed)
    assert (result.added, result.photos) == (0, 5)
    assert embed.asked == [("x.jpg", None)]
    with pytest.raises(CatalogueError, match="no photo is usable"):
        sync(index, same, Embedder(bad=["x.jpg"]))
    assert holds(index, FIRST)


def test_a_file_that_changes_before_it_is_embedded_counts_as_it_was_read(index):
    first = Row("x.jpg", "1", "before")
    rows = [*FIRST, first, changed(first, box=BOX), changed(first, product="2")]

    class Late(Embedder):
        def __call__(self, photos):
            sha256, time = (pa.repeat(v, len(photos)) for v in ("sha256 of after", pa.scalar(5)))
            return super().__call__(photos.with_columns({"sha256": sha256, "mtime_ns": time}))

    result = sync(index, rows, Late())
    late = [changed(row, content="after", mtime_ns=5) for row in rows[len(FIRST) :]]
    assert (result.added, result.embedded) == (3, 2)
    assert holds(index, [*FIRST, *late])


def test_a_catalogue_that_changes_meanwhile_is_looked_at_again(index):
    rows = [*FIRST[:3], Row("new.jpg", "n", "n"), Row("late.jpg", "l", "l")]

    class Slow(Embedder):
        def __call__(self, photos):
            if len(self.asked) == 0:
                remove_photos(index, ["a.jpg"])
                add_photos(index, *parts_of([rows[4], Row("other.jpg", "o", "o")]), CARD)
            return super().__call__(photos)

    embed = Slow()
    result = sync(index, rows, embed)
    assert holds(index, rows)
    assert [name for name, _ in embed.asked] == ["new.jpg", "late.jpg", "a.jpg"]
    assert counts(result) == (2, 0, 3, 0, 3)


def test_a_catalogue_that_is_made_meanwhile_is_brought_in_line(tmp_path):
    class Slow(Embedder):
        def __call__(self, photos):
            write(tmp_path / "index", [Row("other.jpg"), FIRST[0]])
            return super().__call__(photos)

    assert counts(sync(tmp_path / "index", FIRST[:2], Slow())) == (1, 0, 1, 0, 1)
    assert holds(tmp_path / "index", FIRST[:2])


def test_another_model_is_refused_before_anything_is_embedded(index):
    embed = Embedder()
    other = dataclasses.replace(CARD, weights_hash="def")
    with pytest.raises(ModelCardError, match="weights_hash"):
        sync_photos(index, table_of([Row("x.jpg")]), embed, other)
    assert not embed.asked


def test_result_for_people(index):
    rows = [changed(FIRST[0], fields={"colour": "red"}), Row("n.jpg", content="n")]
    said = sync(index, rows).to_table()
    for line in ("removed    4  not in the list", "changed    1  price 1, colour 1"):
        assert line in said
    assert "new fields: colour (text)" in said
    assert "fields without values now: price" in said
    assert said.endswith(f"2 photos now: {index}")


def test_embeddings_are_searched_as_those_of_a_new_build(index):
    rows = [*FIRST[2:], changed(FIRST[0], content="other"), Row("n.jpg", content="n")]
    sync(index, rows)
    queries = parts_of(rows)[0]
    answers = Catalogue.open(index).search(queries, 1, CARD)
    assert [hits[0].item.photo_id for hits in answers] == [row.photo for row in rows]


PHOTOS = st.sampled_from(["a", "b", "c", "d"])
PRODUCTS = st.sampled_from(["", "1", "2"])
NUMBERS = st.dictionaries(st.sampled_from(["price", "stock"]), st.sampled_from([0.0, 1.5]))
TEXTS = st.dictionaries(st.sampled_from(["price", "size"]), st.sampled_from(["", "S"]))
LISTS = st.dictionaries(st.sampled_from(["size"]), st.lists(st.sampled_from("SML"), max_size=2))


@st.composite
def feeds(draw):
    """Rows whose fields have one type each, and whose photos are of one content each."""
    fields = draw(st.sampled_from([NUMBERS, TEXTS, LISTS]))
    contents = draw(st.fixed_dictionaries(dict.fromkeys("abcd", st.sampled_from("xyz"))))
    times = draw(st.fixed_dictionaries(dict.fromkeys("abcd", st.integers(0, 1))))
    keys = st.tuples(PHOTOS, st.sampled_from([None, BOX]), PRODUCTS)
    return [
        Row(photo, product, contents[photo], box, draw(fields), mtime_ns=times[photo])
        for photo, box, product in draw(st.lists(keys, min_size=1, max_size=6, unique=True))
    ]


CHANGES = st.one_of(
    st.tuples(st.just("sync"), feeds()),
    st.tuples(st.just("remove"), st.sets(PHOTOS, max_size=3)),
    st.tuples(st.just("compact"), st.none()),
)


@pytest.mark.slow
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(first=feeds(), changes=st.lists(CHANGES, max_size=3), last=feeds())
def test_any_feed_applied_to_any_state_equals_a_new_build(tmp_path_factory, first, changes, last):
    index = tmp_path_factory.mktemp("state") / "index"
    write(index, first)
    for kind, value in changes:
        if kind == "sync":
            sync(index, value)
        elif kind == "remove":
            remove_photos(index, value, missing_ok=True)
        else:
            compact(index)
    before = {key for key, *_ in vectors_of(index)}
    embed = Embedder()
    result = sync(index, last, embed)
    assert content_of(index) == expected(last)
    assert Catalogue.open(index).items.types == types_of(last)
    assert result.photos == len(last) == sum(counts(result)) - result.removed
    wanted = {(row.origin.sha256, row.box) for row in last}
    assert len(embed.asked) == result.embedded == len(wanted - before)


def vectors_of(index):
    items = Catalogue.open(index).items
    origins = [items.origin(row) for row in range(len(items))]
    return [((origin.sha256, origin.box), origin) for origin in origins]


def types_of(rows):
    return table_of(rows).types


def test_vectors_are_unit_vectors():
    np.testing.assert_allclose(np.linalg.norm(parts_of(FIRST)[0], axis=1), 1, atol=1e-6)
