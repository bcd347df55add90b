"""`fashion-jax evaluate` with every refinement and a tuned index, on a network of drawn weights."""

import contextlib
import dataclasses
import functools
import io
import json

import numpy as np
import pytest

from fashion_jax.cli import main
from fashion_jax.evaluation import embedded
from fashion_jax.experiments import evaluate
from fashion_jax.inference.model import load_model
from fashion_jax.retrieval.catalogue import Catalogue
from fashion_jax.retrieval.catalogue.manifest import Manifest
from fashion_jax.retrieval.catalogue.tuning_file import TUNING, write_tunings
from tests.e2e.untrained_run import write_untrained_run
from tests.retrieval.changing_catalogues import CARD
from tests.retrieval.test_live_index import rows
from tests.retrieval.test_tuning_file import TUNING as CURVE

pytestmark = pytest.mark.slow

FLAGS = ["--flip", "--whiten=8", "--database_augmentation=1", "--query_expansion=1"]
FLAGS += ["--alpha=3.0", "--rerank"]
WORDS = (
    "flip averaging, whitening to 8 dimensions, database augmentation (1 neighbour, α = 3), "
    "query expansion (1 neighbour, α = 3), re-ranking (k1 = 20, k2 = 6, λ = 0.3)"
)


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny_config):
    """A workdir with a network, which is compiled once, and an index that was tuned."""
    workdir = tmp_path_factory.mktemp("run")
    # Over two devices, which have to share the mirrored photos, too.
    mesh = dataclasses.replace(tiny_config.mesh, data=2)
    write_untrained_run(dataclasses.replace(tiny_config, mesh=mesh), workdir)
    Catalogue.write(workdir / "index", *rows(0, 20), CARD)
    name = Manifest.read(workdir / "index").segments[0].data
    write_tunings(workdir / "index", {name: CURVE})
    load = functools.cache(load_model)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluate, "load_model", lambda folder: load(str(folder)))
        yield workdir


@pytest.fixture(scope="module")
def refined(run):
    """The printed JSON, and the page."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert main(["evaluate", "--workdir", str(run), "--json", "--explain", *FLAGS]) == 0
    return json.loads(printed.getvalue()), (run / "report" / "index.html").read_text()


def test_json_has_the_refined_metrics_beside_the_others(refined):
    values, _ = refined
    assert values["refinements"] == WORDS
    without_centroids = {name for name in values["metrics"] if not name.startswith("centroid/")}
    assert values["refined"].keys() == without_centroids
    assert values["refined"] != {name: values["metrics"][name] for name in without_centroids}
    assert values["untrained"] is None


def test_page_explains_the_best_and_the_worst_queries(refined):
    _, page = refined
    best, median, worst = (
        page.split(f'class="group {name}"')[1].split("</section>")[0]
        for name in ("best", "median", "worst")
    )
    lists = best.count('class="ranked"')
    assert lists == best.count('class="row explained"') >= 1
    assert worst.count('class="row explained"') == worst.count('class="ranked"')
    assert "explained" not in median
    assert "--explain" in page


def test_json_has_intervals_and_domains(refined):
    values, _ = refined
    assert values["intervals"].keys() == values["metrics"].keys()
    for name, (low, high) in values["intervals"].items():
        assert 0 <= low <= values["metrics"][name] <= high <= 1
    assert values["by_domain"]["instance"].keys() == {"street"}
    assert values["by_domain"]["instance"]["street"]["queries"] > 0
    assert values["by_category"]["instance"]


def test_the_report_names_the_refinements(refined):
    _, page = refined
    assert f"<dt>refined</dt><dd>{WORDS}</dd>" in page
    assert " ".join(FLAGS) in page  # the command that makes it again


def test_the_report_shows_the_tuned_index(refined):
    _, page = refined
    assert "Index: recall against speed" in page
    assert "reorder 100, 9 of 40 leaves" in page


def test_a_damaged_curve_costs_nothing_but_its_section(run, capsys):
    (run / "index" / TUNING).write_text('{"schema": 2, "segments": "<script>"}')
    assert main(["evaluate", "--workdir", str(run)]) == 0
    page = (run / "report" / "index.html").read_text()
    assert "Index: recall against speed" not in page
    assert "<script>" not in page


def test_a_protocol_with_nothing_to_measure_leaves_the_others(
    run, tiny_data_dir, monkeypatch, capsys
):
    """The gallery has every product under another category."""
    plain = embedded.Labels.of

    def elsewhere(split, domain):
        found = plain(split, domain)
        if split.name != "gallery":
            return found
        return dataclasses.replace(found, category=np.full(len(found.category), "elsewhere"))

    monkeypatch.setattr(embedded.Labels, "of", elsewhere)
    flags = ["--json", "--rerank", f"--data_dir={tiny_data_dir}"]
    assert main(["evaluate", "--workdir", str(run), *flags]) == 0
    values = json.loads(capsys.readouterr().out)
    for numbers in (values["metrics"], values["refined"], values["intervals"]):
        assert "instance/mAP" in numbers
        assert not any(name.startswith("in_category/") for name in numbers)
    page = (run / "report" / "index.html").read_text()
    assert "in_category: nothing to measure; queries skipped: " in page
    assert f"--workdir={run} --data_dir={tiny_data_dir} --rerank" in page
