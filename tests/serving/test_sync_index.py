"""`index sync`: an index brought in line with a shop's list and its photos."""

import json
import os

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fashion_jax.datasets.photo_lists.problems import PhotoListError
from fashion_jax.errors import FashionJaxError
from fashion_jax.files import StorageError
from fashion_jax.retrieval.catalogue import Item
from fashion_jax.serving import photo_files
from fashion_jax.serving.new_photos import Defaults
from tests.datasets.download.hostile_server import photo
from tests.serving.shops import MeanColours, Shop, counts

FEED = "photo,product,price,colours\na.jpg,001,49.90,red|blue\nb/2.jpg,001,,\nc.jpg,AB-12/7,9,red\n"
TYPES = {"colours": "texts"}


@pytest.fixture
def stocked(shop):
    """A shop with an index of three photos."""
    for number, name in enumerate(["a.jpg", "b/2.jpg", "c.jpg"]):
        shop.take(name, number)
    shop.sync(FEED, types=TYPES)
    shop.model.embedded = 0
    return shop


def refused(shop, text, **options):
    """The error for a list; nothing is changed, and nothing embedded."""
    before = shop.manifest if shop.index.exists() else None
    with pytest.raises(FashionJaxError) as error:
        shop.sync(text, **options)
    assert (shop.manifest if shop.index.exists() else None) == before
    assert shop.model.embedded == 0
    return str(error.value)


def test_the_first_sync_makes_the_index(shop):
    for number, name in enumerate(["a.jpg", "b/2.jpg", "c.jpg"]):
        shop.take(name, number)
    result = shop.sync(FEED, types=TYPES, defaults=Defaults(category="tops"))
    assert (counts(result), result.embedded) == ((3, 0, 0, 0, 0), 3)
    assert shop.items == [
        Item("a.jpg", "001", "tops", "shop", {"price": 49.9, "colours": ["red", "blue"]}),
        Item("b/2.jpg", "001", "tops", "shop"),
        Item("c.jpg", "AB-12/7", "tops", "shop", {"price": 9.0, "colours": ["red"]}),
    ]
    origin = shop.catalogue.items.origin(1)
    status = (shop.photos / "b/2.jpg").stat()
    assert origin.source == str(shop.photos / "b/2.jpg")
    assert (origin.size, origin.mtime_ns) == (status.st_size, status.st_mtime_ns)
    assert json.loads(msgspec.json.encode(result))["new_fields"] == {
        "price": "number",
        "colours": "texts",
    }


def test_a_daily_feed(stocked):
    stocked.take("c.jpg", 33)
    stocked.take("new.jpg", 4)
    result = stocked.sync(
        "photo,product,price,colours\na.jpg,001,39.90,red|blue\nc.jpg,AB-12/7,9,red\nnew.jpg,N,,\n"
    )
    assert (counts(result), result.facts) == ((1, 1, 1, 1, 0), {"price": 1})
    assert stocked.model.embedded == result.embedded == 2
    assert [item.fields.get("price") for item in stocked.items] == [39.9, 9, None]


def test_files_of_the_same_size_and_time_are_not_read(stocked, monkeypatch):
    monkeypatch.setattr(photo_files, "read_content", None)
    assert counts(stocked.sync(FEED)) == (0, 0, 0, 0, 3)


def test_touched_files_are_read_once_and_not_embedded(stocked, monkeypatch):
    os.utime(stocked.photos / "a.jpg", ns=(1, 1))
    assert counts(stocked.sync(FEED)) == (0, 0, 0, 0, 3)
    assert stocked.catalogue.items.origin(0).mtime_ns == 1
    assert stocked.model.embedded == 0
    monkeypatch.setattr(photo_files, "read_content", None)
    assert counts(stocked.sync(FEED)) == (0, 0, 0, 0, 3)


def test_moved_photos_are_not_embedded_again(stocked):
    stocked.photos.rename(stocked.folder / "moved")
    stocked.photos = stocked.folder / "moved"
    assert counts(stocked.sync(FEED)) == (0, 0, 0, 0, 3)
    assert stocked.catalogue.items.origin(0).source == str(stocked.photos / "a.jpg")
    assert stocked.model.embedded == 0


def test_checksum_reads_files_that_look_unchanged(stocked):
    path = stocked.photos / "a.jpg"
    status, content = path.stat(), bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert counts(stocked.sync(FEED)) == (0, 0, 0, 0, 3)
    assert counts(stocked.sync(FEED, checksum=True)) == (0, 1, 0, 0, 2)
    assert stocked.model.embedded == 1


