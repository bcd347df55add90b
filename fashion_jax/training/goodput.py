"""Where the time of a run goes: into steps, or into what stands between them.

Goodput is the share of the time that went into steps whose results were kept (Google
Cloud's *ML productivity goodput*). It is counted over all starts of a run.
"""

import contextlib
import dataclasses
import pathlib
import time
from collections.abc import Iterator, Mapping
from typing import TypeVar

from fashion_jax.files import atomic_write, read_json, to_json

GOODPUT_FILE = "goodput.json"

KINDS = ("start", "compile", "data", "steps", "validation", "checkpoints", "lost")
_STORED_EVERY_S = 30
_SCHEMA = 1

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Spent:
    """Time of a run up to its last start's last report.

    Attributes:
        starts: number of starts.
        step: last step that was done.
        steps_done: steps that were done, those that were lost included.
        seconds: seconds by kind; `steps` are those that were kept.
    """

    starts: int = 0
    step: int = 0
    steps_done: int = 0
    seconds: Mapping[str, float] = dataclasses.field(default_factory=dict)

    @property
    def goodput(self) -> float:
        """Share of the time that went into steps that were kept."""
        total = sum(self.seconds.values())
        return self.seconds.get("steps", 0.0) / total if total else 0.0

    def __str__(self) -> str:
        total = sum(self.seconds.values())
        parts = [
            f"{kind} {self.seconds[kind]:,.1f} s" for kind in KINDS if self.seconds.get(kind, 0) > 0
        ]
        starts = f", {self.starts} starts" if self.starts > 1 else ""
        return f"goodput {self.goodput:.1%} of {total:,.1f} s ({', '.join(parts)}{starts})"


class Stopwatch:
    """Counts the seconds of a run by kind; what is nothing else is `steps` once they began."""

    def __init__(
        self, workdir: pathlib.Path, resumed_step: int, stores: bool, begin: float | None = None
    ) -> None:
        """Go on from earlier starts.

        Args:
            workdir: folder of the run.
            resumed_step: step that the run goes on from; later ones of an earlier start are lost.
            stores: whether this host stores what was counted.
            begin: `time.perf_counter()` at the beginning; by default now.

        Raises:
            StorageError: the stored numbers are damaged.
        """
        self._path = workdir / GOODPUT_FILE
        self._stores = stores
        self._earlier = _with_losses(read_spent(workdir), resumed_step)
        self._step = self._first = resumed_step
        self._seconds = dict.fromkeys(KINDS, 0.0)
        self._begin = time.perf_counter() if begin is None else begin
        self._began = False
        self._stored = 0.0
        self.since_report = dict.fromkeys(KINDS, 0.0)
        self._reported = self._begin

    @contextlib.contextmanager
    def counting(self, kind: str) -> Iterator[None]:
        """Count what is inside the context as of a kind."""
        start = time.perf_counter()
        try:
            yield
        finally:
            taken = time.perf_counter() - start
            self._seconds[kind] += taken
            self.since_report[kind] += taken

    def counting_if(self, kind: str, condition: bool) -> contextlib.AbstractContextManager[None]:
        """`counting`, if a condition holds."""
        return self.counting(kind) if condition else contextlib.nullcontext()

    def waiting(self, source: Iterator[T]) -> Iterator[T]:
        """Pass on what a source gives; the time that it takes is of the kind `data`."""
        while True:
            with self.counting("data"):
                try:
                    element = next(source)
                except StopIteration:
                    return
            yield element

    def steps_begin(self) -> None:
        """The time until now was that of the start."""
        self._began = True
        self._seconds["start"] = time.perf_counter() - self._begin

    def report(self, step: int, photos_per_step: int) -> dict[str, float]:
        """Numbers for a log line, over the time since the last one.

        Args:
            step: last step that was done.
            photos_per_step: photos in a step.

        Returns:
            `speed/photos_per_second` without compiling, validation and checkpoints, and
            `speed/data_wait`, the share of that time in which the step waited for photos.
        """
        now = time.perf_counter()
        kept_out = sum(self.since_report[kind] for kind in ("compile", "validation", "checkpoints"))
        seconds = max(now - self._reported - kept_out, 1e-9)
        found = {
            "speed/photos_per_second": (step - self._step) * photos_per_step / seconds,
            "speed/data_wait": min(1.0, self.since_report["data"] / seconds),
        }
        self._step, self._reported = step, now
        self.since_report = dict.fromkeys(KINDS, 0.0)
        if now - self._stored > _STORED_EVERY_S:
            self.store()
        return found

    @property
    def spent(self) -> Spent:
        """The time of all starts so far."""
        here = dict(self._seconds)
        rest = time.perf_counter() - self._begin - sum(here.values())
        here["steps"] = max(0.0, rest) if self._began else 0.0
        earlier = self._earlier
        return Spent(
            starts=earlier.starts + 1,
            step=self._step,
            steps_done=earlier.steps_done + self._step - self._first,
            seconds={kind: earlier.seconds.get(kind, 0.0) + here[kind] for kind in KINDS},
        )

    def close(self) -> None:
        """Store the time at the end, however it came."""
        self.store()

    def store(self) -> None:
        """Store the time so far, for the next start."""
        self._stored = time.perf_counter()
        if self._stores:
            atomic_write(self._path, to_json(self.spent, _SCHEMA))


def read_spent(workdir: pathlib.Path) -> Spent:
    """Read the time of a run; nothing where there is none.

    Raises:
        StorageError: the file is damaged.
    """
    path = workdir / GOODPUT_FILE
    return read_json(path, Spent, _SCHEMA, "the time of a run") if path.exists() else Spent()


def _with_losses(earlier: Spent, resumed_step: int) -> Spent:
    """Count the steps that are done again as lost, each at the mean time of a step."""
    lost = earlier.step - resumed_step
    if lost <= 0 or not earlier.steps_done:
        return earlier
    seconds = dict(earlier.seconds)
    taken = min(seconds["steps"], seconds["steps"] / earlier.steps_done * lost)
    seconds["steps"] -= taken
    seconds["lost"] = seconds.get("lost", 0.0) + taken
    return dataclasses.replace(earlier, seconds=seconds)
