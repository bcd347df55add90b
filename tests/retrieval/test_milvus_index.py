"""Milvus, in milvus-lite's local files; what all indexes have in common is in test_index.py."""

import dataclasses
import importlib
import subprocess
import sys

import numpy as np
import pytest

from fashion_jax.inference.card import ModelCardError
from fashion_jax.retrieval.catalogue import Item
from fashion_jax.retrieval.catalogue.where import Condition, WhereError
from fashion_jax.retrieval.exact import ExactIndex
from fashion_jax.retrieval.index import EmbeddingError
from fashion_jax.retrieval.milvus import collection as milvus_collection
from fashion_jax.retrieval.milvus import search as milvus_search
from fashion_jax.retrieval.milvus.index import MilvusIndex, PhotoBatch
from fashion_jax.retrieval.milvus.server import MilvusConnection, MilvusError, MilvusPlace
from fashion_jax.retrieval.milvus.settings import MilvusSettings
from tests.retrieval.milvus_lite import build_milvus, card_for, close_all, require_milvus_lite
from tests.retrieval.unit_vectors import clustered, unit

DIMENSIONS = 16
GALLERY = clustered(300, DIMENSIONS, 20)
QUERIES = clustered(12, DIMENSIONS, 20, seed=1)
CARD = card_for(GALLERY)
HOSTILE = ["it's", 'a "b"', "c\\", "d\ne", '" or row >= 0 or category == "', "裙子", "%", "{x}", ""]
CATEGORIES = ["dresses", *HOSTILE]
ITEMS = [
    Item(f"photo {row}'\\", str(row // 3), CATEGORIES[row % len(CATEGORIES)], "shop")
    for row in range(len(GALLERY))
]
IVF = MilvusSettings("IVF_FLAT", nlist=30, nprobe=2)


@pytest.fixture(autouse=True, scope="module")
def milvus_lite():
    require_milvus_lite()
    yield
    close_all()


@pytest.fixture
def place(tmp_path):
    return MilvusPlace(str(tmp_path / "test.db"), "photos")


@pytest.fixture
def built(place):
    with MilvusIndex.build(place, GALLERY, CARD, ITEMS) as index:
        yield index


@pytest.fixture
def server(tmp_path):
    """milvus-lite behind an address: to us a cluster, without SCANN."""
    starter = importlib.import_module("milvus_lite.adapter.grpc.server")
    server, database, port = starter.start_server_in_thread(str(tmp_path / "served"))
    yield f"http://127.0.0.1:{port}"
    server.stop(grace=1).wait()
    database.close()


def own_collections(place):
    connection = MilvusConnection(place)
    try:
        return connection.client.list_collections()
    finally:
        connection.close()


class TestSettings:
    @pytest.mark.parametrize(
        ("rows", "dimensions", "nlist", "nprobe"),
        [
            (1, 2048, 1, 1),
            (400, 2048, 10, 10),
            (9_999, 2048, 100, 100),
            (10_000, 2048, 100, 20),
            (10_000_000, 2048, 362, 73),  # 131,072 rows a segment
            (10_000_000, 64, 2048, 410),
        ],
    )
    def test_a_cluster_gets_scann_by_the_rows_of_a_segment(self, rows, dimensions, nlist, nprobe):
        settings = MilvusSettings.for_rows(rows, dimensions, local=False)
        assert settings == MilvusSettings("SCANN", nlist, nprobe)

    def test_candidates_grow_with_k(self):
        settings = MilvusSettings("SCANN", nlist=10, nprobe=3)
        assert settings.to_search(5, False)["params"] == {"nprobe": 3, "reorder_k": 150}
        assert settings.to_search(100, True)["params"] == {"nprobe": 10, "reorder_k": 400}
        assert settings.to_build() == {"params": {"nlist": 10, "with_raw_data": True}}

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"index_type": "HNSW"}, "unknown index type 'HNSW'"),
            ({"nlist": 0}, "nlist is 0"),
            ({"nlist": 70_000}, "nlist is 70000"),
            ({"nlist": 4, "nprobe": 5}, "nprobe is 5.*nlist, which is 4"),
            ({"reorder": 0}, "reorder is 0"),
        ],
    )
    def test_wrong_settings_are_named(self, wrong, message):
        with pytest.raises(Exception, match=message):
            MilvusSettings(**wrong)


