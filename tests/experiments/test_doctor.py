"""The doctor finds what would end a run, and says what to do."""

import dataclasses
import json
import pathlib
import shutil
import types

import pytest

from fashion_jax.cli import main
from fashion_jax.experiments import doctor
from fashion_jax.experiments.doctor import diagnose
from tests.processes import run_hosts

HOSTS = """
import os
from fashion_jax.experiments.doctor import diagnose
from fashion_jax.parallel import agreement
from fashion_jax.parallel.joining import join_job
import fashion_jax.experiments.doctor as doctor
join_job()
if os.environ["JAX_PROCESS_ID"] == "1":
    doctor.versions = lambda: agreement.versions() | {"jax": "0.0.1"}
found = diagnose()
assert found.hosts == 2 and not found.is_well
first = found.findings[0]
assert first.check == "agreement" and "'0.0.1' on 1" in first.found, first
assert {each.host for each in found.findings} == {0, 1}
assert "clocks" in [each.check for each in found.findings]
"""


def of(found, check):
    return next(each for each in found.findings if each.check == check)


def test_this_machine_is_well(tiny_config, tmp_path):
    found = diagnose(tiny_config, tmp_path / "runs" / "new")
    assert found.is_well
    assert "8 × cpu (cpu) of 8" in of(found, "devices").found
    assert "training photos, read at" in of(found, "data").found
    assert list(tmp_path.iterdir()) == []
    assert "host" not in found.to_table().splitlines()[0]


def test_a_device_that_jax_does_not_use(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "_DEVICES", {str(tmp_path): ("gpu", "pip install jax[cuda12]")})
    found = of(diagnose(workdir=tmp_path), "devices")
    assert found.status == "problem"
    assert "is there, and JAX does not use it" in found.found
    assert "jax[cuda12]" in found.remedy


def test_full_disks_and_little_shared_memory(monkeypatch, tmp_path, tiny_config):
    def little(place):
        return types.SimpleNamespace(free=10 * 2**20)

    monkeypatch.setattr(shutil, "disk_usage", little)
    data = dataclasses.replace(tiny_config.data, workers=2)
    found = diagnose(dataclasses.replace(tiny_config, data=data), tmp_path)
    assert of(found, "workdir").status == "warning"
    if pathlib.Path("/dev/shm").exists():
        assert "--shm-size" in of(found, "shared memory").remedy
        without = dataclasses.replace(tiny_config, data=dataclasses.replace(data, workers=0))
        assert of(diagnose(without, tmp_path), "shared memory").status == "ok"


def test_a_workdir_that_cannot_be_written(monkeypatch, tmp_path):
    def refused(**_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(doctor.tempfile, "NamedTemporaryFile", refused)
    found = of(diagnose(workdir=tmp_path), "workdir")
    assert found.status == "problem"
    assert "Read-only file system" in found.found


def test_slow_and_missing_data(monkeypatch, tiny_config, tmp_path):
    monkeypatch.setattr(doctor, "_LEAST_MB_PER_S", 1e9)
    assert of(diagnose(tiny_config, tmp_path), "data").status == "warning"
    elsewhere = dataclasses.replace(tiny_config.data, data_dir=str(tmp_path))
    found = diagnose(dataclasses.replace(tiny_config, data=elsewhere), tmp_path)
    assert not found.is_well
    assert "synthetic_street2shop" in of(found, "data").found


def test_the_command(capsys, monkeypatch, tmp_path):
    assert main(["doctor", "--workdir", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["well"] is True
    monkeypatch.setattr(doctor, "_DEVICES", {str(tmp_path): ("gpu", "install")})
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--workdir", str(tmp_path)])
    assert ended.value.code == 2
    assert "devices: install (gpu)" in capsys.readouterr().out


@pytest.mark.slow
def test_two_hosts_that_differ():
    run_hosts(2, 2, HOSTS)


def test_a_workdir_at_an_address_needs_room_for_its_copy(tmp_path, monkeypatch):
    monkeypatch.setenv("FASHION_JAX_CACHE", str(tmp_path / "copies"))
    monkeypatch.chdir(tmp_path)
    (finding,) = [e for e in diagnose(workdir="gs://shop/run").findings if e.check == "workdir"]
    assert str(tmp_path) in finding.found
    assert not list(tmp_path.iterdir())
