"""`fashion-jax index` and what follows from it, on a run of the tiny dataset."""

import dataclasses
import functools
import json
import shutil

import numpy as np
import pytest

from fashion_jax.cli import main
from fashion_jax.datasets.dataset import open_dataset
from fashion_jax.inference.model import load_model
from fashion_jax.retrieval import make_index
from fashion_jax.retrieval.catalogue import Catalogue
from fashion_jax.retrieval.scann_settings import ScannSettings
from fashion_jax.serving import build_index, tune_index
from fashion_jax.serving import search as search_module
from fashion_jax.serving import tune_index as catalogue_tune
from tests.e2e.untrained_run import write_untrained_run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny_config):
    """A workdir with a network, and an index of the gallery; its network is compiled once."""
    workdir = tmp_path_factory.mktemp("run")
    write_untrained_run(tiny_config, workdir)
    load = functools.cache(load_model)
    with pytest.MonkeyPatch.context() as patch:
        for module in (build_index, search_module, tune_index):
            patch.setattr(module, "load_model", lambda folder: load(str(folder)))
        assert main(["index", "build", "--workdir", str(workdir)]) == 0
        yield workdir


@pytest.fixture(scope="module")
def dataset(tiny_data_dir):
    return open_dataset("synthetic_street2shop", tiny_data_dir)


@pytest.fixture
def index(run, tmp_path):
    shutil.copytree(run / "index", tmp_path / "index")
    return tmp_path / "index"


@pytest.fixture
def photos(dataset, tmp_path):
    """A folder with five photos that are not in the gallery."""
    query = dataset.split("query")
    (tmp_path / "photos" / "more").mkdir(parents=True)
    for row in range(5):
        name = f"more/{row}.jpg" if row > 2 else f"{row}.jpg"
        (tmp_path / "photos" / name).write_bytes(query.image_bytes(row))
    return tmp_path / "photos"


def call(capsys, *arguments):
    """Call a command that succeeds; return what it prints."""
    capsys.readouterr()
    assert main(list(map(str, arguments))) == 0
    return capsys.readouterr().out


def refused(capsys, *arguments):
    """Call a command that is refused; return what it says."""
    capsys.readouterr()
    assert main(list(map(str, arguments))) == 2
    return capsys.readouterr().err


def search(capsys, run, index, photo, *arguments):
    place = ["--workdir", run, "--index", index, "--picture", index.parent / "p.png"]
    asked = [*place, "--by", "photo", "--json", *arguments]
    return json.loads(call(capsys, "search", photo, *asked))["answers"]


def test_build_of_another_split(run, dataset, tmp_path, capsys):
    arguments = ["--workdir", run, "--index", tmp_path / "i", "--split", "query"]
    said = call(capsys, "index", "build", *arguments, "--kind", "scann")
    assert f"{len(dataset.split('query'))} photos of synthetic_street2shop in a ScaNN ind" in said
    catalogue = Catalogue.open(tmp_path / "i")
    assert catalogue.kind == "scann"
    assert [item.photo_id for item in catalogue.items] == list(dataset.split("query").photo_id)


def test_added_photos_are_found_until_they_are_removed(run, index, photos, capsys):
    before = len(Catalogue.open(index))
    arguments = ["--workdir", run, "--index", index, "--photos", photos, "--category", "hats"]
    said = call(capsys, "index", "add", *arguments, "--product", "0077")
    assert f"5 photos added; {before + 5} now" in said
    (best, *_) = search(capsys, run, index, photos / "more" / "3.jpg")
    assert best["score"] == pytest.approx(1.0, abs=1e-4)
    assert (best["photo_id"], best["category"], best["product"]) == ("more/3.jpg", "hats", "0077")
    plain = (index.parent / "p.png").read_bytes()
    assert search(capsys, run, index, photos / "more" / "3.jpg", "--explain")[0] == best
    assert (index.parent / "p.png").read_bytes() != plain
    said = refused(capsys, "search", "--index", index, "--like", "0077", "--explain")
    assert "an explanation is drawn of a photo, in a picture" in said
    only_hats = search(capsys, run, index, photos / "0.jpg", "--where", "category=hats")
    assert {answer["photo_id"] for answer in only_hats} == {
        "0.jpg",
        "1.jpg",
        "2.jpg",
        "more/3.jpg",
        "more/4.jpg",
    }
    (index.parent / "names.txt").write_text("0.jpg\n1.jpg\n")
    remove = ["index", "remove", "--index", index]
    assert "2 photos removed" in call(capsys, *remove, "--from", index.parent / "names.txt")
    assert "1 photos removed" in call(capsys, *remove, "--photo_id", "more/3.jpg")
    assert search(capsys, run, index, photos / "more" / "3.jpg")[0]["photo_id"] != "more/3.jpg"
    assert "0.jpg" in refused(capsys, *remove, "--photo_id", "0.jpg", "2.jpg")
    assert "2 photos removed" in call(capsys, *remove, "--product", "0077")
    assert "0 photos removed" in call(capsys, *remove, "--product", "0077", "--missing_ok")
    assert len(Catalogue.open(index)) == before


