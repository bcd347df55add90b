"""Why a photo could not be fetched, and whether another attempt makes sense."""

import dataclasses
import datetime
import email.utils
import http
from collections.abc import Mapping

_MAY_PASS = frozenset({408, 425, 429, 500, 502, 503, 504})
_OF_PROXIES = 520  # from here on: of networks in front of a host that does not answer them
_ASKS_TO_WAIT = frozenset({429, 503})


@dataclasses.dataclass(eq=False)  # exceptions are told apart by what they are, not hold
class FetchError(Exception):
    """A photo that could not be fetched.

    Attributes:
        reason: the kind of failure, to be counted: `http_404`, `timeout`, `not_an_image`, ...
        detail: what exactly was found.
        permanent: another attempt would find the same.
        status: of the HTTP answer; `None` where there was none.
        host_waits: the host is asked for nothing at all until this photo's next attempt.
        wait: seconds that the host itself asked for.
    """

    reason: str
    detail: str = ""
    permanent: bool = False
    status: int | None = None
    host_waits: bool = False
    wait: float | None = None

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


def http_failure(status: int, headers: Mapping[str, str]) -> FetchError:
    """The failure of an answer that is neither a photo nor a redirect."""
    try:
        detail = http.HTTPStatus(status).phrase
    except ValueError:
        detail = "unknown status"
    return FetchError(
        f"http_{status}",
        detail,
        permanent=not (status in _MAY_PASS or status >= _OF_PROXIES),
        status=status,
        host_waits=status in _ASKS_TO_WAIT,
        wait=retry_after(headers) if status in _ASKS_TO_WAIT else None,
    )


def retry_after(headers: Mapping[str, str], now: datetime.datetime | None = None) -> float | None:
    """Seconds that the header Retry-After asks for (RFC 9110 §10.2.3: a number, or a date).

    >>> retry_after({"Retry-After": "120"})
    120.0
    """
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdecimal():
        return float(text)
    try:
        date = email.utils.parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=datetime.UTC)
    return max(0.0, (date - (now or datetime.datetime.now(datetime.UTC))).total_seconds())
