"""A run's numbers as it goes: `metrics.jsonl` for programs, TensorBoard events for people."""

import json
import pathlib
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import msgspec
from tensorboardX import SummaryWriter

from fashion_jax.files import LARGEST_LINES, StorageError, atomic_write, parse_json, read_file

METRICS_FILE = "metrics.jsonl"
Number = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)] | float
OwnLog = Callable[[int, Mapping[str, float]], None]


class MetricsLog:
    """Appends lines; after a resume, lines beyond the restored step are gone, never doubled."""

    def __init__(
        self,
        workdir: pathlib.Path,
        resumed_step: int,
        enabled: bool = True,
        own_log: OwnLog | None = None,
    ) -> None:
        """Open the log of a run that resumes from `resumed_step`.

        Args:
            workdir: directory of the run.
            resumed_step: last step whose lines stay.
            enabled: whether this host writes; only one does.
            own_log: called with each line's step and values as well.
        """
        self._own_log = own_log
        self._file = None
        if not enabled:
            return
        path = workdir / METRICS_FILE
        kept = [line for line in read_metrics(workdir) if line["step"] <= resumed_step]
        atomic_write(path, "".join(json.dumps(line) + "\n" for line in kept).encode())
        self._file = path.open("a")
        self._events = SummaryWriter(str(workdir / "events"), purge_step=resumed_step + 1)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """One line for `step`."""
        if self._file is None:
            return
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        self._file.flush()
        for name, value in values.items():
            self._events.add_scalar(name, value, step)
        if self._own_log is not None:
            self._own_log(step, values)

    def close(self) -> None:
        """Write buffered lines."""
        if self._file is not None:
            self._file.close()
            self._events.close()


def read_metrics(workdir: pathlib.Path) -> list[dict[str, Any]]:
    """The lines of a run's `metrics.jsonl`; a last one that a kill cut off is left out.

    Numbers may be NaN or infinite, as those of a run that diverged are.

    Raises:
        StorageError: another line is damaged; with its number.
        UnreadableFileError: it is not a regular file, or is larger than 4 GiB.
    """
    path = workdir / METRICS_FILE
    if not path.exists():
        return []
    # A crashed machine may leave zeros where the last lines were to be.
    texts = read_file(path, LARGEST_LINES).rstrip(b"\0").split(b"\n")
    return [  # what follows the last end of line is cut
        _line(text, f"line {number} of {path}") for number, text in enumerate(texts[:-1], start=1)
    ]


def _line(text: bytes, where: str) -> dict[str, Any]:
    mend = "Correct or remove that line; the others were not touched"
    line = parse_json(text, dict[str, Number], None, where, any_number=True, mend=mend)
    step = line.get("step")
    if not isinstance(step, int) or step < 0:
        raise StorageError(f"{where} is damaged (its step is {step!r}, not a whole number). {mend}")
    return line
