"""A checkpoint of which bits changed is named, and so is the one before it; nothing trains on."""

import gc
import json
import os
import random
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from fashion_jax.config import MeshConfig
from fashion_jax.datasets.dataset import open_dataset
from fashion_jax.errors import FashionJaxError
from fashion_jax.inference.checkpoints import DamagedCheckpointError, StoredCheckpoints
from fashion_jax.parallel.mesh import make_mesh
from fashion_jax.training.checkpoints import Checkpoints
from fashion_jax.training.checksums import checksums
from fashion_jax.training.learner import make_learner
from fashion_jax.training.loop import make_plan, train
from fashion_jax.versions import enable_x64

# Orbax reads arrays side by side, and leaves the errors of the others to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
RNG = np.random.default_rng(0)
ARRAYS = {
    "scalar": np.float32(0.5),
    "one": np.ones(1, np.int32),
    "vector": RNG.normal(size=16).astype(np.float32),
    "half": RNG.normal(size=(8, 3)).astype(jnp.bfloat16),
    "bytes": RNG.integers(0, 256, (4, 5), np.uint8),
    "flags": np.array([True, False] * 4),
    "tensor": RNG.normal(size=(8, 2, 3, 4)).astype(np.float32),
    "empty": np.zeros((0, 3), np.float32),
    "key": np.array([1, 2**32 - 1], np.uint32),
}


@pytest.mark.parametrize("name", sorted(ARRAYS.keys() - {"empty"}))
def test_every_single_bit_counts(name):
    array = np.ascontiguousarray(ARRAYS[name])
    before = checksums({"x": jnp.asarray(array)})
    octets = array.tobytes()
    bits = (1,) if name == "flags" else (1 << bit for bit in range(8))  # JAX makes a truth of more
    for bit in bits:
        for place in range(len(octets)):
            changed = bytearray(octets)
            changed[place] ^= bit
            other = np.frombuffer(bytes(changed), array.dtype).reshape(array.shape)
            assert checksums({"x": jnp.asarray(other)}) != before, (place, bit)


def test_values_that_change_places_count():
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    found = {checksums({"x": jnp.asarray(a)})["x"] for a in (array, array[::-1], array[:, ::-1])}
    assert len(found) == 3


@pytest.mark.parametrize(
    "spec", [("data",), (None, "data"), (("data", "model"),), ("model", "data")]
)
def test_devices_do_not_count(spec):
    mesh = make_mesh(MeshConfig(4, 2), jax.devices()[:8])
    array = RNG.normal(size=(8, 16, 3)).astype(np.float32)
    divided = jax.device_put(array, NamedSharding(mesh, PartitionSpec(*spec)))
    assert checksums({"x": divided}) == checksums({"x": jnp.asarray(array)})


def test_by_hand():
    with enable_x64(True):
        tree = {
            "a": jnp.asarray([1, 2, 3], jnp.uint32),
            "b": {"c": jnp.asarray([2**32 + 5], jnp.int64)},
        }
        assert checksums(tree) == {"a": 1 * 1 + 2 * 3 + 3 * 5, "b/c": 5 * 1 + 1 * 3}


@pytest.fixture
def _nothing_left():
    """What is collected in a later test would fail that one."""
    yield
    for _ in range(3):  # what the first round frees may hold more
        gc.collect()


@pytest.fixture(scope="module")
def run(tiny_config, tmp_path_factory):
    """A run with two checkpoints, and what it takes to restore them."""
    workdir, mesh = tmp_path_factory.mktemp("run"), make_mesh(tiny_config.mesh, jax.devices()[:1])
    train(tiny_config, workdir, mesh, progress=False)
    datasets = [open_dataset(tiny_config.data.dataset, tiny_config.data.data_dir)]
    plan = make_plan(tiny_config, datasets)
    learner = make_learner(tiny_config, plan.num_identities, plan.steps_per_epoch, mesh)
    return workdir / "checkpoints", learner.abstract_state


def steps_of(folder):
    return sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit())


def restored(folder, abstract):
    checkpoints = Checkpoints(folder)
    try:
        return jax.tree.map(np.asarray, checkpoints.restore(checkpoints.latest_step(), abstract)[0])
    finally:
        checkpoints.close()


@pytest.mark.slow
def test_a_whole_checkpoint_is_restored(run):
    folder, abstract = run
    state = restored(folder, abstract)
    assert int(state.step) == steps_of(folder)[-1]


def outcome(folder, abstract, whole):
    """What is said of the damage; nothing where the state is whole."""
    try:
        found = restored(folder, abstract)
    except DamagedCheckpointError as error:
        return str(error)
    jax.tree.map(np.testing.assert_array_equal, found, whole)
    return ""


def files_of(step):
    return [path for item in ("model", "learner", "reader", "checksums")
            for path in sorted((step / item).rglob("*")) if path.is_file()]  # fmt: skip


