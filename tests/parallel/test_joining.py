"""How a process joins its job: each launcher's variables, and refusals of what looks like many."""

import logging

import jax
import pytest
from jax._src.clusters import cloud_tpu_cluster

from fashion_jax.parallel import joining
from fashion_jax.parallel.joining import JoinError, find_rule, join_job

SLURM = {
    "SLURM_JOB_ID": "4711",
    "SLURM_STEP_NODELIST": "node[001-002]",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_STEP_NUM_TASKS": "8",
    "SLURM_NTASKS": "8",
    "SLURM_PROCID": "5",
    "SLURM_LOCALID": "1",
    "SLURM_GPUS_ON_NODE": "4",
}
OMPI = {
    "OMPI_MCA_orte_hnp_uri": "1531576320.0;tcp://10.96.0.1,10.148.0.1:34911",
    "OMPI_COMM_WORLD_SIZE": "4",
    "OMPI_COMM_WORLD_RANK": "3",
    "OMPI_COMM_WORLD_LOCAL_RANK": "1",
}
NAMED = {
    "JAX_COORDINATOR_ADDRESS": "10.0.0.1:1234",
    "JAX_NUM_PROCESSES": "2",
    "JAX_PROCESS_ID": "1",
}
GKE = {"TPU_WORKER_HOSTNAMES": "t-0,t-1,t-2,t-3", "TPU_WORKER_ID": "2"}
# Two slices of one machine each.
MULTISLICE = {
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_WORKER_ID": "0",
    "MEGASCALE_COORDINATOR_ADDRESS": "127.0.0.1:8081",
    "MEGASCALE_NUM_SLICES": "2",
    "MEGASCALE_SLICE_ID": "1",
}


@pytest.fixture
def joins(monkeypatch):
    """Set an environment, and join in it; returns what JAX is asked for, or would find out."""
    for name in {*SLURM, *OMPI, *NAMED, *MULTISLICE, *joining._COUNTS, *joining._LISTS}:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.delenv("TPU_SKIP_MDS_QUERY", raising=False)
    monkeypatch.delenv("JOB_COMPLETION_INDEX", raising=False)
    monkeypatch.setattr(cloud_tpu_cluster, "running_in_cloud_tpu_vm", False)

    def join(environment, tpu=None):
        """`tpu`: metadata of a TPU machine."""
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        if tpu is not None:
            metadata = lambda key: (tpu.get(key, ""), 200 if key in tpu else 404)  # noqa: E731
            monkeypatch.setattr(cloud_tpu_cluster, "running_in_cloud_tpu_vm", True)
            monkeypatch.setattr(cloud_tpu_cluster, "get_metadata", metadata)
        asked = []

        def initialize(**options):
            from jax._src.clusters import ClusterEnv

            found = ClusterEnv.auto_detect_unset_distributed_params(
                options.get("coordinator_address"),
                options.get("num_processes"),
                options.get("process_id"),
                options.get("local_device_ids"),
                options.get("cluster_detection_method"),
                1,
            )
            asked.extend(found)
            monkeypatch.setattr(jax, "process_count", lambda: found[1])
            monkeypatch.setattr(jax, "process_index", lambda: found[2])

        monkeypatch.setattr(jax.distributed, "initialize", initialize)
        join_job()
        return asked

    return join


def test_slurm(joins, caplog):
    caplog.set_level(logging.INFO)
    address, count, index, devices = joins(SLURM)
    assert (address.partition(":")[0], count, index, devices) == ("node001", 8, 5, [1])
    assert "process 5 of 8: SLURM (SLURM_JOB_ID=4711, SLURM_NTASKS=8, SLURM_PROCID=5)" in (
        caplog.text
    )


def test_one_task_of_slurm_on_each_node_takes_all_of_its_gpus(joins):
    one_each = {"SLURM_NTASKS": "2", "SLURM_STEP_NUM_TASKS": "2", "SLURM_LOCALID": "0"}
    assert joins(SLURM | one_each | {"SLURM_PROCID": "1"})[1:] == [2, 1, [0, 1, 2, 3]]


def test_open_mpi(joins, caplog):
    caplog.set_level(logging.INFO)
    address, count, index, devices = joins(OMPI)
    assert (address.partition(":")[0], count, index, devices) == ("10.96.0.1", 4, 3, [1])
    assert "process 3 of 4: Open MPI" in caplog.text


def test_a_named_job(joins, caplog):
    caplog.set_level(logging.INFO)
    assert joins(NAMED | SLURM)[:3] == ["10.0.0.1:1234", 2, 1]
    assert "process 1 of 2: the environment (JAX_COORDINATOR_ADDRESS=10.0.0.1:1234" in caplog.text


