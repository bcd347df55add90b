"""`index sync` and `index update` by command, on a run with a network."""

import json

import pytest

from fashion_jax.cli import main
from fashion_jax.datasets.dataset import open_dataset
from tests.e2e.untrained_run import write_untrained_run

pytestmark = pytest.mark.slow


def call(capsys, *arguments):
    """Call a command that succeeds; return what it prints."""
    capsys.readouterr()
    assert main(list(map(str, arguments))) == 0
    return capsys.readouterr().out


def test_a_shop_from_its_first_sync_to_its_prices(tmp_path, tiny_config, tiny_data_dir, capsys):
    run, photos, feed = tmp_path / "run", tmp_path / "photos", tmp_path / "feed.csv"
    write_untrained_run(tiny_config, run)
    query = open_dataset("synthetic_street2shop", tiny_data_dir).split("query")
    photos.mkdir()
    for row in range(4):
        (photos / f"{row}.jpg").write_bytes(query.image_bytes(row))
    lines = [f"{row}.jpg,{row // 2:03d},{row + 1}.5,{'yes' if row else 'no'}" for row in range(4)]
    feed.write_text("\n".join(["photo,product,price,sale", *lines]))
    sync = ["index", "sync", "--workdir", run, "--photos", photos, "--list", feed]
    options = ["--types", "sale=boolean", "--category", "coats"]
    dry = json.loads(call(capsys, *sync, *options, "--dry_run", "--json"))
    assert (dry["added"], dry["embedded"], dry["done"]) == (4, 4, False)
    assert not (run / "index").exists()
    assert "4 photos now" in call(capsys, *sync, *options)

    search = ["search", photos / "3.jpg", "--workdir", run, "--picture", "none", "--json"]
    best = json.loads(call(capsys, *search, "--where", "sale=true"))["answers"][0]
    assert (best["product"], best["photos"][0]["photo_id"]) == ("001", "3.jpg")
    assert best["score"] == pytest.approx(1.0, abs=1e-4)

    prices = tmp_path / "prices.csv"
    prices.write_text("product,price\n001,\n000,99\n")
    said = call(capsys, "index", "update", "--workdir", run, "--list", prices)
    assert said.splitlines()[0].split() == ["changed", "4", "price", "4"]
    found = json.loads(call(capsys, *search, "--where", "price>50"))["answers"]
    assert [answer["product"] for answer in found] == ["000"]

    feed.write_text("\n".join(["photo,product,price", *lines[:1]]).replace(",no", ""))
    (photos / "0.jpg").write_bytes(query.image_bytes(5))
    result = json.loads(call(capsys, *sync, "--json"))
    assert (result["replaced"], result["removed"], result["photos"]) == (1, 3, 1)
    assert main(list(map(str, [*sync, "--types", "price=money"]))) == 2
    assert "NAME=TYPE" in capsys.readouterr().err
