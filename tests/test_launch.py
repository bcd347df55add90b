"""The scripts and the manifest of docs/launch: what can be checked without a cluster."""

import math
import pathlib
import shutil
import subprocess

import pytest
import yaml

from fashion_jax.cli import make_parser

FOLDER = pathlib.Path(__file__).parents[1] / "docs" / "launch"


@pytest.mark.parametrize("script", sorted(FOLDER.glob("*.sh")), ids=lambda path: path.name)
def test_scripts_are_bash(script):
    bash = shutil.which("bash")
    assert bash
    subprocess.run([bash, "-n", str(script)], check=True)


def test_the_jobset_starts_one_process_on_each_host_of_its_slice():
    (job,) = yaml.safe_load_all((FOLDER / "jobset.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("jobset.x-k8s.io/v1alpha2", "JobSet")
    (slice_,) = job["spec"]["replicatedJobs"]
    spec = slice_["template"]["spec"]
    pod = spec["template"]["spec"]
    topology = pod["nodeSelector"]["cloud.google.com/gke-tpu-topology"]
    chips = math.prod(map(int, topology.split("x")))
    (container,) = pod["containers"]
    per_host = container["resources"]["limits"]["google.com/tpu"]
    assert container["resources"]["requests"] == container["resources"]["limits"]
    assert spec["parallelism"] == spec["completions"] == slice_["replicas"] * chips // per_host
    mounted = {each["name"] for each in container["volumeMounts"]}
    assert mounted == {each["name"] for each in pod["volumes"]}
    assert pod["restartPolicy"] == "Never"  # the set restarts all hosts together
    program, command, *flags = container["command"]
    assert program == "fashion-jax"
    known, rest = make_parser(command).parse_known_args([command, *flags])
    assert known.config == "street2shop_resnet50"
    assert rest == ["--config.data.data_dir=/data"]


def test_the_jobs_of_the_jobset_have_no_field_that_kubernetes_does_not_know():
    kubernetes_validate = pytest.importorskip(
        "kubernetes_validate", reason="SKIPPED FOR WANT OF KUBERNETES' SCHEMA: pip install .[dev]"
    )
    (job,) = yaml.safe_load_all((FOLDER / "jobset.yaml").read_text())
    assert set(job["spec"]) == {"failurePolicy", "replicatedJobs"}
    (slice_,) = job["spec"]["replicatedJobs"]
    assert set(slice_) == {"name", "replicas", "template"}
    plain = {"apiVersion": "batch/v1", "kind": "Job", "metadata": job["metadata"]}
    plain |= {"spec": slice_["template"]["spec"]}
    kubernetes_validate.validate(plain, kubernetes_validate.latest_version(), strict=True)
    plain["spec"]["template"]["spec"]["restartpolicy"] = "Never"
    with pytest.raises(kubernetes_validate.ValidationError, match="restartpolicy"):
        kubernetes_validate.validate(plain, kubernetes_validate.latest_version(), strict=True)
