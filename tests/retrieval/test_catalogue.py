import dataclasses
import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from fashion_jax.errors import FashionJaxError
from fashion_jax.files import StorageError
from fashion_jax.inference.card import ModelCardError
from fashion_jax.retrieval import storage
from fashion_jax.retrieval.catalogue import Catalogue, CatalogueError, Item
from fashion_jax.retrieval.catalogue.contents import Contents
from fashion_jax.retrieval.catalogue.manifest import SCHEMA
from fashion_jax.retrieval.exact import ExactIndex
from fashion_jax.retrieval.index import EmbeddingError
from tests.inference import cards
from tests.retrieval.unit_vectors import clustered

PHOTOS, DIMENSIONS = 40, 8
EMBEDDINGS = clustered(PHOTOS, DIMENSIONS, 10)
QUERIES = clustered(3, DIMENSIONS, 10, seed=1)
ITEMS = [Item(f"photo/{i} é\u2028.jpg", str(i // 2), "dresses", "shop") for i in range(PHOTOS)]
CARD = dataclasses.replace(cards.CARD, embedding_width=DIMENSIONS)


def jpeg(shade):
    file = io.BytesIO()
    Image.new("RGB", (16, 12), (shade, shade, shade)).save(file, "JPEG")
    return file.getvalue()


THUMBNAILS = [jpeg(5 * i) for i in range(PHOTOS)]


def write(folder, kind="exact", card=CARD, rows=PHOTOS):
    parts = EMBEDDINGS[:rows], ITEMS[:rows], iter(THUMBNAILS[:rows])
    return Catalogue.write(folder, *parts, card, kind)


def files_of(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.fixture(params=["exact", "scann"])
def kind(request):
    return request.param


def test_what_was_written_is_read(tmp_path, kind):
    write(tmp_path / "index", kind)
    catalogue = Catalogue.open(tmp_path / "index")
    assert len(catalogue) == PHOTOS
    assert (catalogue.kind, catalogue.card) == (kind, CARD)
    assert list(catalogue.items) == ITEMS
    np.testing.assert_array_equal(catalogue.embeddings, EMBEDDINGS)
    assert [catalogue.thumbnail(row) for row in (0, 39, 7)] == [
        THUMBNAILS[row] for row in (0, 39, 7)
    ]


def test_search_gives_names_and_scores(tmp_path, kind):
    catalogue = write(tmp_path / "index", kind)
    answers = catalogue.search(QUERIES, 5, CARD)
    expected = ExactIndex(EMBEDDINGS).search(QUERIES, 5)
    assert [[hit.row for hit in hits] for hits in answers] == expected.rows.tolist()
    assert [hit.rank for hit in answers[0]] == [1, 2, 3, 4, 5]
    assert answers[0][0].item == ITEMS[answers[0][0].row]
    scores = [[hit.score for hit in hits] for hits in answers]
    np.testing.assert_allclose(scores, expected.scores, atol=1e-6)


def test_a_moved_catalogue_opens(tmp_path, kind, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = write("index", kind).search(QUERIES, 5, CARD)
    shutil.move("index", tmp_path / "elsewhere")
    catalogue = Catalogue.open(tmp_path / "elsewhere")
    assert catalogue.search(QUERIES, 5, CARD) == before
    assert catalogue.thumbnail(3) == THUMBNAILS[3]


def test_everything_but_photos_and_numbers_is_text(tmp_path, kind):
    write(tmp_path / "index", kind)
    assert not [name for name in files_of(tmp_path) if name.endswith((".pkl", ".pickle"))]
    manifest = json.loads((tmp_path / "index" / "manifest.json").read_text())
    assert manifest["schema"] == SCHEMA
    assert (manifest["segments"][0]["rows"], manifest["card"]["backbone"]) == (PHOTOS, "resnet50")
    assert str(tmp_path) not in (tmp_path / "index" / "manifest.json").read_text()


def test_damaged_files_are_named(tmp_path, kind):
    write(tmp_path / "index", kind)
    (segment,) = json.loads((tmp_path / "index" / "manifest.json").read_text())["segments"]
    assert {"embeddings.npy", "thumbnails.array_record"} <= set(segment["files"])
    for name in segment["files"]:
        path = tmp_path / "index" / segment["data"] / name
        good = path.read_bytes()
        path.write_bytes(good + b"x")
        with pytest.raises(StorageError, match=f"wrong checksum {name}"):
            Catalogue.open(tmp_path / "index")
        path.unlink()
        with pytest.raises(StorageError, match=f"missing {name}"):
            Catalogue.open(tmp_path / "index")
        path.write_bytes(good)
    Catalogue.open(tmp_path / "index")


def test_a_folder_without_a_catalogue_is_named(tmp_path):
    with pytest.raises(StorageError, match=rf"{tmp_path} is not a catalogue"):
        Catalogue.open(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"segments": None},
        {"kind": "hnsw"},
        {"segments": [{"data": "data-1"}]},
        {"segments": [{"data": "../x", "rows": 1, "index": "exact", "files": {}, "search": None}]},
    ],
)
def test_a_manifest_that_makes_no_sense_is_named(tmp_path, change):
    write(tmp_path / "index")
    path = tmp_path / "index" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(StorageError, match=r"manifest\.json is damaged.*make it again"):
        Catalogue.open(tmp_path / "index")


def test_catalogues_of_another_schema_are_refused(tmp_path, kind):
    write(tmp_path / "index", kind)
    path = tmp_path / "index" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": 2}))
    with pytest.raises(StorageError, match=f"has schema 2; .* reads {SCHEMA}"):
        Catalogue.open(tmp_path / "index")


def test_an_opened_catalogue_survives_its_files(tmp_path, kind):
    catalogue = write(tmp_path / "index", kind)
    shutil.rmtree(tmp_path / "index")
    assert catalogue.search(EMBEDDINGS[3:4], 1, CARD)[0][0].row == 3
    assert catalogue.thumbnail(7) == THUMBNAILS[7]
    np.testing.assert_array_equal(catalogue.embeddings, EMBEDDINGS)


def test_queries_of_another_model_are_refused_by_field(tmp_path):
    catalogue = write(tmp_path / "index")
    other = dataclasses.replace(CARD, weights_hash="def", stem_relu=False)
    with pytest.raises(ModelCardError, match=r"(?s)stem_relu: the catalogue has True.*'def'"):
        catalogue.search(QUERIES, 5, other)


def test_replacing_leaves_only_the_new_one(tmp_path, kind):
    write(tmp_path / "index", "scann")
    newer = dataclasses.replace(CARD, weights_hash="newer")
    catalogue = write(tmp_path / "index", kind, newer, rows=20)
    assert (len(catalogue), catalogue.card) == (20, newer)
    assert len(files_of(tmp_path / "index")) == len(
        files_of((write(tmp_path / "fresh", kind, newer, rows=20), tmp_path / "fresh")[1])
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fresh", "index"]


def interrupted_thumbnails():
    yield THUMBNAILS[0]
    raise KeyboardInterrupt


def test_an_interrupted_first_write_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        Catalogue.write(tmp_path / "index", EMBEDDINGS, ITEMS, interrupted_thumbnails(), CARD)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_replacement_leaves_the_old_one(tmp_path):
    write(tmp_path / "index")
    before = files_of(tmp_path)
    newer = dataclasses.replace(CARD, weights_hash="newer")
    with pytest.raises(KeyboardInterrupt):
        Catalogue.write(tmp_path / "index", EMBEDDINGS, ITEMS, interrupted_thumbnails(), newer)
    assert files_of(tmp_path) == before
    assert Catalogue.open(tmp_path / "index").card == CARD


def test_replaced_while_being_opened(tmp_path, monkeypatch):
    write(tmp_path / "index")
    newer = dataclasses.replace(CARD, weights_hash="newer")
    verify, calls = storage.verify, []

    def replace_first(folder, expected):
        monkeypatch.setattr(storage, "verify", verify)
        calls.append(write(tmp_path / "index", card=newer))
        verify(folder, expected)

    monkeypatch.setattr(storage, "verify", replace_first)
    assert Catalogue.open(tmp_path / "index").card == newer
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("embeddings", "items", "thumbnails", "message"),
    [
        (EMBEDDINGS, ITEMS[:-1], THUMBNAILS, "40 embeddings but 39 items"),
        (EMBEDDINGS, ITEMS, THUMBNAILS[:-1], "40 embeddings but 39 thumbnails"),
        (EMBEDDINGS, ITEMS, [*THUMBNAILS, THUMBNAILS[0]], "40 embeddings but 41 thumbnails"),
        (EMBEDDINGS[:0], [], [], "no photos; a segment needs at least one"),
        (EMBEDDINGS, ITEMS, [THUMBNAILS[0], b"<html>"], "thumbnail of row 1 is not a JPEG"),
    ],
)
def test_parts_that_do_not_fit_are_refused(tmp_path, embeddings, items, thumbnails, message):
    with pytest.raises(CatalogueError, match=message):
        Catalogue.write(tmp_path / "index", embeddings, items, thumbnails, CARD)
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_no_text_is_refused(tmp_path):
    items = [*ITEMS[:-1], dataclasses.replace(ITEMS[-1], photo_id="a\udcff")]
    with pytest.raises(CatalogueError, match=r"text cannot be stored: .*surrogates"):
        Catalogue.write(tmp_path / "index", EMBEDDINGS, items, THUMBNAILS, CARD)
    assert list(tmp_path.iterdir()) == []


def test_embeddings_of_another_width_than_the_cards_are_refused(tmp_path):
    wider = dataclasses.replace(CARD, embedding_width=DIMENSIONS + 1)
    with pytest.raises(EmbeddingError, match="8 dimensions; expected 9"):
        write(tmp_path / "index", card=wider)


def test_an_unknown_kind_is_refused(tmp_path):
    with pytest.raises(FashionJaxError, match="'hnsw'; choose from auto, exact, scann"):
        write(tmp_path / "index", kind="hnsw")


def test_thumbnails_that_vanish_once_they_are_checked(tmp_path):
    """As a writer's do that goes on to remove them: the reader of array_record is silent then."""
    write(tmp_path / "index")
    (segment,) = Contents(tmp_path / "index").segments
    segment._check(*segment.entry.files)
    (segment.folder / "thumbnails.array_record").unlink()
    with pytest.raises(StorageError, match=r"thumbnails\.array_record cannot be opened"):
        segment.open()


@pytest.mark.parametrize("row", [-1, PHOTOS])
def test_a_row_that_does_not_exist_has_no_thumbnail(tmp_path, row):
    with pytest.raises(IndexError, match=f"row {row} is out of range for a catalogue of 40"):
        write(tmp_path / "index").thumbnail(row)
