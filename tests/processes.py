"""Processes beside the test: those of one JAX job over loopback, and one to talk to."""

import os
import pathlib
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


class TalkingProcess:
    """A module of the tests that runs beside the test, and answers lines with lines."""

    def __init__(self, module, *arguments):
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *map(str, arguments)],
            cwd=pathlib.Path(__file__).parents[1],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.answer() == "ready"

    def say(self, line):
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def answer(self):
        return self.process.stdout.readline().removesuffix("\n")

    def __enter__(self):
        return self

    def __exit__(self, failure, *_):
        self.process.stdin.close()
        code = self.process.wait()
        self.process.stdout.close()
        assert failure or code == 0
