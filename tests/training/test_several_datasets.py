"""A whole run on two datasets: trained, checkpointed, evaluated, and compared across datasets."""

import dataclasses
import hashlib
import json
import pathlib
import shutil

import jax
import orbax.checkpoint as ocp
import pytest

from fashion_jax.cli import main
from fashion_jax.config import ConfigError, ExperimentConfig, store_config
from fashion_jax.datasets.building.build import build
from fashion_jax.datasets.dataset import open_dataset
from fashion_jax.experiments import cross_domain as cross_domain_module
from fashion_jax.experiments.cross_domain import cross_domain
from fashion_jax.files import to_json
from fashion_jax.inference.card import ModelCard
from fashion_jax.inference.checkpoints import StoredCheckpoints
from fashion_jax.inference.model import EmbeddingModel, load_model
from fashion_jax.parallel.mesh import make_mesh
from fashion_jax.training.loop import _iterator_state, make_plan, train
from fashion_jax.training.metrics_log import read_metrics

pytestmark = pytest.mark.slow

FIRST, SECOND = "synthetic_street2shop", "other"
SMALLER = {"train_identities": 7, "val_identities": 2, "test_identities": 3, "distractors": 1}


@pytest.fixture(scope="module")
def config(tiny_config, tiny_data_dir, tmp_path_factory) -> ExperimentConfig:
    """The tiny dataset and a smaller one of another name in one data_dir."""
    data_dir = tmp_path_factory.mktemp("two_datasets")
    build(FIRST, data_dir, progress=False, **SMALLER)
    (data_dir / FIRST).rename(data_dir / SECOND)
    shutil.copytree(tiny_data_dir / FIRST, data_dir / FIRST)
    data = dataclasses.replace(
        tiny_config.data,
        data_dir=str(data_dir),
        extra_datasets=(SECOND,),
        dataset_weights=(1.0, 1.0),
    )
    training = dataclasses.replace(tiny_config.training, epochs=1, checkpoint_every_steps=0)
    return dataclasses.replace(tiny_config, data=data, training=training)


@pytest.fixture(scope="module")
def one_device(tiny_config):
    return make_mesh(tiny_config.mesh, jax.devices()[:1])


@pytest.fixture(scope="module")
def run(config, one_device, tmp_path_factory):
    """The workdir of a finished run."""
    workdir = tmp_path_factory.mktemp("runs") / "both"
    train(config, workdir, one_device, progress=False)
    return workdir


def stored(workdir) -> tuple[dict, ModelCard, dict]:
    """Reader, model card and the learner's shapes of the last checkpoint."""
    checkpoints = StoredCheckpoints(workdir / "checkpoints")
    step = checkpoints.latest_step()
    items = checkpoints.manager.restore(
        step, args=ocp.args.Composite(reader=ocp.args.JsonRestore())
    )
    learner = checkpoints.manager.item_metadata(step)["learner"]
    card = checkpoints.restore_card(step)
    checkpoints.close()
    return items["reader"], card, learner


def test_each_dataset_is_validated_on_its_own_and_the_mean_selects(run):
    (line,) = (line for line in read_metrics(run) if any(name.startswith("val/") for name in line))
    for metric in ("mAP", "Acc@1", "Acc@10"):
        first, second, mean = (
            line[f"val/{name}/instance/{metric}"] for name in (FIRST, SECOND, "mean_of_datasets")
        )
        assert mean == pytest.approx((first + second) / 2)
    assert "val/instance/mAP" not in line
    checkpoints = StoredCheckpoints(run / "checkpoints")
    assert checkpoints.best_step() == line["step"]
    checkpoints.close()


def test_checkpoint_names_both_datasets(run, config):
    reader, card, learner = stored(run)
    datasets = [open_dataset(name, config.data.data_dir) for name in (FIRST, SECOND)]
    assert reader["dataset"] == {"datasets": [dataset.fingerprint() for dataset in datasets]}
    assert reader["plan"]["quotas"] == [2, 2]
    assert card.dataset == f"{FIRST} {datasets[0].version}, {SECOND} {datasets[1].version}"
    assert learner["loss_state"]["centers"].shape[0] == 12 + 7


def test_a_finished_run_is_found_finished_and_other_weights_are_refused(run, config, one_device):
    before = (run / "metrics.jsonl").read_text()
    train(config, run, one_device, progress=False)
    assert (run / "metrics.jsonl").read_text() == before
    changed = dataclasses.replace(
        config, data=dataclasses.replace(config.data, dataset_weights=(2.0, 1.0))
    )
    with pytest.raises(ConfigError, match=r"data.dataset_weights: \(1.0, 1.0\) != \(2.0, 1.0\)"):
        train(changed, run, one_device, progress=False)


