"""A program that embeds catalogues again and is killed at it, at a step of its choice.

`python -m tests.retrieval.exchanging_process` reads lines `STEP INDEX` and forks a process for
each, which kills itself before that change of the disk. Steps, unlike times, do not depend on how
busy the machine is.
"""

import itertools
import os
import signal
import sys

from fashion_jax.retrieval.scann_index import scann_is_installed
from tests.retrieval.two_models import AT_ONCE, exchange

STEPS = {"os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.truncate"}


def main():
    scann_is_installed()  # imported once
    print("ready", flush=True)
    for line in sys.stdin:
        step, _, index = line.rstrip("\n").partition(" ")
        child = os.fork()
        if child == 0:
            code = 1
            try:
                exchange_until(int(step), index)
                code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status)
        print("killed" if killed else f"ended {os.WEXITSTATUS(status)}", flush=True)


def exchange_until(step, index):
    steps = itertools.count(1)

    def kill_at_step(event, _):
        if event in STEPS and next(steps) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(kill_at_step)
    exchange(index, at_once=AT_ONCE)


if __name__ == "__main__":
    main()