class TestAgreement:
    def test_all_partitions_answer_like_exact_search(self, built):
        found, exact = built.search(QUERIES, 25), ExactIndex(GALLERY).search(QUERIES, 25)
        np.testing.assert_array_equal(found.rows, exact.rows)
        np.testing.assert_allclose(found.scores, exact.scores, atol=1e-6)

    @pytest.mark.slow
    def test_recall_of_the_settings_that_a_size_gets(self):
        gallery, queries = clustered(10_000, 32, 500), clustered(50, 32, 500, seed=1)
        index = build_milvus(gallery)
        assert index.settings.nprobe < index.settings.nlist
        rows, exact = index.search(queries, 10).rows, ExactIndex(gallery).search(queries, 10).rows
        recall = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(rows, exact, strict=True)])
        assert recall >= 0.95

    def test_partitions_with_too_few_rows_are_asked_again(self, place, monkeypatch):
        asked = []
        ask = milvus_search._ask

        def record(*arguments):
            asked.append((len(arguments[2]), arguments[-1]["params"]["nprobe"]))
            return ask(*arguments)

        monkeypatch.setattr(milvus_search, "_ask", record)
        with MilvusIndex.build(place, GALLERY, CARD, settings=IVF) as index:
            found = index.search(QUERIES, 200)
        assert asked == [(12, 2), (12, 30)]
        exact = ExactIndex(GALLERY).search(QUERIES, 200)
        np.testing.assert_array_equal(found.rows, exact.rows)

    def test_batches_are_joined_in_order(self, built, monkeypatch):
        monkeypatch.setattr(milvus_search, "_BATCH_QUERIES", 5)
        found, exact = built.search(QUERIES, 3), ExactIndex(GALLERY).search(QUERIES, 3)
        np.testing.assert_array_equal(found.rows, exact.rows)

    def test_duplicates_are_all_found_by_row(self, place):
        gallery = np.tile(unit(np.eye(4)), (5, 1))
        with MilvusIndex.build(place, gallery, card_for(gallery)) as index:
            found = index.search(gallery[1:2], 5)
        assert found.rows.tolist() == [[1, 5, 9, 13, 17]]

    def test_more_neighbours_than_milvus_returns(self, built, monkeypatch):
        monkeypatch.setattr("fashion_jax.retrieval.milvus.index.MOST_NEIGHBOURS", 100)
        with pytest.raises(MilvusError, match="at most 100 neighbours, but 300 were requested"):
            built.search(QUERIES, 1000)


class TestRows:
    def test_removed_rows_are_not_found_and_others_keep_their_number(self, built):
        first = built.search(QUERIES, 1).rows[:, 0]
        assert built.remove([*np.unique(first).tolist(), 2_000_000]) == len(np.unique(first))
        assert len(built) == len(GALLERY) - len(np.unique(first))
        rest = np.setdiff1d(np.arange(len(GALLERY)), first)
        expected = rest[ExactIndex(GALLERY[rest]).search(QUERIES, 10).rows]
        np.testing.assert_array_equal(built.search(QUERIES, 10).rows, expected)
        assert built.search(QUERIES, 1000).rows.shape == (12, len(rest))

    def test_added_rows_are_found_at_once(self, built):
        new = clustered(3, DIMENSIONS, 20, seed=5)
        item = Item("new", "9", "new category", "shop")
        built.add([1000, 5000, 2**31 - 1], new, [item] * 3)
        assert built.search(new, 1).rows[:, 0].tolist() == [1000, 5000, 2**31 - 1]
        assert len(built) == len(GALLERY) + 3
        assert built.search(new, 9, "category=new category").rows.shape == (3, 3)
        assert built.items([5000, 77_777]) == {5000: item}

    def test_a_row_can_be_replaced_removed_and_added_again(self, built):
        new = clustered(1, DIMENSIONS, 20, seed=6)
        built.add([7], new)
        built.add([7], new)
        assert len(built) == len(GALLERY)
        np.testing.assert_allclose(built.search(new, 1).scores, 1.0, atol=1e-6)
        assert built.remove([7]) == 1
        assert built.remove([7]) == 0
        built.add([7], GALLERY[7:8], ITEMS[7:8])
        np.testing.assert_array_equal(
            built.search(QUERIES, 10).rows, ExactIndex(GALLERY).search(QUERIES, 10).rows
        )

    def test_an_emptied_collection_finds_nothing(self, built):
        built.remove(range(len(GALLERY)))
        assert len(built) == 0
        assert built.search(QUERIES, 5).rows.shape == (12, 0)

    def test_rows_of_photos(self, built):
        names = ["photo 5'\\", "no such", "photo 299'\\"]
        assert built.rows_of(names) == {names[0]: [5], names[2]: [299]}

    @pytest.mark.parametrize(
        ("rows", "embeddings", "items", "error", "message"),
        [
            ([1, 1], GALLERY[:2], None, MilvusError, "1 row numbers are repeated"),
            ([-1], GALLERY[:1], None, MilvusError, "row numbers have to lie between 0.*got -1"),
            ([2**31], GALLERY[:1], None, MilvusError, "row numbers have to lie between 0"),
            ([1], GALLERY[:2], None, MilvusError, "1 row numbers, 2 embeddings and 2 items"),
            ([1], GALLERY[:1], ITEMS[:2], MilvusError, "1 row numbers, 1 embeddings and 2 items"),
            ([1], GALLERY[:1] * np.nan, None, EmbeddingError, "NaN"),
            ([1], GALLERY[:1] * 0, None, EmbeddingError, "not L2-normalised"),
            ([1], GALLERY[:1, :3], None, EmbeddingError, "3 dimensions; expected 16"),
            ([1], GALLERY[:1], [Item("a", "1", "x" * 1025, "")], MilvusError, "has 1025 bytes"),
            ([1], GALLERY[:1], [Item("\ud800", "1", "x", "")], MilvusError, "not valid Unicode"),
        ],
    )
    def test_wrong_rows_are_refused(self, built, rows, embeddings, items, error, message):
        with pytest.raises(error, match=message):
            built.add(rows, embeddings, items)
        assert len(built) == len(GALLERY)


