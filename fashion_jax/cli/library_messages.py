"""Libraries' own words about an error that the command reports in one line."""

import logging
import pathlib
import sys

from fashion_jax.cli.terminal import as_disk_error

# Files of Orbax in which a write fails in a thread. They log the error with its traceback, or leave
# that to asyncio, and raise it in the main thread after that.
_ORBAX_WRITERS = ("checkpoint_manager.py", "async_checkpointer.py", "future.py", "serialization.py")


def leave_out_repetitions() -> None:
    """Print no tracebacks of an error of a disk that Orbax and TensorStore raise as well."""
    for name in ("absl", "asyncio"):
        logging.getLogger(name).addFilter(_is_news)
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = _print_unless_closed_loop


def _is_news(record: logging.LogRecord) -> bool:
    _, error, frames = record.exc_info or (None, None, None)
    if frames is None or not isinstance(error, Exception):
        return True
    file = pathlib.PurePath(frames.tb_frame.f_code.co_filename)
    return not ("orbax" in file.parts and file.name in _ORBAX_WRITERS and as_disk_error(error))


def _print_unless_closed_loop(unraisable: "sys.UnraisableHookArgs") -> None:
    """Ignore writes that TensorStore ends after the first one has failed.

    Each of them reports to an event loop that Orbax has closed by then.
    """
    if unraisable.object is not None or str(unraisable.exc_value) != "Event loop is closed":
        sys.__unraisablehook__(unraisable)
