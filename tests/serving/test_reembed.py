"""All photos of an index are embedded again, from where they lie, each once."""

import dataclasses
import hashlib

import cv2
import msgspec
import numpy as np
import pytest

from fashion_jax.datasets.boxes import Box
from fashion_jax.datasets.dataset import open_dataset
from fashion_jax.datasets.photos import decode_photo, decode_record, encode_jpeg, encode_thumbnail
from fashion_jax.errors import FashionJaxError
from fashion_jax.files import StorageError
from fashion_jax.inference.card import ModelCardError
from fashion_jax.inference.model import EmbeddingModel
from fashion_jax.locks import InUseError
from fashion_jax.retrieval.catalogue import Catalogue, Item, ItemTable, Origin
from fashion_jax.retrieval.catalogue.changes import add_photos, remove_photos
from fashion_jax.retrieval.catalogue.generations import GROWING, NEXT, open_for
from fashion_jax.retrieval.catalogue.manifest import Manifest
from fashion_jax.retrieval.catalogue.next_generation import sole_reembed
from fashion_jax.serving import photo_reader, reembed
from fashion_jax.serving.build_index import items_of, thumbnails_of
from fashion_jax.serving.photo_reader import PhotoReader
from tests.inference.cards import CARD

SIDE = 4
NAMES = [f"{number}.jpg" for number in range(7)]
BOX = Box(0.25, 0.5, 0.5, 0.25)


class Model(EmbeddingModel):
    """A model whose embeddings are the photos, made small; each model exchanges other colours."""

    def __init__(self, name):
        card = dataclasses.replace(CARD, embedding_width=3 * SIDE**2, weights_hash=name)
        object.__setattr__(self, "card", card)  # the class is frozen
        self.colours = {"old": 0, "new": 1, "third": 2}[name]
        self.embedded = 0
        self.stopped_at = None

    def embed(self, photos, batch_size=None):
        vectors = []
        for photo in photos:
            if self.embedded == self.stopped_at:
                raise KeyboardInterrupt
            self.embedded += 1
            vectors.append(self.vector(photo))
        return np.array(vectors, np.float32).reshape(-1, 3 * SIDE**2)

    def vector(self, photo):
        pixels = np.roll(photo, self.colours, axis=2).astype(np.float32)
        small = cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA).ravel() + 1
        return small / np.linalg.norm(small)


@pytest.fixture
def models(monkeypatch):
    found = {name: Model(name) for name in ("old", "new", "third")}
    monkeypatch.setattr(reembed, "load_model", found.__getitem__)
    monkeypatch.setattr(reembed, "PHOTOS_AT_ONCE", 2)
    return found


@pytest.fixture
def photos(tmp_path):
    """A folder of photos, and one that is not in the index yet."""
    for name in [*NAMES, "more.jpg"]:
        write_photo(tmp_path / "photos" / name, name)
    return tmp_path / "photos"


@pytest.fixture
def index(models, photos, tmp_path):
    add(tmp_path / "index", [photos / name for name in NAMES], models["old"])
    return tmp_path / "index"


def write_photo(path, seed):
    path.parent.mkdir(exist_ok=True)
    rng = np.random.default_rng(list(seed.encode()))
    blocks = rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    path.write_bytes(encode_jpeg(cv2.resize(blocks, (240, 200), interpolation=cv2.INTER_CUBIC)))


def add(index, paths, model, replace=False):
    """Write or extend an index of files; of the first of seven, only a box."""
    items = [Item(path.name, f"P{path.name}", "tops", "shop", {"price": 5.0}) for path in paths]
    origins = [Origin(str(path), box_of(path.name), "fraction") for path in paths]
    reader = PhotoReader(ItemTable.of(items, origins), progress=False)
    embeddings = model.embed(reader.pixels())
    parts = embeddings, reader.items(), reader.thumbnails, model.card
    if index.exists():
        add_photos(index, *parts, replace)
    else:
        Catalogue.write(index, *parts, "exact")
    model.embedded = 0


def box_of(name):
    return BOX if name == "0.jpg" else None


def pixels_of(path):
    pixels = decode_photo(path.read_bytes())
    return pixels[100:150, 60:180] if box_of(path.name) else pixels


def again(index, workdir="new", **options):
    return reembed.reembed_index(workdir, index, progress=False, **options)


def assert_is(catalogue, paths, model):
    """A catalogue holds these photos, as they lie there, embedded by this model."""
    assert catalogue.card == model.card
    assert [item.photo_id for item in catalogue.items] == [path.name for path in paths]
    expected = np.array([model.vector(pixels_of(path)) for path in paths])
    np.testing.assert_allclose(catalogue.embeddings, expected, atol=1e-6)
    for row, path in enumerate(paths):
        assert catalogue.thumbnail(row) == encode_thumbnail(pixels_of(path))
        origin = catalogue.items.origin(row)
        assert origin.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert (origin.source, origin.size) == (str(path), path.stat().st_size)
        assert (origin.box, origin.mtime_ns) == (box_of(path.name), path.stat().st_mtime_ns)


