"""One question to one host: bytes, a redirect or a failure."""

import asyncio
import dataclasses
import importlib.metadata
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

import aiohttp
from yarl import URL

from fashion_jax.datasets.download.addresses import PrivateAddressError, public_socket
from fashion_jax.datasets.download.failure import FetchError, http_failure
from fashion_jax.datasets.download.options import DownloadOptions

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PIECE = 65_536
_DNS_SECONDS = 600

HEADERS = {
    "User-Agent": f"fashion-jax/{importlib.metadata.version('fashion-jax')} "
    "(fetches the photos of a public research dataset)",
    "Accept": "image/jpeg,image/png,image/gif,image/webp,image/*;q=0.8,*/*;q=0.5",
    "Accept-Encoding": "identity",  # photos are compressed already
}


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a host sent.

    Attributes:
        status: of HTTP.
        body: the bytes.
        whole: whether the host had said where the body ends; if not, it may be cut off.
        location: where to ask instead, as it was sent; `None` if the body is the answer.
    """

    status: int
    body: bytes = b""
    whole: bool = True
    location: str | None = None


class Fetcher:
    """An HTTP client for links from strangers; an asynchronous context manager.

    It follows no redirects by itself, keeps no cookies, and uses no proxy: a proxy would connect
    to addresses that were not checked.
    """

    def __init__(self, options: DownloadOptions):
        self._options = options

    async def __aenter__(self) -> "Fetcher":
        options = self._options
        # Names are looked up in threads: one for each photo under way, so that the names of dead
        # hosts, which take long, keep no other photo waiting.
        names = ThreadPoolExecutor(options.concurrency, thread_name_prefix="names")
        asyncio.get_running_loop().set_default_executor(names)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,  # whoever calls `get` limits the connections
                resolver=aiohttp.ThreadedResolver(),
                ttl_dns_cache=_DNS_SECONDS,
                socket_factory=None if options.allow_private_hosts else public_socket,
            ),
            timeout=aiohttp.ClientTimeout(
                total=options.timeout * options.total_timeouts,
                connect=options.timeout,
                sock_read=options.timeout,
            ),
            headers=HEADERS,
            cookie_jar=aiohttp.DummyCookieJar(),
            middlewares=[_asked_once],
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def get(self, url: str) -> Answer:
        """Asks for a link, once.

        Args:
            url: cleaned by `clean_url`.

        Raises:
            FetchError: no answer, an error, or a body that is too large.
        """
        try:
            async with self._session.get(URL(url, encoded=True), allow_redirects=False) as response:
                return await self._read(response)
        except FetchError:
            raise
        # aiohttp's parsers meet what strangers invent here; one of them must not stop the rest.
        except Exception as error:
            raise _failure(error) from error

    async def _read(self, response: aiohttp.ClientResponse) -> Answer:
        status, location = response.status, response.headers.get("Location")
        if status in _REDIRECTS and location:
            return Answer(status, location=location)
        if not 200 <= status < 300:
            raise http_failure(status, response.headers)
        chunked = "chunked" in response.headers.get("Transfer-Encoding", "").lower()
        whole = response.content_length is not None or chunked
        return Answer(status, await self._body(response), whole)

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        most = self._options.max_bytes
        body = bytearray()
        if (response.content_length or 0) <= most:
            async for piece in response.content.iter_chunked(_PIECE):
                body += piece
                if len(body) > most:
                    break
            else:
                return bytes(body)
        detail = f"more than {most:,} bytes"
        raise FetchError("too_large", detail, permanent=True, status=response.status)


async def _asked_once(
    request: aiohttp.ClientRequest, ask: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Hides dropped connections from aiohttp, which would ask again by itself, at once."""
    try:
        return await ask(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _failure(error) from error


def _failure(error: Exception) -> FetchError:
    """Sorts what went wrong; what is not known to stay so may pass."""
    detail = str(error) or type(error).__name__
    match error:
        case TimeoutError():
            return FetchError("timeout", detail)
        case aiohttp.ClientConnectorDNSError():
            return FetchError("host_not_found", detail)
        case aiohttp.ClientConnectorCertificateError():
            return FetchError("bad_certificate", detail, permanent=True)
        case aiohttp.ClientConnectorError(os_error=PrivateAddressError() as refused):
            detail = f"{refused.address} is {refused}"
            return FetchError("private_address", detail, permanent=True)
        case aiohttp.ClientConnectorError():
            return FetchError("connection_failed", detail)
        case aiohttp.InvalidURL():
            return FetchError("bad_link", detail, permanent=True)
        case aiohttp.ClientPayloadError() | OSError() | aiohttp.ServerDisconnectedError():
            return FetchError("connection_dropped", detail)
        case _:
            return FetchError("bad_answer", f"{type(error).__name__}: {detail}")