def test_the_checkpoint_of_one_dataset_has_the_same_form(config):
    alone = dataclasses.replace(
        config, data=dataclasses.replace(config.data, extra_datasets=(), dataset_weights=())
    )
    dataset = open_dataset(SECOND, config.data.data_dir)
    reader = _iterator_state(alone, [dataset], make_plan(alone, [dataset]), 5)
    assert dataclasses.asdict(reader) == {
        "next_step": 5,
        "dataset": {"datasets": [dataset.fingerprint()]},
        "plan": {
            "seed": 0,
            "identities_per_batch": 4,
            "photos_per_identity": 2,
            "balance_domains": False,
            "quotas": [4],
            "labelled_pairs_sha256": hashlib.sha256(b"[]").hexdigest(),
        },
    }


def test_evaluate_measures_each_dataset_on_its_own(run, capsys):
    assert main(["evaluate", "--workdir", str(run), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert list(printed) == [FIRST, SECOND]
    for name, values in printed.items():
        assert values["dataset"] == name
        page = run / "report" / name / "index.html"
        assert values["report"] == str(page)
        text = page.read_text()
        assert f"Fashion retrieval on {name}" in text
        for figure in ("mean of the datasets", FIRST, SECOND):
            assert f"Validation mAP: {figure}" in text
    assert not (run / "report" / "index.html").exists()

    assert main(["evaluate", "--workdir", str(run), "--dataset", SECOND, "--json"]) == 0
    alone = json.loads(capsys.readouterr().out)
    assert alone["metrics"] == pytest.approx(printed[SECOND]["metrics"])


@pytest.fixture
def counted(monkeypatch) -> list[tuple[str, ...]]:
    """Names of everything loaded and embedded, in order."""
    calls = []
    embed_split = EmbeddingModel.embed_split

    def load(workdir):
        calls.append(("load", workdir))
        return load_model(workdir)

    def embed(model, split, progress):
        calls.append(("embed", split.directory, split.name))
        return embed_split(model, split, progress)

    monkeypatch.setattr(cross_domain_module, "load_model", load)
    monkeypatch.setattr(EmbeddingModel, "embed_split", embed)
    return calls


def test_matrix_of_two_runs_and_two_datasets(run, config, counted, tmp_path, capsys):
    one = run.parent / "one"  # the same weights, as if trained on one dataset only
    shutil.copytree(run, one, ignore=shutil.ignore_patterns("report"))
    data = dataclasses.replace(config.data, extra_datasets=(), dataset_weights=())
    store_config(dataclasses.replace(config, data=data), one / "config.json")
    own_report = run / "report" / "index.html"
    own_report.parent.mkdir(exist_ok=True)
    own_report.write_text("my own")

    report = run / "report"
    result = cross_domain([str(run), str(one)], [FIRST, SECOND], None, report, progress=False)

    assert [call for call in counted if call[0] == "load"] == [
        ("load", str(run)),
        ("load", str(one)),
    ]
    embeddings = [call for call in counted if call[0] == "embed"]
    assert len(embeddings) == 2 * 2 * 2
    assert all(embeddings.count(call) == 2 for call in embeddings)  # once by each model
    assert [(c.run, c.dataset, c.own) for c in result.cells] == [
        ("both", FIRST, True),
        ("both", SECOND, True),
        ("one", FIRST, True),
        ("one", SECOND, False),
    ]
    for dataset in (FIRST, SECOND):
        both, single = (result.cell(name, dataset).metrics for name in ("both", "one"))
        assert both == pytest.approx(single)
    assert result.gap(result.cell("one", SECOND), "instance/mAP") == pytest.approx(0)
    assert own_report.read_text() == "my own"
    stored_numbers = (report / "cross_domain.json").read_text()
    assert stored_numbers == to_json(result).decode()
    assert (
        f"trained on 2 datasets: {FIRST.replace('_', '_<wbr>')}"
        in pathlib.Path(result.report).read_text()
    )

    arguments = ["--runs", str(run), str(one), "--datasets", SECOND, "--report", str(tmp_path)]
    assert main(["cross-domain", *arguments, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [cell["dataset"] for cell in printed["cells"]] == [SECOND] * 2
    expected = result.cell("both", SECOND).metrics
    assert printed["cells"][0]["metrics"] == pytest.approx(expected)
    assert (tmp_path / "cross_domain.html").exists()