@pytest.mark.slow
@pytest.mark.usefixtures("_nothing_left")
@pytest.mark.parametrize("damage", ["a bit", "cut", "emptied", "deleted"])
def test_damage_is_named_or_changes_nothing(run, tmp_path, damage):
    """Every file of a checkpoint; its data in several places, drawn with a fixed seed."""
    folder, abstract = run
    whole, draw, named = restored(folder, abstract), random.Random(0), 0
    latest = steps_of(folder)[-1]
    for number, path in enumerate(files_of(folder / str(latest))):
        for attempt in range(6 if damage == "a bit" and path.stat().st_size > 10_000 else 1):
            copy = tmp_path / f"{number} {attempt}"
            shutil.copytree(folder, copy)
            victim = copy / path.relative_to(folder)
            content = bytearray(victim.read_bytes())
            if damage == "a bit" and content:
                content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
                victim.write_bytes(content)
            elif damage == "deleted":
                victim.unlink()
            else:
                os.truncate(victim, len(content) // 2 if damage == "cut" else 0)
            before = {file: file.read_bytes() for file in copy.rglob("*") if file.is_file()}
            message = outcome(copy, abstract, whole)
            if message:
                assert f"{latest} is damaged" in message
                assert "Move that folder" in message or "no other" in message
                named += 1
            kept = {file: file.read_bytes() for file in copy.rglob("*") if file.is_file()}
            assert kept == before
            shutil.rmtree(copy)
    assert named > 3


@pytest.mark.slow
def test_other_checksums_are_no_agreement(run, tmp_path):
    folder, abstract = run
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (path,) = (copy / str(steps_of(copy)[-1]) / "checksums").glob("metadata")
    stored = json.loads(path.read_text())
    first = next(iter(stored))
    path.write_text(json.dumps({**stored, first: stored[first] ^ 1}))
    with pytest.raises(DamagedCheckpointError, match=rf"as they were saved \(1\): {first}"):
        restored(copy, abstract)


ITEMS = {
    "reader": {
        "a list": [],
        "null": None,
        "empty": {},
        "a field more": {"more": 1},
        "a text": {"next_step": "1"},
        "negative": {"next_step": -4},
        "another step": {"next_step": 1},
    },
    "card": {
        "a list": [],
        "null": None,
        "empty": {},
        "a field more": {"more": 1},
        "a text": {"image_width": "48"},
        "another step": {"step": 1},
        "another version": {"schema": 1},
    },
    "metrics": {
        "a list": [],
        "null": None,
        "empty": {},
        "a text": {"val/instance/mAP": "x"},
        "true": {"val/instance/mAP": True},
    },
}
TEXTS = {"deep": "[" * 100_000, "digits": '{"a":' + "9" * 5000 + "}", "nothing": "", "half": '{"a'}


@pytest.mark.slow
@pytest.mark.usefixtures("_nothing_left")
@pytest.mark.parametrize("item", ITEMS)
def test_damaged_json_in_a_checkpoint_is_named(run, tiny_config, tmp_path, item):
    folder, _ = run
    latest, mesh = steps_of(folder)[-1], make_mesh(tiny_config.mesh, jax.devices()[:1])
    copy = tmp_path / "run" / "checkpoints"
    shutil.copytree(folder.parent, copy.parent)
    (path,) = (each for each in (copy / str(latest) / item).iterdir() if each.suffix != ".txt")
    whole = json.loads(path.read_text())
    fields = {name: whole | each if isinstance(each, dict) and each else each
              for name, each in ITEMS[item].items()}  # fmt: skip
    for name, text in {**{n: json.dumps(each) for n, each in fields.items()}, **TEXTS}.items():
        path.write_text(text)
        said = "nothing"
        try:
            if item == "reader":
                train(tiny_config, copy.parent, mesh, progress=False)
            else:
                checkpoints = StoredCheckpoints(copy)
                try:
                    checkpoints.restore_card(latest)
                finally:
                    checkpoints.close()
        except FashionJaxError as error:
            said = str(error)
        assert str(latest) in said, (name, said)
        assert str(copy) in said or name == "another step", (name, said)


@pytest.mark.slow
def test_a_card_of_other_training_data_is_not_resumed_from(run, tiny_config, tmp_path):
    folder, _ = run
    workdir, mesh = tmp_path / "run", make_mesh(tiny_config.mesh, jax.devices()[:1])
    shutil.copytree(folder.parent, workdir)
    latest = steps_of(folder)[-1]
    (path,) = (each for each in (workdir / "checkpoints" / str(latest) / "card").iterdir()
               if each.suffix != ".txt")  # fmt: skip
    path.write_text(json.dumps(json.loads(path.read_text()) | {"train_sha256": "f" * 64}))
    with pytest.raises(DamagedCheckpointError, match=rf"{latest} is damaged: its reader does not"):
        train(tiny_config, workdir, mesh, progress=False)


@pytest.mark.parametrize("name", ["00027", "-1", "00"])
def test_a_renamed_checkpoint_is_named(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(DamagedCheckpointError, match=f"{name} is not the name of a checkpoint"):
        StoredCheckpoints(tmp_path)


def test_a_file_in_place_of_the_folder_is_named(tmp_path):
    (tmp_path / "checkpoints").touch()
    for kind in (StoredCheckpoints, Checkpoints):
        with pytest.raises(DamagedCheckpointError, match="checkpoints is not a folder"):
            kind(tmp_path / "checkpoints")
