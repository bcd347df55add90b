"""What a terminal and a disk may do to a command: odd letters, closed pipes, no room."""

import contextlib
import errno
import logging
import os
import pathlib
import re
import shutil
import sys

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EROFS, errno.EACCES, errno.EPERM)
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


class PrintableFormatter(logging.Formatter):
    """A formatter of log messages that a terminal can show."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a message."""
        return printable(super().format(record))


def accept_any_letter() -> None:
    """Escape letters that the terminal's encoding lacks, in the place of an error."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def ignore_closed_pipe() -> None:
    """Let Python end without a message although nobody reads its output any more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())


def as_disk_error(error: Exception) -> OSError | None:
    """Recognise an error of a disk in what a library made of it; `None` for any other error.

    ArrayRecord, Orbax, Arrow and XLA put the system's words into errors of their own, and NumPy
    counts the bytes that it could not write.
    """
    text = str(error)
    if isinstance(error, OSError) and error.errno is not None:
        return error
    words = {number: os.strerror(number) for number in (*_NO_ROOM, *_FORBIDDEN, errno.EIO)}
    found = [number for number, said in words.items() if said.lower() in text.lower()]
    if not found and _SHORT_WRITE.fullmatch(text):
        found = [errno.ENOSPC]
    if found:
        place = _PATH.search(text)
        return OSError(found[0], words[found[0]], place[0] if place else None)
    return error if isinstance(error, OSError) else None


def disk_problem(error: OSError) -> str:
    """Explain an error of a disk: what was written or read, why it failed, and what to do."""
    place = error.filename2 or error.filename
    what = os.fsdecode(place) if isinstance(place, str | bytes | os.PathLike) else "a file"
    why = f"{what}: {error.strerror or error}"
    kept = "Nothing is left half-written, and what was there before stays"
    if error.errno in _NO_ROOM:
        room = _room(os.fsdecode(place)) if place else ""
        return f"{why}{room}. {kept}. Make room, and run the same command again"
    if error.errno in _FORBIDDEN:
        return f"{why}. {kept}. Choose a place that you may write to"
    return f"{why}. {kept}"


def _room(place: str) -> str:
    for folder in pathlib.Path(place).absolute().parents:
        with contextlib.suppress(OSError):  # a folder that was removed with the attempt
            return f" ({shutil.disk_usage(folder).free / 2**20:,.1f} MiB free)"
    return ""