class TestConditions:
    @pytest.mark.parametrize("category", CATEGORIES)
    def test_any_name_finds_its_own_photos_only(self, built, category):
        rows = np.array([row for row, item in enumerate(ITEMS) if item.category == category])
        where = {"field": "category", "operator": "in", "value": [category]}
        found = built.search(QUERIES, 7, where)
        np.testing.assert_array_equal(
            found.rows, rows[ExactIndex(GALLERY[rows]).search(QUERIES, 7).rows]
        )
        assert built.search(QUERIES, 1000, where).rows.shape == (12, len(rows))

    def test_several(self, built):
        found = built.search_items(QUERIES, 300, CARD, "category in it's,c\\")
        assert all({hit.item.category for hit in hits} == {"it's", "c\\"} for hits in found)
        assert {len(hits) for hits in found} == {60}

    @pytest.mark.parametrize("category", ["unknown", '" or 1 == 1 or "', "dresses "])
    def test_an_unknown_one_finds_nothing(self, built, category):
        where = Condition("category", "=", category)
        assert built.search(QUERIES, 5, where).rows.shape == (12, 0)
        assert built.search_items(QUERIES, 5, CARD, where) == [[]] * 12
        assert built.search_products(QUERIES, 5, CARD, where) == [[]] * 12

    @pytest.mark.parametrize(
        ("where", "holds"),
        [
            ("product in 3,7", lambda item: item.product in ("3", "7")),
            ("product != 3", lambda item: item.product != "3"),
            ("category missing", lambda item: item.category == ""),
            ("category present", lambda item: item.category != ""),
            ("domain=shop", lambda item: True),
            ("domain!=shop", lambda item: False),
            ("domain=studio", lambda item: False),
            (["category=dresses", "product not in 0,10"],
             lambda item: item.category == "dresses" and item.product not in ("0", "10")),
        ],
    )  # fmt: skip
    def test_what_is_known_of_photos(self, built, where, holds):
        rows = {row for row, item in enumerate(ITEMS) if holds(item)}
        assert set(built.search(QUERIES[:1], 300, where).rows[0].tolist()) == rows

    @pytest.mark.parametrize(
        ("where", "message"),
        [
            (
                "price<5",
                "a collection knows no fields of its photos, which an index does, but photo_id",
            ),
            ("produkt=5", "did you mean 'product'"),
            ("category<5", "texts have no order"),
        ],
    )
    def test_conditions_that_a_collection_cannot_check_are_refused(self, built, where, message):
        with pytest.raises(WhereError, match=message):
            built.search(QUERIES, 5, where)

    @pytest.mark.parametrize("k", [1, 6, 200])
    def test_different_products_each_with_its_photos(self, built, k):
        for query, groups in zip(QUERIES, built.search_products(QUERIES, k, CARD), strict=True):
            ranking = np.argsort(-(GALLERY @ query), kind="stable")
            names = list(dict.fromkeys(ITEMS[row].product for row in ranking))[:k]
            assert [group.name for group in groups] == names
            for group in groups:
                rows = [row for row in ranking if ITEMS[row].product == group.name]
                assert [hit.row for hit in group.photos] == rows
                assert [hit.item for hit in group.photos] == [ITEMS[row] for row in rows]

    def test_hits_name_their_photos(self, built):
        (hits,) = built.search_items(GALLERY[4:5], 2, CARD)
        assert (hits[0].rank, hits[0].row, hits[0].item) == (1, 4, ITEMS[4])


