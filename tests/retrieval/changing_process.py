"""A program that changes a catalogue again and again, to be killed at it.

`python -m tests.retrieval.changing_process INDEX JOURNAL MODULE` reads lines: `change N` forks a
process that makes change N, N + 1, ... until the line `kill`, which kills it without warning.
Forking is what makes a hundred kills quick: Python and its libraries start once. MODULE is one of
this package with `make_change(number, index)`.
"""

import importlib
import itertools
import os
import pathlib
import random
import signal
import sys
import time

import numpy as np
import pyarrow as pa

from fashion_jax.retrieval.scann_index import scann_is_installed
from tests.processes import TalkingProcess


class Changer(TalkingProcess):
    """The other process, as tests use it."""

    def __init__(self, index, journal, module="changing_catalogues"):
        self.journal = journal
        self._random = random.Random(0)
        super().__init__("tests.retrieval.changing_process", index, journal, module)

    def start(self, number):
        self.say(f"change {number}")

    def kill(self):
        """Kills it in the middle of a change; returns that change's number."""
        self.say("kill")
        assert self.answer() == "killed"
        return self._last_begun()

    def start_and_kill(self, number):
        """Starts changes and kills them soon; returns the number of the last one begun."""
        self.start(number)
        self._wait_until_begun(number + self._random.randint(-1, 1))
        time.sleep(self._random.uniform(0.0, 0.1))
        return self.kill()

    def _wait_until_begun(self, number):
        while self._last_begun() < number:
            assert self.process.poll() is None
            time.sleep(0.001)

    def _last_begun(self):
        text = self.journal.read_text() if self.journal.exists() else ""
        return int(text.split()[-1]) if text else -1


def main(index, journal, module):
    make_change = importlib.import_module(f"tests.retrieval.{module}").make_change
    scann_is_installed()  # imported once, as is pandas, which the first array of Arrow's imports
    pa.array(np.empty(0))
    print("ready", flush=True)
    for line in sys.stdin:
        number = int(line.removeprefix("change "))
        child = os.fork()
        if child == 0:
            try:
                change_forever(index, journal, number, make_change)
            finally:
                os._exit(1)
        command = sys.stdin.readline()  # or nothing, where the test ended otherwise
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert command == "kill\n"
        print("killed" if os.WIFSIGNALED(status) else "failed", flush=True)


def change_forever(index, journal, first, make_change):
    for number in itertools.count(first):
        note(journal, number)
        make_change(number, index)


def note(journal, number):
    descriptor = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, f"{number}\n".encode())
    os.close(descriptor)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3])