def test_a_relabelled_product_is_not_embedded_again(stocked):
    result = stocked.sync(FEED.replace("AB-12/7", "NEW"))
    assert (counts(result), result.facts) == ((0, 0, 0, 1, 2), {"product": 1})
    assert stocked.model.embedded == 0


def test_a_box_cuts_the_photo(stocked):
    text = "photo,product,x,y,width,height\na.jpg,1,0,0,8,8\na.jpg,2,8,8,8,8\na.jpg,3,,,,\n"
    result = stocked.sync(text)
    assert (counts(result), stocked.model.embedded) == ((2, 0, 2, 1, 0), 2)
    thumbnails = [stocked.catalogue.thumbnail(row) for row in range(3)]
    assert len(set(thumbnails)) == 3


def test_unusable_photos_are_all_named_before_anything_is_embedded(stocked):
    stocked.take("new.jpg", 5)
    (stocked.photos / "page.jpg").write_bytes(b"<html>")
    (stocked.photos / "half.jpg").write_bytes(photo(6)[:300])
    (stocked.photos / "c.jpg").write_bytes(b"")
    names = ["new.jpg", "page.jpg", "half.jpg", "c.jpg", "gone.jpg", "a.jpg"]
    text = "photo,x,y,width,height\n" + "".join(f"{name},,,,\n" for name in names)
    text += "new.jpg,500,500,20,20\n"
    said = refused(stocked, text)
    assert "5 of the list's photos cannot be used" in said
    for part in (
        "1 unreadable (gone.jpg)",
        "1 not an image (page.jpg)",
        "1 truncated (half.jpg)",
        "1 empty (c.jpg)",
        "1 without anything in its box (new.jpg)",
    ):
        assert part in said
    before = stocked.sync(text, dry_run=True)
    assert "unusable: 1 unreadable (gone.jpg)" in before.to_table()
    result = stocked.sync(text, skip_bad=True)
    assert {item.photo_id for item in stocked.items} == {"new.jpg", "a.jpg"}
    assert result.left_out == before.left_out
    assert "left out: 1 unreadable (gone.jpg)" in result.to_table()


def test_all_rows_of_an_unusable_photo_are_named(shop):
    shop.take("a.jpg")
    (shop.photos / "bad.jpg").write_bytes(b"no photo")
    (shop.photos / "copy.jpg").write_bytes(b"no photo")
    said = refused(shop, "photo,product\na.jpg,1\nbad.jpg,1\nbad.jpg,2\ncopy.jpg,3\n")
    assert "3 not an image (bad.jpg, bad.jpg, copy.jpg)" in said


def test_photos_without_any_usable_one_are_refused(stocked):
    assert "no photo is usable" in refused(stocked, "photo\ngone.jpg\n", skip_bad=True)


def test_photos_that_spoil_after_they_were_checked(stocked, monkeypatch):
    stocked.take("x.jpg", 7)
    embed = stocked.model.embed

    def late(photos):
        (stocked.photos / "x.jpg").write_bytes(b"")
        return embed(photos)

    monkeypatch.setattr(stocked.model, "embed", late)
    text = FEED + "x.jpg,X,,\n"
    assert "1 empty (x.jpg)" in refused(stocked, text)
    stocked.take("x.jpg", 7)
    result = stocked.sync(text, skip_bad=True)
    assert (result.photos, result.left_out) == (3, {"empty": ["x.jpg"]})


def test_fields_keep_the_types_that_they_have_in_the_index(stocked):
    text = "photo,price\na.jpg,49.90\nb/2.jpg,sold out\n"
    assert "price must be a number (1 row):\n    line 3: 'sold out'" in refused(stocked, text)
    result = stocked.sync(text, none=["Sold Out"])
    assert stocked.catalogue.items.types == {"price": "number"}
    stocked.sync(text, types={"price": "text"})
    assert [item.fields["price"] for item in stocked.items] == ["49.90", "sold out"]
    stocked.sync("photo,price\na.jpg,1\nb/2.jpg,2\n")
    assert [item.fields["price"] for item in stocked.items] == ["1", "2"]
    assert result.gone_fields == ["colours"]


def test_types_of_fields_that_the_list_lacks_are_refused(stocked):
    said = refused(stocked, FEED, types={"prize": "number"})
    assert "--types names 'prize', which is no field of" in said
    assert "did you mean 'price'" in said


def test_a_dry_run_changes_nothing(stocked):
    before = stocked.manifest
    stocked.take("new.jpg", 5)
    text = "photo,price\na.jpg,1\nnew.jpg,2\n"
    result = stocked.sync(text, dry_run=True)
    assert (counts(result), result.embedded, result.done) == ((1, 0, 2, 1, 0), 1, False)
    assert "2 photos after this change" in result.to_table()
    assert (stocked.manifest, stocked.model.embedded) == (before, 0)
    assert counts(stocked.sync(text)) == counts(result)