def paths_of(photos, *more):
    return [photos / name for name in [*NAMES, *more]]


def test_all_photos_are_embedded_again_and_exchanged(index, photos, models):
    before = list(Catalogue.open(index).items)
    result = again(index)
    assert (result.state, result.photos, result.embedded) == ("exchanged", 7, 7)
    assert_is(Catalogue.open(index), paths_of(photos), models["new"])
    assert list(Catalogue.open(index).items) == before
    assert "7 photos embedded, 7 in all" in result.to_table()
    assert msgspec.to_builtins(result)["state"] == "exchanged"
    result = again(index)
    assert (result.state, result.photos, result.embedded) == ("unchanged", 7, 0)
    assert "nothing to do" in result.to_table()


def test_an_interrupted_call_goes_on_without_embedding_twice(index, photos, models):
    models["new"].stopped_at = 5
    with pytest.raises(KeyboardInterrupt):
        again(index)
    models["new"].stopped_at = None
    with pytest.raises(ModelCardError, match="4 photos so far"):
        open_for(index, models["new"].card)
    assert again(index).embedded == 7 - 4  # stored two by two
    assert_is(Catalogue.open(index), paths_of(photos), models["new"])


class TestPhotosThatCannotBeReadAgain:
    def test_are_named_before_any_is_embedded(self, index, photos, models):
        (photos / "1.jpg").unlink()
        (photos / "4.jpg").unlink()
        said = r"2 of 7 photos.*2 not at its place \(1\.jpg, 4\.jpg\).*Nothing was.*--skip_bad"
        with pytest.raises(FashionJaxError, match=said):
            again(index)
        assert models["new"].embedded == 0
        assert Catalogue.open(index).card == models["old"].card

    def test_are_named_before_anything_is_exchanged(self, index, photos, models):
        (photos / "2.jpg").write_bytes((photos / "2.jpg").read_bytes()[:99])
        with pytest.raises(FashionJaxError, match=r"1 of 7 photos.*1 truncated \(2\.jpg\)"):
            again(index)
        assert models["new"].embedded == 6
        assert Catalogue.open(index).card == models["old"].card
        write_photo(photos / "2.jpg", "2.jpg")
        assert again(index).embedded == 1
        assert_is(Catalogue.open(index), paths_of(photos), models["new"])

    def test_are_left_out_if_asked_for(self, index, photos, models):
        (photos / "1.jpg").unlink()
        (photos / "6.jpg").write_bytes(b"<html>")
        result = again(index, skip_bad=True)
        assert (result.photos, result.embedded) == (5, 5)
        assert result.left_out == {"not at its place": ["1.jpg"], "not an image": ["6.jpg"]}
        assert "left out: 1 not at its place (1.jpg); 1 not an image (6.jpg)" in result.to_table()
        kept = [photos / name for name in NAMES if name not in ("1.jpg", "6.jpg")]
        assert_is(Catalogue.open(index), kept, models["new"])

    def test_are_not_all_left_out(self, index, photos, models):
        photos.rename(photos.parent / "moved")
        with pytest.raises(FashionJaxError, match=r"7 of 7 photos cannot be read again"):
            again(index, skip_bad=True)

    def test_may_lie_in_another_folder(self, index, photos, models):
        moved = photos.rename(photos.parent / "moved")
        again(index, photos=moved)
        assert_is(Catalogue.open(index), paths_of(moved), models["new"])
        with pytest.raises(FashionJaxError, match=r"--photos .*photos is not a folder"):
            again(index, photos=photos)

    def test_of_unknown_origin(self, tmp_path, models):
        vectors, items = np.eye(2, 3 * SIDE**2), [Item(name, "", "", "shop") for name in "ab"]
        Catalogue.write(tmp_path / "i", vectors, items, [b"\xff\xd8\xff"] * 2, models["old"].card)
        with pytest.raises(FashionJaxError, match=r"2 of unknown origin \(a, b\)"):
            again(tmp_path / "i")


def test_photos_with_other_bytes_are_embedded_as_they_are_and_named(index, photos, models):
    write_photo(photos / "3.jpg", "another")
    models["new"].stopped_at = 5
    with pytest.raises(KeyboardInterrupt):
        again(index)
    models["new"].stopped_at = None
    result = again(index)
    assert (result.embedded, result.changed_files) == (3, ["3.jpg"])
    assert "1 photos have changed files: 3.jpg" in result.to_table()
    assert_is(Catalogue.open(index), paths_of(photos), models["new"])


def test_thumbnails_of_unchanged_files_are_kept(index, photos, models, monkeypatch):
    monkeypatch.setattr(photo_reader, "encode_thumbnail", None)
    again(index)
    assert_is(Catalogue.open(index), paths_of(photos), models["new"])