def test_tpu_machines_named_by_the_environment(joins, caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(cloud_tpu_cluster.socket, "gethostbyname", lambda name: "10.0.0.9")
    address, count, index, _ = joins(GKE, tpu={})
    assert (address.partition(":")[0], count, index) == ("t-0", 4, 2)
    assert "TPU machines named by the environment (TPU_WORKER_ID=2" in caplog.text


def test_slices_of_one_machine_each(joins, caplog):
    caplog.set_level(logging.INFO)
    address, count, index, _ = joins(MULTISLICE, tpu={})
    assert (address.partition(":")[0], count, index) == ("127.0.0.1", 2, 1)
    assert "MEGASCALE_NUM_SLICES=2" in caplog.text


def test_tpu_machines_named_by_their_metadata(joins, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(cloud_tpu_cluster.socket, "gethostbyname", lambda name: "10.0.0.9")
    tpu = {"agent-worker-number": "1", "worker-network-endpoints": "a:b:10.0.0.9,a:b:10.0.0.8"}
    address, count, index, _ = joins({}, tpu | {"tpu-env": ""})
    assert (address.partition(":")[0], count, index) == ("10.0.0.9", 2, 1)
    assert "process 1 of 2: TPU machines named by their metadata" in caplog.text


@pytest.mark.parametrize(
    ("environment", "tpu", "said"),
    [
        ({}, None, "no cluster was detected and JAX_COORDINATOR_ADDRESS is not set"),
        (SLURM | {"JAX_NUM_PROCESSES": "1"}, None, "JAX_NUM_PROCESSES=1"),
        (SLURM | {"SLURM_NTASKS": "1", "SLURM_STEP_NUM_TASKS": "1"}, None, "a job of one"),
        # Kaggle's machines; JAX 0.7.2 does not know their variable.
        ({"TPU_PROCESS_ADDRESSES": "local", "TPU_WORKER_ID": "0"}, {}, "one process: "),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, None, "no cluster was detected"),
    ],
    ids=["nothing", "on request", "slurm", "kaggle", "a pod"],
)
@pytest.mark.filterwarnings("ignore:\nKubernetes environment detected")
def test_one_process(joins, caplog, environment, tpu, said):
    caplog.set_level(logging.INFO)
    assert joins(environment, tpu) == []
    assert "one process: " in caplog.text
    assert said in caplog.text


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"SLURM_NTASKS": "4"}, "SLURM_NTASKS=4 says .* with srun"),
        ({"SLURM_NTASKS": "4", "SLURM_JOB_ID": "7"}, "SLURM_NTASKS=4"),  # joined in vain by 0.7.2
        ({"OMPI_COMM_WORLD_SIZE": "2"}, "OMPI_COMM_WORLD_SIZE=2"),
        ({"PMI_SIZE": "2"}, "PMI_SIZE=2"),
        ({"WORLD_SIZE": "8"}, "WORLD_SIZE=8"),
        ({"JAX_NUM_PROCESSES": "4"}, "set JAX_COORDINATOR_ADDRESS to HOST:PORT of process 0"),
        (GKE, "TPU_WORKER_HOSTNAMES=t-0,t-1,t-2,t-3 says"),
        (MULTISLICE, "MEGASCALE_NUM_SLICES=2"),
        ({"JOB_COMPLETION_INDEX": "3"}, r"JOB_COMPLETION_INDEX=3 .* jax\[k8s\]"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_one_of_many_never_works_alone(joins, environment, said):
    with pytest.raises(JoinError, match=said) as error:
        joins(environment)
    assert "JAX_NUM_PROCESSES=1 if this process is to work alone" in str(error.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"JAX_PROCESS_ID": "2"}, "JAX_PROCESS_ID is 2; with JAX_NUM_PROCESSES=2 .* 0 to 1"),
        ({"JAX_PROCESS_ID": ""}, "names a job, but JAX_PROCESS_ID=''"),
        ({"JAX_NUM_PROCESSES": "two"}, "but JAX_NUM_PROCESSES='two'"),
    ],
)
def test_incomplete_names_are_refused(joins, change, said):
    with pytest.raises(JoinError, match=said):
        joins(NAMED | change)


def test_a_job_on_kubernetes_that_cannot_be_read_is_refused(joins, monkeypatch):
    def fails():
        raise RuntimeError("Kubernetes API Error: 403")

    monkeypatch.setattr(joining, "detect_cluster", fails)
    pod = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    assert joins(pod) == []
    with pytest.raises(JoinError, match="cannot be told: Kubernetes API Error: 403"):
        joins(pod | {"JOB_COMPLETION_INDEX": "0"})


def test_others_that_do_not_come_are_an_error(monkeypatch):
    def fails(**options):
        raise RuntimeError("deadline exceeded")

    for name, value in NAMED.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(jax.distributed, "initialize", fails)
    with pytest.raises(JoinError, match=r"deadline exceeded. .* process 0 can be reached"):
        join_job()


def test_fewer_than_were_named_are_an_error(monkeypatch):
    for name, value in NAMED.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(jax.distributed, "initialize", lambda **_: None)
    with pytest.raises(JoinError, match=r"2 processes were to join .* JAX has 1"):
        join_job()


def test_the_rule_of_the_present_machine_is_one_process():
    assert find_rule({}).options is None
