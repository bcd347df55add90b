import platform
import subprocess
import sys

import pytest

from fashion_jax.cli import host_memory
from fashion_jax.cli.host_memory import computes_on_cpu


def test_keeps_freed_memory_where_glibc_allocates():
    code = "from fashion_jax.cli.host_memory import keep_freed_memory as f; print(f())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(platform.libc_ver()[0] == "glibc")


@pytest.mark.parametrize(
    ("platforms", "devices", "expected"),
    [
        (None, [], True),
        (None, ["nvidia0"], False),
        (None, ["nvidiactl"], True),  # a driver without a GPU
        ("cpu", ["nvidia0"], True),
        ("cuda,cpu", ["nvidia0"], False),
    ],
)
def test_an_accelerator_is_seen_without_starting_jax(
    platforms, devices, expected, tmp_path, monkeypatch
):
    for name in devices:
        (tmp_path / name).touch()
    monkeypatch.setattr(host_memory, "ACCELERATORS", (f"{tmp_path}/nvidia[0-9]*",))
    if platforms is None:
        monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    else:
        monkeypatch.setenv("JAX_PLATFORMS", platforms)
    assert computes_on_cpu() is expected
