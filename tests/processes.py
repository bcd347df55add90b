"""Several processes of one JAX job over loopback."""

import os
import socket
import subprocess
import sys

from tests.xla_flags import xla_flags


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def run_hosts(hosts: int, devices: int, program: str, *arguments: str) -> None:
    """Run a program in so many processes, which share the devices; none may fail."""
    port = free_port()
    processes = []
    for index in range(hosts):
        environment = {
            **os.environ,
            "XLA_FLAGS": xla_flags(devices // hosts),
        }
        if hosts > 1:
            environment |= {
                "JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{port}",
                "JAX_NUM_PROCESSES": str(hosts),
                "JAX_PROCESS_ID": str(index),
            }
        processes.append(
            subprocess.Popen(
                [sys.executable, "-c", program, *arguments],
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
        )
    for process in processes:
        _, errors = process.communicate(timeout=400)
        assert process.returncode == 0, errors.decode()
