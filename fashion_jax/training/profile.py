"""A trace of some steps, for XProf or TensorBoard."""

import logging
import pathlib
import re
from typing import Any, NamedTuple

import jax

from fashion_jax.errors import FashionJaxError

logger = logging.getLogger(__name__)

PROFILE_FOLDER = "profile"


class Steps(NamedTuple):
    """Steps from the first to the last, both included."""

    first: int
    last: int


def parse_steps(text: str) -> Steps:
    """Read steps such as `20:30`.

    Raises:
        FashionJaxError: another form, or no steps.
    """
    found = re.fullmatch(r"(\d+):(\d+)", text)
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise FashionJaxError(f"{text!r} are no steps; write the first and the last, such as 20:30")
    return Steps(int(found[1]), int(found[2]))


class Profiler:
    """Traces the steps that it is told of, on each host, into a folder of the run."""

    def __init__(self, workdir: pathlib.Path, steps: Steps | None) -> None:
        """Trace nothing yet; `None` for nothing at all."""
        self._folder = workdir / PROFILE_FOLDER
        self._steps = steps
        self._running = False

    def before(self, step: int) -> None:
        """Begin, if this is the first step to be traced (or the run resumes within them)."""
        if self._steps is not None and not self._running and step in range(*self._range):
            jax.profiler.start_trace(str(self._folder))
            self._running = True

    def after(self, step: int, results: Any) -> None:
        """End, if this was the last step to be traced.

        Args:
            step: the step.
            results: its arrays, which are waited for.
        """
        if self._running and self._steps is not None and step >= self._steps.last:
            jax.block_until_ready(results)
            self.close()

    def close(self) -> None:
        """Write what was traced."""
        if self._running:
            jax.profiler.stop_trace()
            self._running = False
            logger.info("trace in %s: xprof --logdir %s", self._folder, self._folder)

    @property
    def _range(self) -> tuple[int, int]:
        first, last = self._steps or (0, 0)
        return first, last + 1
