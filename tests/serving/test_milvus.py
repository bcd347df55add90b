"""From a bulk embedding to answers from Milvus, by commands."""

import dataclasses
import json

import pytest

from fashion_jax.cli import main
from fashion_jax.datasets.dataset import open_dataset, products_of
from fashion_jax.retrieval.milvus.index import MilvusIndex, PhotoBatch
from fashion_jax.retrieval.milvus.server import MilvusPlace
from fashion_jax.serving.bulk_embedding import embed_catalogue
from fashion_jax.serving.milvus import collection_info
from tests.e2e.untrained_run import write_untrained_run
from tests.retrieval.milvus_lite import require_milvus_lite

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def gallery(tiny_config):
    return open_dataset(tiny_config.data.dataset, tiny_config.data.data_dir).split("gallery")


@pytest.fixture(scope="module")
def run(tiny_config, tmp_path_factory):
    """A run's workdir with drawn weights."""
    workdir = tmp_path_factory.mktemp("run") / "workdir"
    write_untrained_run(tiny_config, workdir)
    return workdir


@pytest.fixture(scope="module")
def flags(run, tmp_path_factory):
    """Place of the collection of the run's embeddings."""
    require_milvus_lite()
    folder = tmp_path_factory.mktemp("milvus")
    embed_catalogue(run, folder / "embeddings", photos_per_shard=6, progress=False)
    place = ["--uri", f"{folder}/photos.db", "--collection", "photos"]
    assert main(["milvus", "build", *place, "--embeddings", f"{folder}/embeddings"]) == 0
    return place


@pytest.fixture
def photo(gallery, tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(gallery.image_bytes(3))
    return path


def search(run, flags, photo, *more):
    return main(["milvus", "search", str(photo), "--workdir", str(run), *flags, *more, "--json"])


def test_info(flags, gallery, capsys):
    assert main(["milvus", "info", *flags, "--json"]) == 0
    info = json.loads(capsys.readouterr().out)
    assert (info["photos"], info["left_over"]) == (len(gallery), [])
    assert info["card"]["backbone"] == "tiny"
    assert main(["milvus", "info", *flags]) == 0
    assert "IVF_FLAT" in capsys.readouterr().out


def test_a_gallery_photo_finds_itself(run, flags, gallery, photo, capsys):
    assert search(run, flags, photo, "--k=4", "--by", "photo") == 0
    answers = json.loads(capsys.readouterr().out)["answers"]
    assert [answer["rank"] for answer in answers] == [1, 2, 3, 4]
    assert answers[0]["photo_id"] == gallery.photo_id[3]
    assert answers[0]["score"] == pytest.approx(1.0, abs=1e-4)


def test_conditions(run, flags, gallery, photo, capsys):
    category = next(name for name in gallery.category if name != gallery.category[3])
    assert (
        search(run, flags, photo, "--k=999", "--by=photo", "--where", f"category={category}") == 0
    )
    answers = json.loads(capsys.readouterr().out)["answers"]
    assert {answer["category"] for answer in answers} == {category}
    assert len(answers) == sum(gallery.category == category)
    assert search(run, flags, photo, "--where", "category='no' such") == 2
    assert "has no photo with category = 'no' such" in capsys.readouterr().err
    assert search(run, flags, photo, "--where", "price<5") == 2
    assert "a collection knows no fields of its photos" in capsys.readouterr().err
    assert search(run, flags, photo, "--by", "colour") == 2
    assert "by product or by photo, not by 'colour'" in capsys.readouterr().err


def test_products(run, flags, gallery, photo, capsys):
    assert search(run, flags, photo, "--k=3") == 0
    answers = json.loads(capsys.readouterr().out)["answers"]
    assert len({answer["product"] for answer in answers}) == 3
    products = products_of(gallery)
    assert answers[0]["product"] == products[3]
    assert answers[0]["photos"][0]["photo_id"] == gallery.photo_id[3]
    assert answers[0]["count"] == products.count(products[3])


def test_another_models_collection_is_refused(run, flags, photo, tmp_path, capsys):
    stored = collection_info(MilvusPlace(flags[1], "photos")).card
    other = dataclasses.replace(stored, weights_hash="0", embedding_width=2)
    place = MilvusPlace(str(tmp_path / "other.db"), "photos")
    MilvusIndex.build_from(place, [PhotoBatch([[1.0, 0.0]])], other).close()
    assert search(run, ["--uri", place.uri, "--collection", "photos"], photo) == 2
    assert "weights_hash" in capsys.readouterr().err


def test_removed_photos_are_not_found(run, flags, gallery, photo, capsys):
    name = str(gallery.photo_id[3])
    assert main(["milvus", "remove", "--photo_id", name, "no such", *flags]) == 0
    text = capsys.readouterr().out
    assert f"1 photos removed; {len(gallery) - 1} now" in text
    assert "not found: no such" in text
    assert search(run, flags, photo, "--k=999", "--by", "photo") == 0
    answers = json.loads(capsys.readouterr().out)["answers"]
    assert len(answers) == len(gallery) - 1
    assert name not in {answer["photo_id"] for answer in answers}


def test_clean(flags, capsys):
    assert main(["milvus", "clean", *flags]) == 0
    assert capsys.readouterr().out.startswith("0 unfinished builds dropped")
