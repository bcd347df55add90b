"""Output of commands: characters a terminal cannot show, closed streams, full disks."""

import contextlib
import errno
import logging
import os
import pathlib
import re
import shutil
import sys

from fashion_jax.files import WRITING

STDOUT, STDERR = 1, 2
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EROFS, errno.EACCES, errno.EPERM)
_IN_WORDS = (*_NO_ROOM, *_FORBIDDEN, errno.EFBIG, errno.EIO)
_SHORT_WRITE = re.compile(r"\d+ requested and \d+ written")
_PATH = re.compile(r"(?<![\w/])/[^\s:;,'\"\]]+")
# Joiners belong to the spelling of several scripts.
_KEPT = "\n\t\u200c\u200d"


def printable(text: str) -> str:
    r"""Escape what would change a terminal instead of being shown.

    Control characters, marks that reverse the direction of text, and halves of surrogate pairs
    appear as in Python's source, such as `\x1b`. Line breaks and tabs stay.

        >>> printable("a\x1b[31m")
        'a\\x1b[31m'
    """
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() or letter in _KEPT else ascii(letter)[1:-1]
        for letter in text
    )


class UnprintedError(Exception):
    """Standard output or standard error takes no more; its text is the system's reason."""


def say(text: str, to_stderr: bool = False) -> None:
    """Print a text as `printable` shows it.

    Args:
        text: the text.
        to_stderr: whether it is a message rather than a result.

    Raises:
        UnprintedError: the stream takes no more, such as a file on a full disk.
        BrokenPipeError: nobody reads the stream any more.
    """
    try:
        print(printable(text), file=sys.stderr if to_stderr else sys.stdout, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UnprintedError(error.strerror) from error


class PrintableFormatter(logging.Formatter):
    """A formatter of log messages that a terminal can show."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a message."""
        return printable(super().format(record))


def prepare_streams() -> None:
    """Make standard streams take any text.

    Letters that the terminal's encoding lacks are escaped. In the place of a closed stream, text
    goes nowhere: the next file that is opened would have its number, and receive its text.
    """
    while (nowhere := os.open(os.devnull, os.O_RDWR)) <= STDERR:
        pass
    os.close(nowhere)
    for number, name in ((STDOUT, "stdout"), (STDERR, "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w", encoding="utf-8", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def discard_output(*descriptors: int) -> None:
    """Let Python end without a message although a standard stream takes no more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in descriptors:
        os.dup2(nowhere, descriptor)
    os.close(nowhere)


def as_disk_error(error: Exception) -> OSError | None:
    """Recognise an error of a disk in what a library made of it; `None` for any other error.

    ArrayRecord, Orbax, Arrow and XLA put the system's words into errors of their own, and NumPy
    counts the bytes that it could not write.
    """
    text = str(error)
    if isinstance(error, OSError) and error.errno is not None:
        return error
    words = {number: os.strerror(number) for number in _IN_WORDS}
    found = [number for number, said in words.items() if said.lower() in text.lower()]
    if not found and _SHORT_WRITE.fullmatch(text):
        found = [errno.ENOSPC]
    if found:
        return OSError(found[0], words[found[0]], _place(error))
    return error if isinstance(error, OSError) else None


def _place(error: Exception) -> str | None:
    """The path in a library's text, or else the one that `writing` noted."""
    if isinstance(error, OSError) and error.filename is not None:
        return os.fspath(error.filename)
    if path := _PATH.search(str(error)):
        return path[0]
    notes = getattr(error, "__notes__", [])
    return next((note.removeprefix(WRITING) for note in notes if note.startswith(WRITING)), None)


def disk_problem(error: OSError) -> str:
    """Explain an error of a disk: what was written or read, why it failed, and what to do."""
    place = error.filename2 or error.filename
    what = os.fsdecode(place) if isinstance(place, str | bytes | os.PathLike) else "a file"
    why = f"{what}: {error.strerror or error}"
    kept = "Nothing is left half-written, and what was there before stays"
    if error.errno in _NO_ROOM:
        room = _room(os.fsdecode(place)) if place else ""
        return f"{why}{room}. {kept}. Make room, and run the same command again"
    if error.errno == errno.EFBIG:
        return f"{why}. {kept}. Raise the limit on file sizes (ulimit -f), or use another disk"
    if error.errno in _FORBIDDEN:
        return f"{why}. {kept}. Choose a place that you may write to"
    return f"{why}. {kept}"


def _room(place: str) -> str:
    path = pathlib.Path(place).absolute()
    for folder in (path, *path.parents):
        with contextlib.suppress(OSError):  # a folder that was removed with the attempt
            return f" ({shutil.disk_usage(folder).free / 2**20:,.1f} MiB free)"
    return ""