class TestStoredCollections:
    def test_closed_and_opened_again(self, place):
        with MilvusIndex.build(place, GALLERY, CARD, ITEMS, IVF) as index:
            expected = index.search(QUERIES, 10)
            index.remove([int(expected.rows[0, 0])])
        with MilvusIndex.open(place, CARD) as index:
            assert (len(index), index.settings, index.card) == (len(GALLERY) - 1, IVF, CARD)
            found = index.search(QUERIES[:1], 9)
            np.testing.assert_array_equal(found.rows[0], expected.rows[0, 1:])

    def test_another_models_queries_are_refused_by_name(self, built, place):
        other = dataclasses.replace(CARD, weights_hash="ffff", neck="none")
        with pytest.raises(ModelCardError, match="weights_hash: the collection has '0123abcd'"):
            MilvusIndex.open(place, other)
        with pytest.raises(ModelCardError, match="neck"):
            built.search_items(QUERIES, 5, other)

    @pytest.mark.slow
    def test_a_local_file_is_free_after_the_last_close(self, place):
        index = MilvusIndex.build(place, GALLERY, CARD)
        second = MilvusIndex.open(place)
        index.close()
        index.close()
        assert len(second) == len(GALLERY)  # the server still runs for the other one
        script = (
            "import sys; from fashion_jax.retrieval.milvus.index import *\n"
            "print(len(MilvusIndex.open(MilvusPlace(sys.argv[1], 'photos'))))"
        )
        command = [sys.executable, "-c", script, place.uri]
        locked = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "no other process may have the file open" in locked.stderr
        second.close()
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout.split() == ["300"]

    def test_a_build_replaces_the_one_before(self, place):
        MilvusIndex.build(place, GALLERY[:50], CARD).close()
        MilvusIndex.build(place, GALLERY, CARD, ITEMS).close()
        with MilvusIndex.open(place) as index:
            assert len(index) == len(GALLERY)
        assert len(own_collections(place)) == 1

    def test_parts_are_numbered_as_they_come(self, place):
        parts = (PhotoBatch(GALLERY[a : a + 70], ITEMS[a : a + 70]) for a in range(0, 300, 70))
        with MilvusIndex.build_from(place, parts, CARD) as index:
            exact = ExactIndex(GALLERY).search(QUERIES, 10)
            np.testing.assert_array_equal(index.search(QUERIES, 10).rows, exact.rows)
            assert index.items(range(300)) == dict(enumerate(ITEMS))

    @pytest.mark.parametrize(
        ("part", "error", "message"),
        [
            (
                PhotoBatch(GALLERY * 2),
                EmbeddingError,
                "gallery embeddings from row 50 on are not L2",
            ),
            (PhotoBatch(GALLERY[:, :4]), EmbeddingError, "4 dimensions; expected 16"),
            (PhotoBatch(GALLERY, ITEMS[:3]), MilvusError, "300 embeddings but 3 items"),
        ],
    )
    def test_a_build_that_fails_changes_nothing(self, place, part, error, message):
        MilvusIndex.build(place, GALLERY[:20], CARD).close()
        with pytest.raises(error, match=message):
            MilvusIndex.build_from(place, [PhotoBatch(GALLERY[:50]), part], CARD)
        with MilvusIndex.open(place) as index:
            assert len(index) == 20
        assert len(own_collections(place)) == 1

    @pytest.mark.slow
    def test_a_killed_build_changes_nothing_and_is_swept_away(self, place):
        MilvusIndex.build(place, GALLERY[:20], CARD).close()
        script = (
            "import os, signal, sys\n"
            "from tests.retrieval.test_milvus_index import *\n"
            "def parts():\n"
            "    yield PhotoBatch(GALLERY)\n"
            "    os.kill(os.getpid(), signal.SIGKILL)\n"
            "MilvusIndex.build_from(MilvusPlace(sys.argv[1], 'photos'), parts(), CARD)"
        )
        subprocess.run([sys.executable, "-c", script, place.uri], check=False)
        assert len(own_collections(place)) == 2
        with MilvusIndex.open(place) as index:
            assert len(index) == 20
        MilvusIndex.build(place, GALLERY, CARD).close()
        assert len(own_collections(place)) == 1

    def test_names_that_begin_like_another_ones_builds_are_apart(self, place):
        other = dataclasses.replace(place, collection="photos__build_1")
        for where in (other, place, place):
            MilvusIndex.build(where, GALLERY[:20], CARD).close()
        with MilvusIndex.open(other) as index:
            assert len(index) == 20

    def test_collections_of_others_are_left_alone(self, place):
        connection = MilvusConnection(place, create=True)
        connection.client.create_collection("photos", dimension=4)
        connection.close()
        for use in (MilvusIndex.open, lambda where: MilvusIndex.build(where, GALLERY, CARD)):
            with pytest.raises(MilvusError, match="was not built by fashion-jax"):
                use(place)
        assert own_collections(place) == ["photos"]

    @pytest.mark.parametrize("text", ["", "not JSON", "[]", '{"schema": 2}', '{"schema": 1}'])
    def test_a_description_that_cannot_be_read(self, built, place, text):
        built._connection.client.alter_collection_properties(
            built._name, {milvus_collection.DESCRIPTION: text or " "}
        )
        with pytest.raises(MilvusError, match=r"its description (is damaged|has schema)"):
            MilvusIndex.open(place)


