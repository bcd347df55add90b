"""Bulk embedding: every photo exactly once, whatever is killed, however many hosts there are."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys

import jax
import numpy as np
import pytest

from fashion_jax.cli import main
from fashion_jax.datasets.dataset import open_dataset
from fashion_jax.errors import FashionJaxError
from fashion_jax.files import StorageError
from fashion_jax.inference.card import ModelCardError
from fashion_jax.inference.model import load_model
from fashion_jax.parallel.hosts import Host
from fashion_jax.retrieval.embedding_plan import SCHEMA, EmbeddingPlan, agree_on_plan
from fashion_jax.retrieval.embedding_shards import open_embeddings
from fashion_jax.serving.bulk_embedding import embed_catalogue
from tests.e2e.untrained_run import write_untrained_run
from tests.inference.cards import CARD
from tests.models.backbones.tiny import WIDTH
from tests.processes import free_port
from tests.stored_json import change_json
from tests.xla_flags import xla_flags

PER_SHARD = 5


@pytest.fixture(scope="module")
def run(tiny_config, tmp_path_factory):
    """A run's workdir, without the training: its weights are drawn."""
    workdir = tmp_path_factory.mktemp("run") / "workdir"
    write_untrained_run(tiny_config, workdir)
    return workdir


@pytest.fixture(scope="module")
def gallery(tiny_config):
    return open_dataset(tiny_config.data.dataset, tiny_config.data.data_dir).split("gallery")


@pytest.fixture(scope="module")
def embedded(run, tmp_path_factory):
    """A finished folder, made by one host."""
    folder = tmp_path_factory.mktemp("embedded")
    embed(run, folder)
    return folder


@pytest.fixture
def copy(embedded, tmp_path):
    return shutil.copytree(embedded, tmp_path / "copy")


def embed(run, folder, **options):
    """Embeds a host's shards; returns the printed table."""
    options = {"photos_per_shard": PER_SHARD, "progress": False, **options}
    return embed_catalogue(run, folder, **options).to_table()


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_embeddings_are_those_of_embed_split(run, gallery, embedded):
    model = load_model(run)
    expected = model.embed_split(gallery, progress=False)
    stored = open_embeddings(embedded)
    assert (len(stored), stored.card, stored.dimensions) == (len(gallery), model.card, WIDTH)
    np.testing.assert_allclose(stored.embeddings(), expected, atol=1e-5)


def test_labels_are_those_of_the_split_each_photo_once(gallery, embedded):
    shards = list(open_embeddings(embedded).shards())
    assert [len(shard.rows) for shard in shards[:-1]] == [PER_SHARD] * (len(shards) - 1)
    rows = np.concatenate([shard.rows for shard in shards])
    np.testing.assert_array_equal(rows, np.arange(len(gallery)))
    items = [item for shard in shards for item in shard.items]
    assert [item.photo_id for item in items] == gallery.photo_id.tolist()
    assert [item.category for item in items] == gallery.category.tolist()
    assert {item.domain for item in items} == {"shop"}
    for name in ("identity", "camera"):
        stored = np.concatenate([getattr(shard, name) for shard in shards])
        np.testing.assert_array_equal(stored, getattr(gallery, name))


def test_manifest_says_what_is_there(gallery, embedded):
    manifest = json.loads((embedded / "manifest.json").read_text())
    plan = manifest["plan"]
    assert (manifest["schema"], plan["photos"]) == (SCHEMA, len(gallery))
    assert (plan["card"]["backbone"], plan["card"]["embedding_width"]) == ("tiny", WIDTH)
    assert (plan["dataset"], plan["split"]) == ("synthetic_street2shop", "gallery")
    assert manifest["shards"][1]["rows"] == [5, 10]
    assert manifest["shards"][1].keys() == {"file", "rows", "bytes", "sha256", "plan"}