def test_added_photos_are_embedded_as_searched_ones(run, index, photos, capsys):
    call(capsys, "index", "add", "--workdir", run, "--index", index, "--photos", photos)
    catalogue = Catalogue.open(index)
    model = search_module.load_model(run)
    pixels = [search_module.read_query(photos / f"{row}.jpg") for row in range(3)]
    alone = np.concatenate([model.embed([each]) for each in pixels])
    added = catalogue.embeddings[-5:-2]
    np.testing.assert_allclose(alone, added, atol=1e-5)
    assert catalogue.thumbnail(len(catalogue) - 1).startswith(b"\xff\xd8\xff")


def test_a_list_names_category_and_product(run, index, photos, capsys):
    (index.parent / "list.csv").write_text("photo,category,product\n0.jpg,hats,005\n1.jpg,,\n")
    arguments = ["--workdir", run, "--index", index, "--photos", photos]
    call(capsys, "index", "add", *arguments, "--list", index.parent / "list.csv")
    items = Catalogue.open(index).items[-2:]
    assert [(i.photo_id, i.category, i.product) for i in items] == [
        ("0.jpg", "hats", "005"),
        ("1.jpg", "item", ""),
    ]


def test_photos_that_are_there_are_refused_or_replaced(run, index, photos, capsys):
    arguments = ["index", "add", "--workdir", run, "--index", index, "--photos"]
    call(capsys, *arguments, photos / "0.jpg")
    total = len(Catalogue.open(index))
    assert "1 of the 5 photos are in the catalogue already: 0.jpg" in refused(
        capsys, *arguments, photos
    )
    assert len(Catalogue.open(index)) == total
    assert "1 replaced" in call(capsys, *arguments, photos, "--replace")
    assert len(Catalogue.open(index)) == total + 4


def test_bad_photos_are_counted_and_named(run, index, photos, capsys):
    (photos / "page.jpg").write_bytes(b"<html>")
    (photos / "nothing.jpg").write_bytes(b"")
    (photos / "half.jpg").write_bytes((photos / "0.jpg").read_bytes()[:300])
    total = len(Catalogue.open(index))
    arguments = ["index", "add", "--workdir", run, "--index", index, "--photos", photos]
    said = refused(capsys, *arguments)
    assert "3 of 8 photos cannot be used" in said
    for part in ("1 truncated (half.jpg)", "1 empty (nothing.jpg)", "1 not an image (page.jpg)"):
        assert part in said
    assert len(Catalogue.open(index)) == total
    said = call(capsys, *arguments, "--skip_bad")
    assert "5 photos added" in said
    assert "left out: 1 truncated (half.jpg)" in said
    only_bad = ["index", "add", "--workdir", run, "--index", index, "--skip_bad", "--photos"]
    assert "1 of 1 photos cannot be used" in refused(capsys, *only_bad, photos / "page.jpg")


def test_a_split_is_added(run, index, dataset, capsys):
    total = len(Catalogue.open(index))
    arguments = ["index", "add", "--workdir", run, "--index", index, "--split"]
    call(capsys, *arguments, "query")
    items = Catalogue.open(index).items[total:]
    assert [item.photo_id for item in items] == list(dataset.split("query").photo_id)
    assert items[0].domain == "street"
    assert "are in the catalogue already" in refused(capsys, *arguments, "gallery")


def test_info(run, index, dataset, capsys):
    photos = len(dataset.split("gallery"))
    lines = call(capsys, "index", "info", "--workdir", run).splitlines()
    assert ["photos", str(photos)] in [line.split() for line in lines]
    values = json.loads(call(capsys, "index", "info", "--index", index, "--json"))
    assert (values["photos"], values["kind"]) == (photos, "auto")


