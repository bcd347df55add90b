"""Checks in front of the API: host, origin, token, size, time, and number of requests."""

import asyncio
import contextlib
import hmac
import http.cookies
import json
import time
import urllib.parse
from collections.abc import Callable, Collection, Mapping, MutableMapping
from typing import Any

from starlette.datastructures import Headers

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_SAFE = ("GET", "HEAD", "OPTIONS")
_UNCOUNTED = ("/healthz", "/readyz", "/metrics")

SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; img-src 'self' blob: data:; script-src 'self'; style-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
}


def error_body(kind: str, message: str) -> dict[str, Any]:
    """The body of every error of the API."""
    return {"error": {"type": kind, "message": message}}


class Refusal(Exception):  # noqa: N818  # a request's, not the server's
    """A request that is refused.

    Attributes:
        status: HTTP status.
        kind: type of the error, one word.
        headers: headers of the answer.
    """

    def __init__(
        self, status: int, kind: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.headers = headers or {}


class Guard:
    """ASGI middleware that refuses what must not reach the application."""

    def __init__(
        self,
        app: Callable[..., Any],
        *,
        hosts: Collection[str] = LOOPBACK,
        frames: Collection[str] = (),
        root_path: str = "",
        read_tokens: Collection[str] = (),
        max_bytes: int,
        max_requests: int,
        timeout_s: float,
        observe: Callable[[str, int, float], object] = lambda path, status, seconds: None,
    ) -> None:
        """Guard an application.

        Args:
            app: the application.
            hosts: names under which the server may be asked for; `.example.com` for all below it,
                `*` for all.
            frames: sites that may show the page in a frame, such as a notebook's.
            root_path: prefix of all paths behind a proxy, which may pass it on or take it away.
            read_tokens: tokens, one of which every request needs; none for requests without one.
            max_bytes: largest body of a request.
            max_requests: requests at once; further ones are told to come back.
            timeout_s: seconds that a request may take, its upload included.
            observe: function that is told the status and duration of each request.
        """
        self.app = app
        self.hosts = {*LOOPBACK, *(host.lower() for host in hosts)}
        policy = " ".join([SECURITY_HEADERS["content-security-policy"], *frames])
        self.headers = SECURITY_HEADERS | {"content-security-policy": policy}
        self.root_path = root_path
        self.read_tokens = read_tokens
        self.max_bytes = max_bytes
        self.max_requests = max_requests
        self.timeout_s = timeout_s
        self.observe = observe
        self.running = 0

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope, status, start = self._below_prefix(scope), 0, time.perf_counter()

        async def send_safely(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                given = {name for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *(
                        (name.encode(), value.encode())
                        for name, value in self.headers.items()
                        if name.encode() not in given
                    ),
                ]
            await send(message)

        try:
            await self._answer(scope, receive, send_safely)
        except Refusal as refusal:
            if status:  # the answer has begun
                raise
            await _refuse(refusal, send_safely)
        finally:
            self.observe(_route(scope), status, time.perf_counter() - start)

    def _below_prefix(self, scope: Scope) -> Scope:
        """Give the path its prefix, which ASGI expects in both, if the proxy took it away."""
        path = scope["path"]
        if path != self.root_path and not path.startswith(f"{self.root_path}/"):
            path = self.root_path + path
        return {**scope, "root_path": self.root_path, "path": path}

    async def _answer(self, scope: Scope, receive: Any, send: Any) -> None:
        headers = Headers(scope=scope)
        self._check_host(headers)
        self._check_origin(scope["method"], headers)
        path = scope["path"].removeprefix(self.root_path)
        if path in _UNCOUNTED[:2]:
            await self.app(scope, receive, send)
            return
        known = (has_token(scope, headers, token) for token in self.read_tokens)
        if self.read_tokens and not any(known):
            raise Refusal(401, "token", "this server needs a token: Authorization: Bearer TOKEN")
        if path in _UNCOUNTED:
            await self.app(scope, receive, send)
            return
        length = headers.get("content-length", "0")
        if not length.isdecimal():
            raise Refusal(400, "invalid_request", "Content-Length has to be a number")
        if int(length) > self.max_bytes:
            raise self._too_large()
        if self.running >= self.max_requests:
            message = f"{self.running} requests are being answered; come back in a second"
            raise Refusal(503, "busy", message, {"retry-after": "1", "connection": "close"})
        self.running += 1
        try:
            async with asyncio.timeout(self.timeout_s):
                await self.app(scope, self._counted(receive), send)
        except TimeoutError as error:
            message = f"the request took longer than {self.timeout_s:g} s"
            raise Refusal(503, "timeout", message, {"retry-after": "1"}) from error
        finally:
            self.running -= 1

    def _check_host(self, headers: Headers) -> None:
        name = _without_port(headers.get("host", ""))
        if not self._knows(name):
            raise Refusal(
                421, "host", f"this server does not answer for {name[:100]!r}; see --allow_host"
            )

    def _check_origin(self, method: str, headers: Headers) -> None:
        """Refuse what another site's page sends with its visitor's cookies and network."""
        origin = headers.get("origin")
        if method in _SAFE or origin is None:
            return
        place = urllib.parse.urlsplit(origin).netloc
        own = place == headers.get("host")
        # A proxy may ask under another name than the page's, which has to be allowed then.
        allowed = _without_port(place) not in LOOPBACK and self._knows(_without_port(place))
        if not own and not (allowed and place):
            raise Refusal(403, "origin", f"requests from {origin[:100]!r} are not accepted")

    def _knows(self, name: str) -> bool:
        name = name.lower()
        return (
            "*" in self.hosts
            or name in self.hosts
            or any(host.startswith(".") and name.endswith(host) for host in self.hosts)
        )

    def _counted(self, receive: Any) -> Any:
        received = 0

        async def receive_counted() -> Message:
            nonlocal received
            message: Message = await receive()
            received += len(message.get("body", b""))
            if received > self.max_bytes:
                raise self._too_large()
            return message

        return receive_counted

    def _too_large(self) -> Refusal:
        limit = f"{self.max_bytes / 2**20:g} MiB"
        return Refusal(413, "too_large", f"a request has at most {limit}; reduce the photo")


def has_token(scope: Scope, headers: Headers, token: str) -> bool:
    """Whether a request carries a token: as a bearer, in the cookie, or in the first address."""
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    given = [bearer.strip()] if scheme.lower() == "bearer" else []
    cookies = http.cookies.SimpleCookie()
    with contextlib.suppress(http.cookies.CookieError):
        cookies.load(headers.get("cookie", ""))
    given += [cookies["token"].value] if "token" in cookies else []
    query = scope.get("query_string", b"").decode("latin-1")
    given += urllib.parse.parse_qs(query).get("token", [])
    return any(hmac.compare_digest(each.encode(), token.encode()) for each in given)


def _without_port(host: str) -> str:
    name, _, port = host.rpartition(":")
    return name if port.isdecimal() else host


async def _refuse(refusal: Refusal, send: Any) -> None:
    body = json.dumps(error_body(refusal.kind, str(refusal))).encode()
    headers = {"content-type": "application/json", "content-length": str(len(body))}
    headers |= dict(refusal.headers)
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": refusal.status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


def _route(scope: Scope) -> str:
    """The route of a request, without the names in its path."""
    route = scope.get("route")
    return getattr(route, "path", "other")
