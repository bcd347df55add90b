"""Plans for chips that are not there."""

import dataclasses
import json

import jax
import pytest

from fashion_jax.cli import main
from fashion_jax.config import ConfigError, ExperimentConfig
from fashion_jax.errors import FashionJaxError
from fashion_jax.experiments import pod_plan
from fashion_jax.experiments.pod_plan import PodPlan, Workload, plan_run
from fashion_jax.parallel.chips import parse_topology
from fashion_jax.parallel.program_costs import Collective, ProgramCosts

GIB = 2**30
COSTS = ProgramCosts(
    flops=19.7e12,  # 0.1 s of a v5e
    bytes_moved=163.8e9,  # 0.2 s
    arguments=2 * GIB,
    temporaries=7 * GIB,
    outputs=0,
    code=0,
    collectives={"all-reduce": Collective(3, 10_000_000, 10e9)},  # 0.05 s at 200 GB/s
)
PLAN = PodPlan(
    parse_topology("v5e:4x4"),
    batch=2048,
    workload=Workload(33_000, 100),
    steps=36_000,
    state={"params": GIB},
    costs=COSTS,
    columns_to_divide=0,
    microbatches=1,
    compiled=True,
    price=1.5,
)


def test_by_hand():
    assert PLAN.seconds == pytest.approx({"compute": 0.1, "memory": 0.2, "links": 0.05})
    assert PLAN.bounds == pytest.approx((0.2, 0.35))
    assert PLAN.fits
    assert PLAN.most_photos_per_chip == 256  # 14 GiB for temporaries of 7 GiB for 128
    found = PLAN.to_json()
    assert found["hours"] == pytest.approx([2.0, 3.5])
    assert found["chip_hours"] == pytest.approx([32.0, 56.0])
    assert found["price"] == pytest.approx([48.0, 84.0])
    assert found["photos_per_second"] == pytest.approx([2048 / 0.35, 2048 / 0.2])
    table = PLAN.to_table()
    for said in (
        "16 chips, 2,048 photos a step (128 a chip), 33,000 identities",
        "it fits; there is room for about 256 photos a chip",
        "3 all-reduce (10.0 MB)",
        "2.00 to 3.50 hours, 32.0 to 56.0 chip-hours, 48.00 to 84.00 at 1.5 a chip-hour",
        "Assumptions:",
    ):
        assert said in table


def test_what_does_not_fit_says_so():
    large = dataclasses.replace(COSTS, temporaries=20 * GIB)
    plan = dataclasses.replace(PLAN, costs=large, price=None)
    assert not plan.fits
    assert plan.most_photos_per_chip == 89
    assert "IT DOES NOT FIT" in plan.to_table()
    assert "chip-hour," not in plan.to_table()


def test_loops_that_count_once_are_pointed_out():
    assert "microbatches" not in PLAN.to_table()
    assert "The 4 microbatches are a loop" in dataclasses.replace(PLAN, microbatches=4).to_table()


def test_a_classifier_that_chips_could_divide_is_pointed_out(config):
    assert "pad_classes_to_multiple" not in PLAN.to_table()
    fields = {"identities": 200_001, "steps_per_epoch": 9}
    plan = plan_run(config, "gpu:h100x8", **fields)
    assert "all 200,001 columns" in plan.to_table()
    assert "classifier.pad_classes_to_multiple=8 divides" in plan.to_table()
    divided = dataclasses.replace(config.classifier, pad_classes_to_multiple=8)
    plan = plan_run(dataclasses.replace(config, classifier=divided), "gpu:h100x8", **fields)
    assert plan.columns_to_divide == 0


@pytest.fixture
def config(tiny_config):
    return dataclasses.replace(tiny_config, mesh=dataclasses.replace(tiny_config.mesh, data=-1))


def test_gpus_are_reckoned_from_operations(config):
    plan = plan_run(config, "gpu:h100x8", price=2.0)
    assert not plan.compiled
    assert plan.costs.flops > 1e5
    assert set(plan.seconds) == {"compute", "links"}
    assert plan.workload.identities > 10
    assert "unknown" in plan.to_table()
    assert "before it is optimised" in plan.to_table()


def test_chips_that_jax_cannot_divide_are_refused(config, monkeypatch):
    def fails(*_):
        raise AssertionError('requires one device per chip ("megacore" mode)')

    monkeypatch.setattr(pod_plan, "_devices", lambda chips: jax.devices())
    monkeypatch.setattr(pod_plan, "make_mesh", fails)
    with pytest.raises(FashionJaxError, match="v4:2x2x2 cannot be planned for: requires one"):
        plan_run(config, "v4:2x2x2")


def test_wrong_plans_are_refused(config, tmp_path):
    with pytest.raises(FashionJaxError, match="counted on as many virtual devices: set XLA_FLAGS"):
        plan_run(config, "gpu:h100x512")
    data = dataclasses.replace(config.data, data_dir=str(tmp_path))
    with pytest.raises(ConfigError, match="give --identities and --steps_per_epoch"):
        plan_run(dataclasses.replace(config, data=data), "gpu:h100x8")
    odd = dataclasses.replace(config.data, identities_per_batch=5, photos_per_identity=1)
    with pytest.raises(ConfigError, match="multiple of 8"):
        plan_run(dataclasses.replace(config, data=odd), "gpu:h100x8")


@pytest.mark.slow
def test_a_step_is_compiled_for_tpus(capsys):
    pytest.importorskip("libtpu", reason="SKIPPED FOR WANT OF LIBTPU: nothing was compiled for it")
    fields = ["model.backbone=tiny", "model.compute_dtype=bfloat16", "image.height=64"]
    fields += ["image.width=64", "data.identities_per_batch=16"]
    arguments = ["--config=street2shop_small", "--topology", "v5e:2x2", "--identities=400"]
    arguments += ["--steps_per_epoch=25", *(f"--config.{field}" for field in fields)]
    assert main(["plan", *arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["compiled_for_the_chip"]
    assert found["chips"] == 4
    assert found["photos_per_step"] == 64
    assert found["fits"]
    assert found["costs"]["flops"] > 1e6
    assert found["costs"]["collectives"]["all-reduce"]["count"] >= 1
    with pytest.raises(FashionJaxError, match="does not know the topology v5e:3x7"):
        plan_run(ExperimentConfig(), "v5e:3x7", 400, 25)