class TestServers:
    @pytest.mark.slow
    def test_an_address_instead_of_a_file(self, server):
        place = MilvusPlace(server, "photos")
        with MilvusIndex.build(place, GALLERY, CARD, ITEMS, IVF), MilvusIndex.open(place) as index:
            exact = ExactIndex(GALLERY).search(QUERIES, 300)
            np.testing.assert_array_equal(index.search(QUERIES, 300).rows, exact.rows)

    @pytest.mark.slow
    def test_other_hosts_builds_are_not_swept_away_unasked(self, server):
        place = MilvusPlace(server, "photos")
        connection = MilvusConnection(place)
        try:
            running = milvus_collection.create(connection, DIMENSIONS)
            MilvusIndex.build(place, GALLERY, CARD, settings=IVF).close()
            assert milvus_collection.left_over(connection) == [running]
            milvus_collection.drop(connection, [running])
            assert milvus_collection.left_over(connection) == []
        finally:
            connection.close()
        with MilvusIndex.open(place) as index:
            assert len(index) == len(GALLERY)

    def test_a_server_that_refuses_is_quoted_and_nothing_is_left(self, server):
        place = MilvusPlace(server, "photos")  # milvus-lite has no SCANN
        with pytest.raises(MilvusError, match="cannot build the index: unknown index_type: 'SCAN"):
            MilvusIndex.build(place, GALLERY, CARD)
        assert own_collections(place) == []

    @pytest.mark.slow
    def test_dropped_while_open(self, server):
        place = MilvusPlace(server, "photos")
        with MilvusIndex.build(place, GALLERY, CARD, settings=IVF) as index:
            MilvusIndex.build(place, GALLERY, CARD, settings=IVF).close()
            with pytest.raises(MilvusError, match="If it was rebuilt or dropped in the meantime"):
                index.search(QUERIES, 3)

    def test_secrets_are_never_shown(self):
        place = MilvusPlace(
            "http://ann:secret@127.0.0.1:1/", "photos", token="bob:hidden", timeout=2.0
        )
        with pytest.raises(MilvusError) as raised:
            MilvusIndex.open(place)
        text = f"{raised.value} {place} {place!r}"
        assert "photos at http://***@127.0.0.1:1/: cannot connect" in str(raised.value)
        assert not any(word in text for word in ("secret", "hidden"))

    @pytest.mark.parametrize(
        ("uri", "message"),
        [
            ("nowhere/no.db", "no Milvus database at .*no.db; build one with"),
            ("photos", "cannot connect: uri: photos is illegal"),
        ],
    )
    def test_wrong_addresses(self, uri, message):
        with pytest.raises(MilvusError, match=message):
            MilvusIndex.open(MilvusPlace(uri, "photos"))

    def test_no_such_collection(self, built, place):
        with pytest.raises(MilvusError, match=r"^no collection other at .*milvus build"):
            MilvusIndex.open(dataclasses.replace(place, collection="other"))

    @pytest.mark.parametrize("name", ["", "a b", "1a", "x'; drop", "a" * 201])
    def test_names_that_milvus_does_not_take(self, name):
        with pytest.raises(
            MilvusError, match="a collection's name consists of at most 200 letters"
        ):
            MilvusPlace("x.db", name)

    def test_without_pymilvus_the_error_says_what_to_do(self, place, monkeypatch):
        monkeypatch.setitem(sys.modules, "pymilvus", None)
        with pytest.raises(MilvusError, match=r"pip install 'fashion-jax\[milvus\]'"):
            MilvusIndex.open(place)
