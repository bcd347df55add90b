"""A program that changes a catalogue again and again, to be killed at it.

`python -m tests.retrieval.changing_process INDEX JOURNAL` reads lines: `change N` forks a process
that makes change N, N + 1, ... until the line `kill`, which kills it without warning. Forking is
what makes a hundred kills quick: Python and its libraries start once.
"""

import itertools
import os
import pathlib
import signal
import sys

from fashion_jax.retrieval.catalogue.contents import Contents
from fashion_jax.retrieval.scann_index import scann_is_installed
from tests.retrieval.changing_catalogues import random_change


def main(index, journal):
    scann_is_installed()  # imported once
    print("ready", flush=True)
    for line in sys.stdin:
        number = int(line.removeprefix("change "))
        child = os.fork()
        if child == 0:
            try:
                change_forever(index, journal, number)
            finally:
                os._exit(1)
        command = sys.stdin.readline()  # or nothing, where the test ended otherwise
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert command == "kill\n"
        print("killed" if os.WIFSIGNALED(status) else "failed", flush=True)


def change_forever(index, journal, first):
    for number in itertools.count(first):
        change = random_change(number, names_in(index))
        note(journal, number)
        change.make(index)


def names_in(index):
    return {item.photo_id for item in Contents(index).items}


def note(journal, number):
    descriptor = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, f"{number}\n".encode())
    os.close(descriptor)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
