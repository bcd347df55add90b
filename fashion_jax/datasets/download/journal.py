"""What became of every photo, one line of JSON each, whatever interrupts the writing."""

import dataclasses
import datetime
import json
import pathlib
from types import TracebackType
from typing import Any

from fashion_jax.errors import FashionJaxError

FETCHED, FAILED = "fetched", "failed"


@dataclasses.dataclass(frozen=True)
class Entry:
    """One line of the journal.

    Attributes:
        photo: its id.
        link: as it was asked for.
        outcome: `fetched` or `failed`.
        attempts: how many times the photo was asked for; 0 if its host had been given up.
        reason: of a failure, such as `http_404`.
        permanent: of a failure: the next run leaves the photo alone.
        detail: of a failure, for a person.
        status: of the last HTTP answer; `None` where there was none.
        redirected_to: the link that was asked last, if it is another one.
        file: the photo's name in its folder.
        bytes: its size.
    """

    photo: str
    link: str
    outcome: str
    attempts: int
    reason: str | None = None
    permanent: bool | None = None
    detail: str | None = None
    status: int | None = None
    redirected_to: str | None = None
    file: str | None = None
    bytes: int | None = None


class Journal:
    """Appends to a journal; each line is handed to the operating system before the next.

    Args:
        path: of the file, which may end in a torn line; missing folders are made.
    """

    def __init__(self, path: pathlib.Path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab", buffering=0)
            if _is_torn(path):
                self._file.write(b"\n")
        except OSError as error:
            raise FashionJaxError(f"cannot write the journal {path}: {error.strerror}") from error

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def write(self, entry: Entry) -> None:
        """Appends a line; fields that are `None` are left out."""
        time = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        values = {k: v for k, v in dataclasses.asdict(entry).items() if v is not None}
        line = json.dumps({"time": time, **values}) + "\n"
        try:
            self._file.write(line.encode("ascii"))
        except OSError as error:
            raise FashionJaxError(
                f"cannot write the journal {self._file.name}: {error.strerror}; what was fetched "
                "before is kept: make room and give the same command again"
            ) from error


def read_permanent_failures(path: pathlib.Path) -> dict[str, tuple[str, str]]:
    """Link and reason of each photo whose last line in a journal is a failure for good.

    Lines that cannot be understood, such as one torn by a kill, are passed over.
    """
    found: dict[str, tuple[str, str]] = {}
    try:
        with path.open("rb") as file:
            for line in file:
                _take_in(line, found)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise FashionJaxError(f"cannot read the journal {path}: {error.strerror}") from error
    return found


def _take_in(line: bytes, found: dict[str, tuple[str, str]]) -> None:
    try:
        entry: dict[str, Any] = json.loads(line)
        photo, link, permanent = entry["photo"], entry["link"], entry.get("permanent")
        found.pop(photo, None)
        if permanent:
            found[photo] = (link, str(entry.get("reason")))
    except (ValueError, KeyError, TypeError, AttributeError):
        return


def _is_torn(path: pathlib.Path) -> bool:
    if not path.stat().st_size:
        return False
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read() != b"\n"