def test_other_parquet_readers_see_plain_columns(embedded):
    import pyarrow.parquet as pq

    schema = pq.read_schema(embedded / "shard-00000.parquet")
    assert {field.name: str(field.type) for field in schema} == {
        "row": "int64",
        "photo_id": "string",
        "identity": "int64",
        "product": "string",
        "category": "string",
        "domain": "string",
        "camera": "int32",
        "embedding": f"fixed_size_list<element: float>[{WIDTH}]",
    }


@pytest.mark.slow
@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1]])
def test_hosts_in_any_order_make_what_one_makes(run, embedded, tmp_path, order):
    for index in order[:-1]:
        text = embed(run, tmp_path, host=Host(index, 3))
        assert "are missing" in text
        with pytest.raises(StorageError, match=r"is not finished: it has .* shards"):
            open_embeddings(tmp_path)
    assert "missing" not in embed(run, tmp_path, host=Host(order[-1], 3))
    assert contents(tmp_path) == contents(embedded)


@pytest.mark.slow
def test_another_number_of_hosts_goes_on(run, embedded, tmp_path):
    embed(run, tmp_path, host=Host(1, 3))
    embed(run, tmp_path, host=Host(0, 2))
    embed(run, tmp_path)
    assert contents(tmp_path) == contents(embedded)


def test_what_is_there_is_not_made_again(run, copy, monkeypatch):
    before = {path.name: path.stat().st_mtime_ns for path in copy.iterdir()}
    assert "(0 made now)" in embed(run, copy)
    assert {path.name: path.stat().st_mtime_ns for path in copy.iterdir()} == before


KILLED = """
import os, signal, sys
from fashion_jax.retrieval import embedding_shards
from fashion_jax.serving.bulk_embedding import embed_catalogue
write, calls = embedding_shards.atomic_write, []
def write_or_die(path, content):
    calls.append(path)
    if len(calls) == 5:  # two shards are whole; of the third there is half a file
        path.with_name(f".{path.name}.1.unfinished").write_bytes(content[:100])
        if sys.argv[3] == "between":  # or it is there, but nobody has written so
            write(path, content)
            os.kill(os.getpid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)
    write(path, content)
embedding_shards.atomic_write = write_or_die
embed_catalogue(sys.argv[1], sys.argv[2], photos_per_shard=5, progress=False)
"""


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["writing", "between"])
def test_killed_and_started_again(run, embedded, tmp_path, moment):
    command = [sys.executable, "-c", KILLED, str(run), str(tmp_path), moment]
    process = subprocess.run(command, check=False, capture_output=True)
    assert process.returncode == -signal.SIGKILL, process.stderr.decode()
    assert not (tmp_path / "manifest.json").exists()
    with pytest.raises(StorageError, match=r"it has 2 of .* shards"):
        open_embeddings(tmp_path)
    embed(run, tmp_path)
    assert contents(tmp_path) == contents(embedded)


class TestDamage:
    @pytest.fixture
    def damaged(self, copy):
        path = copy / "shard-00002.parquet"
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(bytes(content))
        return copy

    def test_is_named_when_it_is_read(self, damaged):
        shards = open_embeddings(damaged).shards()
        assert [next(shards).rows.start for _ in range(2)] == [0, 5]
        with pytest.raises(StorageError, match=r"shard-00002\.parquet is .*--repair"):
            next(shards)

    def test_is_made_again_if_asked_for(self, run, damaged, embedded):
        assert "(0 made now)" in embed(run, damaged)
        text = embed(run, damaged, repair=True)
        assert text.startswith("damaged, made again: shard-00002.parquet\n")
        assert "(1 made now)" in text
        assert contents(damaged) == contents(embedded)

    def test_a_cut_off_or_lost_shard_is_made_again_anyway(self, run, copy, embedded):
        (copy / "shard-00000.parquet").unlink()
        (copy / "shard-00001.parquet").write_bytes(b"PAR1")
        with pytest.raises(StorageError, match=r"shard-00000\.parquet is missing or"):
            open_embeddings(copy).embeddings()
        assert "(2 made now)" in embed(run, copy)
        assert contents(copy) == contents(embedded)


