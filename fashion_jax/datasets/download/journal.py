"""Outcome of every photo, one line of JSON each; robust against interruptions."""

import contextlib
import dataclasses
import datetime
import json
import os
import pathlib

from fashion_jax.datasets.download.links import DownloadError
from fashion_jax.files import StorageError, UnreadableFileError, open_file, parse_json

FETCHED, FAILED = "fetched", "failed"
_LONGEST_LINE = 2**20


@dataclasses.dataclass
class Entry:
    """A photo's outcome: fetched, or failed for a reason.

    Attributes:
        photo: photo id.
        link: link as listed.
        attempts: number of requests for the photo; 0 if its host had been given up.
        redirected_to: last requested link; left out of the journal if it is `link`.
        status: last HTTP status; `None` without an answer.
        file: name of the photo's file.
        bytes: size of the photo's file.
        reason: kind of failure, such as `http_404`; `None` for a photo that was fetched.
        permanent: whether the next run leaves the photo alone.
        detail: description of the failure for a person.
    """

    photo: str
    link: str
    attempts: int = 0
    redirected_to: str | None = None
    status: int | None = None
    file: str | None = None
    bytes: int | None = None
    reason: str | None = None
    permanent: bool | None = None
    detail: str | None = None


@dataclasses.dataclass
class _Outcome(Entry):
    """A line of the journal."""

    time: str = ""
    outcome: str = ""


class Journal(contextlib.AbstractContextManager["Journal"]):
    """Appends to a journal; each line reaches the operating system before the next is written.

    Args:
        path: file, which may end in a torn line; missing directories are made.
    """

    def __init__(self, path: pathlib.Path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b", buffering=0)
            if self._file.tell() and self._file.seek(-1, os.SEEK_END) >= 0:
                torn = self._file.read() != b"\n"
                self._file.write(b"\n" * torn)
        except OSError as error:
            raise DownloadError(f"cannot write the journal {path}: {error.strerror}") from error

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def write(self, entry: Entry) -> None:
        """Append a line with the time and the outcome; fields that are `None` are left out."""
        time = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        outcome = FETCHED if entry.reason is None else FAILED
        values = {"time": time, "outcome": outcome, **dataclasses.asdict(entry)}
        if entry.redirected_to == entry.link:
            values["redirected_to"] = None
        line = json.dumps({k: v for k, v in values.items() if v is not None}) + "\n"
        try:
            self._file.write(line.encode("ascii"))
        except OSError as error:
            raise DownloadError(
                f"cannot write the journal {self._file.name}: {error.strerror}; free some space "
                "and run the same command again to resume"
            ) from error


def read_permanent_failures(path: pathlib.Path) -> dict[str, tuple[str, str]]:
    """Return link and reason of each photo whose last line in a journal is a permanent failure.

    Unreadable lines, such as one torn by a kill, are skipped: their photos are fetched again.

    Raises:
        DownloadError: the journal cannot be read.
    """
    found: dict[str, tuple[str, str]] = {}
    try:
        if not path.exists():
            return found
        with open_file(path) as file:
            for line in iter(lambda: file.readline(_LONGEST_LINE), b""):
                with contextlib.suppress(StorageError):
                    entry = parse_json(line, _Outcome, None, str(path))
                    found.pop(entry.photo, None)
                    if entry.permanent:
                        found[entry.photo] = (entry.link, str(entry.reason))
    except (OSError, UnreadableFileError) as error:
        raise DownloadError(f"cannot read the journal {path}: {error}") from error
    return found