class TestPrepared:
    def test_answers_both_models_until_the_exchange(self, index, photos, models):
        result = again(index, prepare=True)
        assert (result.state, result.photos, result.embedded) == ("prepared", 7, 7)
        assert "run the same command without --prepare" in result.to_table()
        for name in ("old", "new"):
            model, catalogue = models[name], open_for(index, models[name].card)
            assert_is(catalogue, paths_of(photos), model)
            query = model.embed([pixels_of(photos / "5.jpg")])
            assert catalogue.search(query, 1, model.card)[0][0].item.photo_id == "5.jpg"
        assert again(index).embedded == 0
        assert_is(Catalogue.open(index), paths_of(photos), models["new"])

    def test_takes_changes_along(self, index, photos, models):
        again(index, prepare=True)
        add(index, [photos / "more.jpg"], models["old"])
        remove_photos(index, ["0.jpg"])
        write_photo(photos / "5.jpg", "another")
        add(index, [photos / "5.jpg"], models["old"], replace=True)
        result = again(index)
        assert (result.photos, result.embedded, result.changed_files) == (7, 2, [])
        expected = [photos / f"{name}.jpg" for name in ("1", "2", "3", "4", "6", "more", "5")]
        assert_is(Catalogue.open(index), expected, models["new"])

    def test_is_brought_up_to_date_by_another_call(self, index, photos, models):
        again(index, prepare=True)
        add(index, [photos / "more.jpg"], models["old"])
        assert again(index, prepare=True).embedded == 1
        assert_is(open_for(index, models["new"].card), paths_of(photos, "more.jpg"), models["new"])


def test_photos_that_come_while_others_are_embedded(index, photos, models, monkeypatch):
    embed = models["new"].embed

    def embed_and_add(pixels):
        monkeypatch.setattr(models["new"], "embed", embed)
        add(index, [photos / "more.jpg"], models["old"])
        return embed(pixels)

    monkeypatch.setattr(models["new"], "embed", embed_and_add)
    assert again(index).embedded == 8
    assert_is(Catalogue.open(index), paths_of(photos, "more.jpg"), models["new"])


def test_photos_that_come_at_the_last_moment(index, photos, models, monkeypatch):
    prepare = reembed.next_generation.prepare

    def prepare_and_add(folder, present):
        place = prepare(folder, present)
        monkeypatch.setattr(reembed.next_generation, "prepare", prepare)
        add(index, [photos / "more.jpg"], models["old"])
        return place

    monkeypatch.setattr(reembed.next_generation, "prepare", prepare_and_add)
    assert again(index).embedded == 8
    assert_is(Catalogue.open(index), paths_of(photos, "more.jpg"), models["new"])


def test_damaged_parts_are_embedded_again(index, photos, models):
    models["new"].stopped_at = 5
    with pytest.raises(KeyboardInterrupt):
        again(index)
    models["new"].stopped_at = None
    name = Manifest.read(index / GROWING).segments[0].data
    (index / GROWING / name / "embeddings.npy").write_bytes(b"lost")
    result = again(index)
    assert (result.embedded, list(result.damaged)) == (7 - 2, [name])
    assert f"damaged parts, embedded again: {name}" in result.to_table()
    assert_is(Catalogue.open(index), paths_of(photos), models["new"])


def test_a_second_call_is_refused_by_name(index, models):
    with sole_reembed(index), pytest.raises(InUseError, match=r"embedding .*index again: process"):
        again(index)


def test_the_embeddings_of_a_third_model_are_refused_by_name(index, photos, models):
    models["third"].stopped_at = 3
    with pytest.raises(KeyboardInterrupt):
        again(index, "third")
    with pytest.raises(ModelCardError, match=r"unfinished .*weights third.*weights new.*--discard"):
        again(index)
    assert again(index, discard=True).embedded == 7
    assert_is(Catalogue.open(index), paths_of(photos), models["new"])
    assert not (index / GROWING).exists()
    assert not (index / NEXT).exists()


def test_there_has_to_be_an_index(tmp_path, models):
    with pytest.raises(StorageError, match="is not a catalogue"):
        again(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_photos_of_a_built_dataset(tmp_path, models, tiny_config):
    gallery = open_dataset(tiny_config.data.dataset, tiny_config.data.data_dir).split("gallery")
    pixels = [decode_record(gallery.image_bytes(row)) for row in range(len(gallery))]
    parts = models["old"].embed(pixels), items_of(gallery), thumbnails_of(gallery)
    before = Catalogue.write(tmp_path / "index", *parts, models["old"].card)
    assert again(tmp_path / "index").embedded == len(gallery)
    catalogue = Catalogue.open(tmp_path / "index")
    np.testing.assert_array_equal(catalogue.embeddings, models["new"].embed(pixels))
    assert list(catalogue.items) == list(before.items)
    for row in range(len(gallery)):
        assert catalogue.thumbnail(row) == before.thumbnail(row)
        assert catalogue.items.origin(row).source == before.items.origin(row).source
    again(tmp_path / "index", "old")  # whose checksums are known by now
    np.testing.assert_array_equal(Catalogue.open(tmp_path / "index").embeddings, parts[0])