def test_compact(run, index, photos, capsys):
    assert "nothing to do" in call(capsys, "index", "compact", "--index", index)
    call(capsys, "index", "add", "--workdir", run, "--index", index, "--photos", photos)
    assert "compacted" in call(capsys, "index", "compact", "--index", index)
    assert len(Catalogue.open(index).segments) == 1


@pytest.fixture
def hashed(run, tmp_path, monkeypatch, capsys):
    """An index of so few photos that only a test would hash them."""
    monkeypatch.setattr(make_index, "FASTER_FROM", 10)
    monkeypatch.setattr(ScannSettings, "for_rows", lambda rows: ScannSettings(reorder=20))
    call(capsys, "index", "build", "--workdir", run, "--index", tmp_path / "hashed")
    return tmp_path / "hashed"


@pytest.mark.parametrize("source", [[], ["--split", "query"]])
def test_tune(run, hashed, capsys, source):
    arguments = ["--workdir", run, "--index", hashed, "--recall", 0.5, "--k", 3, "--queries", 9]
    picture = hashed.parent / "curve.png"
    said = call(capsys, "index", "tune", *arguments, *source, "--picture", picture)
    assert "9 queries, wanted recall 0.5" in said
    assert "chosen" in said
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "tuned: recall@3" in call(capsys, "index", "info", "--index", hashed)
    values = json.loads(call(capsys, "index", "tune", *arguments, *source, "--json"))
    (tuning,) = values["segments"].values()
    assert tuning["chosen"] in tuning["points"]


def test_tune_says_what_it_cannot_reach(hashed, capsys, monkeypatch):
    monkeypatch.setattr(catalogue_tune, "measure", never_enough(catalogue_tune.measure))
    said = refused(capsys, "index", "tune", "--index", hashed, "--recall", 1, "--k", 3)
    assert "no settings reach a recall of 1; the best reach 0.25" in said


def never_enough(measure):
    def measured(*arguments):
        tuning = measure(*arguments)
        points = [dataclasses.replace(point, recall=0.25) for point in tuning.points]
        return dataclasses.replace(tuning, points=points, chosen=None)

    return measured


def test_exact_search_is_not_tuned(index, capsys):
    assert "nothing to tune" in call(capsys, "index", "tune", "--index", index)


def test_fields_of_a_list_are_added_and_searched_by(run, index, photos, capsys):
    feed = index.parent / "feed.csv"
    feed.write_text("photo,product,price,ean\n0.jpg,00123,9.50,17\n1.jpg,19,N/A,18\n")
    add = ["index", "add", "--workdir", run, "--index", index, "--photos", photos, "--list", feed]
    assert "price has words among its numbers" in refused(capsys, *add)
    assert "ena" in refused(capsys, *add, "--none", "N/A", "--types", "ena=text")
    call(capsys, *add, "--none", "N/A", "--types", "ean=text")
    found = search(capsys, run, index, photos / "1.jpg", "--where", "price<10")
    assert [(each["product"], each["fields"]) for each in found] == [
        ("00123", {"price": 9.5, "ean": "17"})
    ]


def test_a_category_that_no_photo_has_is_named(run, index, photos, capsys):
    place = ["--workdir", run, "--index", index, "--picture", "none"]
    said = call(capsys, "search", photos / "0.jpg", *place, "--where", "category=nothing")
    assert "0 photos meet the conditions" in said
    assert "no photo has the category 'nothing'" in said
    said = refused(capsys, "search", photos / "0.jpg", *place, "--where", "categry=x")
    assert "no field 'categry'; choose from photo_id, product, category" in said
    assert "; did you mean 'category'?" in said


def test_products_that_are_like_another(run, index, capsys):
    items = Catalogue.open(index).items
    name = items[0].product
    place = ["--index", index, "--picture", index.parent / "like.png"]
    asked = ["search", "--like", name, "--k", 4, *place]  # needs no run
    answers = json.loads(call(capsys, *asked, "--json"))["answers"]
    found = [answer["product"] for answer in answers]
    assert len(set(found)) == 4
    assert name not in found
    assert (index.parent / "like.png").read_bytes().startswith(b"\x89PNG")
    other = found[0]
    assert other not in call(capsys, *asked, "--dislike", other, "--weights", "1,1,0.5")
    assert "three numbers" in refused(capsys, *asked, "--weights", "1,2")
    assert "name the run" in refused(capsys, "search", "x.jpg", *place)
    assert "nothing to search with" in refused(capsys, "search", *place)