class TestPlans:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"photos_per_shard": 7}, "photos_per_shard: stored 5, now 7"),
            ({"split": "query"}, "split: stored 'gallery', now 'query'"),
        ],
    )
    def test_another_one_is_refused_by_name(self, run, copy, options, message):
        before = contents(copy)
        with pytest.raises(StorageError, match=message):
            embed(run, copy, **options)
        assert contents(copy) == before

    def test_another_model_is_refused_by_name(self, gallery, tmp_path):
        plan = EmbeddingPlan("d", "1.0.0", "gallery", 3, "0", 2, CARD)
        agree_on_plan(tmp_path, plan)
        other = dataclasses.replace(plan, card=dataclasses.replace(CARD, weights_hash="1"))
        with pytest.raises(ModelCardError, match="weights_hash"):
            agree_on_plan(tmp_path, other)

    def test_other_photos_are_refused(self, run, copy):
        change_json(copy / "plan.json", lambda plan: plan | {"photos_sha256": "0"})
        with pytest.raises(StorageError, match="photos_sha256: stored '0'"):
            embed(run, copy)

    def test_a_folder_of_something_else_is_left_alone(self, run, tmp_path):
        (tmp_path / "mine.txt").write_text("important")
        with pytest.raises(StorageError, match=r"is not empty and has no plan\.json"):
            embed(run, tmp_path)
        with pytest.raises(StorageError, match="is not a folder of embeddings"):
            open_embeddings(tmp_path)

    @pytest.mark.parametrize(
        ("photos", "per_shard", "lengths"),
        [(0, 4, []), (1, 4, [1]), (4, 4, [4]), (5, 4, [4, 1]), (9, 4, [4, 4, 1])],
    )
    def test_shards_hold_every_row_once(self, photos, per_shard, lengths):
        shards = EmbeddingPlan("d", "1", "gallery", photos, "0", per_shard, CARD).shards
        assert [len(rows) for rows in shards] == lengths
        assert [row for rows in shards for row in rows] == list(range(photos))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output": "gs://bucket/x/../y"}, "is not an address that can be used here"),
        ({"host": Host(3, 3)}, "host 3 of 3 hosts does not exist"),
        ({"photos_per_shard": 0}, "photos_per_shard is 0"),
        ({"batch_size": -1}, "--batch_size is -1"),
        ({"batch_size": 10**9}, "--batch_size is 1000000000; it has to be 1 to 65,536"),
        ({"split": "none"}, "has no split 'none'"),
    ],
)
def test_wrong_options_are_named(run, tmp_path, options, message):
    with pytest.raises(FashionJaxError, match=message):
        embed(run, **{"folder": options.pop("output", tmp_path), **options})


def test_the_command(run, tmp_path, embedded, capsys):
    arguments = ["embed", "--workdir", f"{run}", "--output", f"{tmp_path}", "--photos_per_shard=5"]
    assert main([*arguments, "--host=1", "--hosts=2"]) == 0
    assert "are missing" in capsys.readouterr().out
    assert main(arguments) == 0
    assert contents(tmp_path) == contents(embedded)
    assert main([*arguments, "--hosts=2"]) == 2
    assert "--host and --hosts belong together" in capsys.readouterr().err


@pytest.mark.slow
def test_two_hosts_of_a_job(run, embedded, tmp_path):
    port, processes = free_port(), []
    devices = len(jax.local_devices())
    for index in range(2):
        environment = os.environ | {
            "XLA_FLAGS": xla_flags(devices),
            "JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{port}",
            "JAX_NUM_PROCESSES": "2",
            "JAX_PROCESS_ID": str(index),
        }
        command = [sys.executable, "-m", "fashion_jax.cli", "embed", "--workdir", str(run)]
        command += ["--output", str(tmp_path), "--photos_per_shard", str(PER_SHARD)]
        processes.append(
            subprocess.Popen(
                command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        )
    for process in processes:
        output, errors = process.communicate(timeout=400)
        assert process.returncode == 0, errors.decode()
        assert "are missing" not in output.decode()  # each waits for the other
    assert contents(tmp_path) == contents(embedded)
