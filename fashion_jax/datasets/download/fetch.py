"""One request to one host: a body, a redirect, or a failure that may pass or not."""

import asyncio
import dataclasses
import datetime
import email.utils
import http.client
import importlib.metadata
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple
from urllib.parse import urljoin

from fashion_jax.datasets.download.addresses import PrivateAddressError, public_socket
from fashion_jax.datasets.download.links import BadLinkError, clean_url
from fashion_jax.datasets.download.options import DownloadOptions
from fashion_jax.errors import needs_extra

with needs_extra("download"):
    import aiohttp
    from yarl import URL

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAY_PASS = frozenset({408, 425, 429, 500, 502, 503, 504})
_ASKS_TO_WAIT = frozenset({429, 503})

_HEADERS = {
    "User-Agent": f"fashion-jax/{importlib.metadata.version('fashion-jax')} "
    "(fetches the photos of a list of links)",
    "Accept": "image/jpeg,image/png,image/gif,image/webp,image/*;q=0.8,*/*;q=0.5",
    "Accept-Encoding": "identity",  # photos are compressed already
}


@dataclasses.dataclass(eq=False)  # exceptions compare by identity
class FetchError(Exception):
    """Raised for a photo that could not be fetched.

    Attributes:
        reason: kind of failure, for counting: `http_404`, `timeout`, `not_an_image`, ...
        detail: description for a person.
        permanent: whether another attempt would fail in the same way.
        status: HTTP status; `None` without an answer.
        wait: seconds for which the host asked to be left alone, 0 if it did not say how long;
            `None` if it did not ask.
        url: link that was requested.
    """

    reason: str
    detail: str = ""
    permanent: bool = False
    status: int | None = None
    wait: float | None = None
    url: str = ""

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


class Answer(NamedTuple):
    """A host's answer: its HTTP status and either a body or a redirect."""

    status: int
    body: bytes = b""
    whole: bool = True  # whether the body's end was announced; it may be cut off otherwise
    location: str | None = None  # a redirect's target, as sent


def open_session(options: DownloadOptions) -> aiohttp.ClientSession:
    """Open an HTTP client for links from strangers; call it in the event loop.

    It keeps no cookies and uses no proxy, which would connect to unchecked addresses.
    """
    # aiohttp looks names up in threads: one per photo in progress, so that the names of dead
    # hosts, which take long, keep no other photo waiting.
    names = ThreadPoolExecutor(options.concurrency, thread_name_prefix="names")
    asyncio.get_running_loop().set_default_executor(names)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=0,  # photos wait for their turn before they are requested: see `run`
            resolver=aiohttp.ThreadedResolver(),
            ttl_dns_cache=600,  # seconds
            socket_factory=None if options.allow_private_hosts else public_socket,
        ),
        timeout=aiohttp.ClientTimeout(
            total=options.timeout * options.total_timeouts,  # ends answers that trickle
            connect=options.timeout,
            sock_read=options.timeout,
        ),
        headers=_HEADERS,
        cookie_jar=aiohttp.DummyCookieJar(),
        middlewares=[_request_once],
    )


async def get(session: aiohttp.ClientSession, url: str, max_bytes: int) -> Answer:
    """Request a link once; redirects are returned, not followed.

    Args:
        session: client made by `open_session`.
        url: link cleaned by `clean_url`.
        max_bytes: largest accepted body.

    Raises:
        FetchError: no answer, an error status, or a body that is too large.
    """
    try:
        async with session.get(URL(url, encoded=True), allow_redirects=False) as response:
            return await _read(response, max_bytes)
    except FetchError:
        raise
    # Strangers' answers make aiohttp's parsers raise anything; one must not stop the others.
    except Exception as error:
        raise _failure(error) from error


def follow_redirect(visited: Sequence[str], target: str, max_redirects: int) -> str:
    """Return the absolute link that a redirect leads to.

    Args:
        visited: links requested so far, from the photo's to the one that redirects.
        target: the header Location, which may be relative.
        max_redirects: most redirects from the photo's link.

    Raises:
        FetchError: not a link, a loop, or one redirect too many.
    """
    try:
        url = clean_url(urljoin(visited[-1], target.strip()))
    except (BadLinkError, ValueError) as error:
        raise FetchError("bad_redirect", str(error), permanent=True) from error
    if url in visited:
        raise FetchError("redirect_loop", f"back to {url}", permanent=True)
    if len(visited) > max_redirects:
        raise FetchError("too_many_redirects", f"{len(visited)} redirects", permanent=True)
    return url


def http_failure(status: int, headers: Mapping[str, str]) -> FetchError:
    """Return the failure for a status that is neither a success nor a redirect."""
    return FetchError(
        f"http_{status}",
        http.client.responses.get(status, "unknown status"),
        # From 520 on: of networks in front of a host that does not answer them.
        permanent=status not in _MAY_PASS and status < 520,
        status=status,
        wait=(retry_after(headers) or 0.0) if status in _ASKS_TO_WAIT else None,
    )


def retry_after(headers: Mapping[str, str], now: datetime.datetime | None = None) -> float | None:
    """Return the seconds that the header Retry-After asks for (RFC 9110, section 10.2.3).

    >>> retry_after({"Retry-After": "120"})
    120.0
    """
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdecimal():
        return float(text)
    try:
        date = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    wait = date.replace(tzinfo=date.tzinfo or datetime.UTC) - (
        now or datetime.datetime.now(datetime.UTC)
    )
    return max(0.0, wait.total_seconds())


async def _request_once(
    request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Hides dropped connections from aiohttp, which would repeat the request at once."""
    try:
        return await send(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _failure(error) from error


async def _read(response: aiohttp.ClientResponse, max_bytes: int) -> Answer:
    status, location = response.status, response.headers.get("Location")
    if status in _REDIRECTS and location:
        return Answer(status, location=location)
    if not 200 <= status < 300:
        raise http_failure(status, response.headers)
    chunked = "chunked" in response.headers.get("Transfer-Encoding", "").lower()
    try:
        if (response.content_length or 0) <= max_bytes:
            await response.content.readexactly(max_bytes + 1)
    except asyncio.IncompleteReadError as body:  # the good case
        return Answer(status, body.partial, response.content_length is not None or chunked)
    raise FetchError("too_large", f"more than {max_bytes:,} bytes", permanent=True, status=status)


def _failure(error: Exception) -> FetchError:
    """Sorts aiohttp's errors; those of unknown cause may pass."""
    detail = str(error) or type(error).__name__
    match error:
        case TimeoutError():
            return FetchError("timeout", detail)
        case aiohttp.ClientConnectorDNSError():
            return FetchError("host_not_found", detail)
        case aiohttp.ClientConnectorCertificateError():
            return FetchError("bad_certificate", detail, permanent=True)
        case aiohttp.ClientConnectorError(os_error=PrivateAddressError() as refused):
            return FetchError("private_address", f"{refused.address} is {refused}", permanent=True)
        case aiohttp.ClientConnectorError():
            return FetchError("connection_failed", detail)
        case aiohttp.InvalidURL():
            return FetchError("bad_link", detail, permanent=True)
        case aiohttp.ClientPayloadError() | OSError() | aiohttp.ServerDisconnectedError():
            return FetchError("connection_dropped", detail)
        case _:
            return FetchError("bad_answer", f"{type(error).__name__}: {detail}")