def test_a_dry_run_without_an_index_makes_none(shop):
    shop.take("a.jpg")
    assert shop.sync("photo\na.jpg\n", dry_run=True).added == 1
    assert not shop.index.exists()


def test_the_change_is_logged_before_it_is_made(stocked, caplog):
    with caplog.at_level("INFO", "fashion_jax"):
        refused(stocked, "photo\na.jpg\n", max_removed=0.5)
    assert "removed    2  not in the list" in caplog.text


def test_a_list_that_removes_more_than_allowed_is_refused(stocked):
    said = refused(stocked, "photo\na.jpg\n", max_removed=0.5)
    assert "2 of 3 photos are not in the list and would be removed; the limit is 50.0%" in said
    assert stocked.sync("photo\na.jpg\n", max_removed=0.7).removed == 2
    assert "must be a share in 0..1, not 20" in refused(stocked, FEED, max_removed=20.0)


def test_an_index_of_another_model_is_refused(stocked, monkeypatch):
    from tests.inference import cards

    monkeypatch.setattr(stocked.model, "card", cards.CARD)
    assert "embedding_width" in refused(stocked, FEED)


def test_a_place_that_cannot_be_written_is_refused_before_anything_is_embedded(shop):
    shop.take("a.jpg")
    (shop.folder / "file").write_text("")
    with pytest.raises((FashionJaxError, OSError)):
        shop.sync("photo\na.jpg\n", index=shop.folder / "file" / "index")
    shop.index.mkdir()
    (shop.index / "notes.txt").write_text("mine")
    with pytest.raises(StorageError, match="exists already"):
        shop.sync("photo\na.jpg\n")
    assert shop.model.embedded == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("product\n1\n", "column photo is missing"),
        ("product,link,url\n1,http://a.com/1,http://a.com/2\n", "column photo is missing"),
        ("photo\ngs://bucket/a.jpg\n", "photo must be a path, or an address"),
        ("photo,price\na.jpg,1\na.jpg,2\n", "line 3: price 2.0, but line 2 has price 1.0"),
    ],
)
def test_wrong_lists_are_refused(stocked, text, message):
    with pytest.raises(PhotoListError, match=message):
        stocked.sync(text)


def test_photos_by_path_need_their_folder(stocked):
    assert "name it with --photos" in refused(stocked, FEED, photos=None)


NAMES = st.sampled_from(["a.jpg", "b.jpg", "c.jpg"])
ROWS = st.dictionaries(
    st.tuples(NAMES, st.sampled_from(["", "0,0,9,9"]), st.sampled_from(["", "1", "2"])),
    st.tuples(st.sampled_from(["", "1.5", "2"]), st.sampled_from(["", "red"])),
    min_size=1,
    max_size=5,
)
PHOTOS = st.fixed_dictionaries({f"{name}.jpg": st.integers(0, 2) for name in "abc"})


def csv_of(rows):
    lines = [
        f"{name},{box or ',,,'},{product},{price},{colour}"
        for (name, box, product), (price, colour) in rows.items()
    ]
    return "\n".join(["photo,x,y,width,height,product,price,colour", *lines])


def content_of(shop):
    """What an index holds, whatever the order of its rows and fields."""
    catalogue = shop.catalogue
    return sorted(
        (
            *(item.photo_id, item.product, item.category, item.domain),
            sorted(item.fields.items()),
            repr(catalogue.items.origin(row)),
            vector.tobytes(),
            catalogue.thumbnail(row),
        )
        for row, (item, vector) in enumerate(
            zip(catalogue.items, np.asarray(catalogue.embeddings), strict=True)
        )
    )


@pytest.mark.slow
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(states=st.lists(st.tuples(PHOTOS, ROWS), min_size=2, max_size=3))
def test_any_lists_and_files_end_as_a_new_index(tmp_path_factory, monkeypatch, states):
    model = MeanColours()
    monkeypatch.setattr("fashion_jax.serving.sync_index.load_model", lambda workdir: model)
    shop = Shop(tmp_path_factory.mktemp("shop"), model)
    for photos, rows in states:
        for name, number in photos.items():
            shop.take(name, number)
        shop.sync(csv_of(rows))
    found = content_of(shop)
    shop.index = shop.folder / "fresh"
    shop.sync(csv_of(states[-1][1]))
    assert found == content_of(shop)
