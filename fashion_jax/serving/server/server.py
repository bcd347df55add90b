"""The server: the application, its loop, and its start and end."""

import asyncio
import contextlib
import functools
import logging
import os
import pathlib
import secrets
import socket
import threading
import time
import webbrowser
from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any

import prometheus_client
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from fashion_jax.errors import FashionJaxError
from fashion_jax.retrieval.catalogue import Catalogue
from fashion_jax.serving.server.api import Api, as_json, refusal_of
from fashion_jax.serving.server.guard import Guard, Refusal, error_body
from fashion_jax.serving.server.marks import Marks
from fashion_jax.serving.server.page import Page
from fashion_jax.serving.server.schemas import SearchBody
from fashion_jax.serving.server.service import SearchService
from fashion_jax.serving.server.uploads import MAX_BYTES

logger = logging.getLogger(__name__)

REFRESH_S = 0.5
"""Seconds between two looks at the catalogues' manifests."""

GRACE_S = 8
"""Seconds that running requests have at the end."""

_BUCKETS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1, 2, 5)
_TITLES = {404: "not_found", 405: "method"}


def make_app(
    service: SearchService,
    *,
    marks: str | os.PathLike[str] | None = None,
    token: str = "",
    read_token: str = "",
    hosts: Collection[str] = (),
    frames: Collection[str] = (),
    root_path: str = "",
    max_bytes: int = MAX_BYTES,
    max_requests: int = 64,
    timeout_s: float = 30.0,
    threads: int = 32,
) -> FastAPI:
    """Make the ASGI application, for uvicorn or any other server.

    Args:
        service: what answers.
        marks: file for marks; by default none are kept.
        token: token for writing; by default nobody may write.
        read_token: token that every request needs, or that for writing; by default none.
        hosts: names under which it may be asked for, in addition to the loopback's; `*` for all.
        frames: sites that may show the page in a frame.
        root_path: prefix of all paths behind a proxy, such as `/search`.
        max_bytes: largest request.
        max_requests: requests at once; further ones are answered 503 with Retry-After.
        timeout_s: seconds that a request may take.
        threads: requests that are worked on at once, which the model embeds together.

    Raises:
        FashionJaxError: the file of marks is no such file.
    """
    metrics = _Metrics(service)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(_refresh(service))
        yield
        task.cancel()
        service.close()

    app = FastAPI(
        title="fashion-jax",
        version="1",
        summary="Fashion visual search: a photo in, the shop's own photo of the same product out.",
        lifespan=lifespan,
        docs_url=None,  # they load scripts from elsewhere
        redoc_url=None,
        openapi_url="/api/openapi.json",
        swagger_ui_oauth2_redirect_url=None,
    )
    kept = None if marks is None else Marks(pathlib.Path(marks))
    # Without a token, writing is impossible: nobody can guess this one.
    api = Api(service, kept, token or secrets.token_urlsafe(), threads, max_bytes)
    app.include_router(api.router)
    app.include_router(Page(api, can_mark=kept is not None).router)
    _add_health(app, service, metrics)
    app.openapi = functools.partial(_described, app)  # type: ignore[method-assign]
    for kind in (FashionJaxError, Refusal, ValidationError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, _refused)
    app.add_exception_handler(Exception, _failed)
    app.add_middleware(
        Guard,
        hosts=hosts,
        frames=frames,
        root_path=root_path,
        read_tokens=[read_token, *([token] if token else [])] if read_token else [],
        max_bytes=max_bytes,
        max_requests=max_requests,
        timeout_s=timeout_s,
        observe=metrics.observe,
    )
    return app


def _add_health(app: FastAPI, service: SearchService, metrics: "_Metrics") -> None:
    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> Response:
        return as_json({"status": "alive"})

    @app.get("/readyz", include_in_schema=False)
    async def readyz() -> Response:
        wrong = {live.name: live.problem for live in service.catalogues.values() if live.problem}
        return as_json({"status": "ready", "problems": wrong})

    @app.get("/metrics", include_in_schema=False)
    async def show_metrics() -> Response:
        text = prometheus_client.generate_latest(metrics.registry)
        return Response(text, media_type=prometheus_client.CONTENT_TYPE_LATEST)


def _described(app: FastAPI) -> dict[str, Any]:
    """OpenAPI's description, with the body of a search, which is read by hand."""
    if app.openapi_schema is None:
        found = get_openapi(
            title=app.title, version=app.version, summary=app.summary, routes=app.routes
        )
        body = SearchBody.model_json_schema(ref_template="#/components/schemas/{model}")
        parts = {**body.pop("$defs"), "SearchBody": body}
        found["components"]["schemas"].update(parts)
        app.openapi_schema = found
    return app.openapi_schema


async def _refused(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        kind = _TITLES.get(error.status_code, "invalid_request")
        answer = as_json(error_body(kind, str(error.detail)), error.status_code)
        answer.headers.update(error.headers or {})
        return answer
    refusal = refusal_of(error)
    answer = as_json(error_body(refusal.kind, str(refusal)), refusal.status)
    answer.headers.update(refusal.headers)
    return answer


async def _failed(request: Request, error: Exception) -> Response:
    return as_json(error_body("internal", "this is a fault of the server; its log says more"), 500)


async def _refresh(service: SearchService) -> None:
    """Take up changes of the catalogues; requests never wait for it."""
    while True:
        await asyncio.sleep(REFRESH_S)
        try:
            await asyncio.to_thread(service.refresh)
        except Exception:
            logger.exception("a catalogue could not be taken up")


class _Metrics:
    """Counters and gauges for Prometheus."""

    def __init__(self, service: SearchService) -> None:
        self.registry = prometheus_client.CollectorRegistry()
        prometheus_client.ProcessCollector(registry=self.registry)
        self._requests = prometheus_client.Counter(
            "fashion_jax_requests", "Requests.", ["path", "status"], registry=self.registry
        )
        self._seconds = prometheus_client.Histogram(
            "fashion_jax_request_seconds",
            "Duration of requests.",
            ["path"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        photos = prometheus_client.Gauge(
            "fashion_jax_photos", "Photos of a catalogue.", ["catalogue"], registry=self.registry
        )
        for name in service.catalogues:
            photos.labels(name).set_function(functools.partial(_photos, service, name))

    def observe(self, path: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)


def _photos(service: SearchService, name: str) -> float:
    return float(len(service.catalogues[name].current))


def serve(
    workdir: str | os.PathLike[str] | None = None,
    index: Mapping[str, str | os.PathLike[str]] | str | os.PathLike[str] | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    open_browser: bool = False,
    block: bool = True,
    **options: Any,
) -> "RunningServer":
    """Serve the search page and the API.

    Args:
        workdir: workdir of the run whose model embeds photos.
        index: folder of a catalogue, or several by name; by default `index` in the workdir.
        host: address to listen on; others than the loopback's need `hosts` (`--allow_host`).
        port: port; 0 for any free one.
        open_browser: whether to open the page in a browser.
        block: whether to return only when the server has ended.
        **options: see `make_app`.

    Returns:
        The server, which `stop` ends.

    Raises:
        FashionJaxError: nothing to serve, or an address that is taken.
    """
    start = time.perf_counter()
    service = SearchService(named_catalogues(workdir, index), workdir)
    options = {"token": secrets.token_urlsafe(16)} | {k: v for k, v in options.items() if v}
    app = make_app(service, **options)
    listener = _listen(host, port)
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host
    address = f"http://{shown}:{listener.getsockname()[1]}{options.get('root_path', '')}/"
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
        timeout_keep_alive=10,
        h11_max_incomplete_event_size=64 * 1024,
    )
    running = RunningServer(uvicorn.Server(config), listener, address, options["token"])
    for line in describe(service, time.perf_counter() - start):
        logger.info("%s", line)
    logger.info("page: %s?token=%s", address, options["token"])
    if open_browser:
        threading.Timer(0.5, webbrowser.open, [f"{address}?token={options['token']}"]).start()
    running.start(block)
    return running


class RunningServer:
    """A server at work.

    Attributes:
        address: address of the page.
        token: token for writing.
    """

    def __init__(
        self, server: uvicorn.Server, listener: socket.socket, address: str, token: str
    ) -> None:
        """See `serve`."""
        self.address = address
        self.token = token
        self._server = server
        self._listener = listener
        self._thread: threading.Thread | None = None

    def start(self, block: bool) -> None:
        """Run, in this thread or in one of its own."""
        if block:
            self._server.run([self._listener])
            return
        self._thread = threading.Thread(
            target=self._server.run, args=([self._listener],), name="server", daemon=True
        )
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            time.sleep(0.01)

    def stop(self) -> None:
        """Finish the running requests, and end."""
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join()

    def __enter__(self) -> "RunningServer":
        """The server itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Ends it."""
        self.stop()


def named_catalogues(
    workdir: str | os.PathLike[str] | None,
    index: Mapping[str, str | os.PathLike[str]] | str | os.PathLike[str] | None,
) -> dict[str, str | os.PathLike[str]]:
    """Name the catalogues to serve; one without a name is called as its folder.

    Those at addresses are copied; `LiveCatalogue` takes up what changes there.
    """
    if isinstance(index, Mapping):
        return dict(index)
    if index is not None:
        return {pathlib.Path(index).absolute().name: index}
    if workdir is None:
        raise FashionJaxError("nothing to serve: name a run (--workdir) or an index (--index)")
    return {"index": pathlib.Path(workdir) / "index"}


def describe(service: SearchService, seconds: float) -> list[str]:
    """Describe the loaded model and catalogues, memory, and search time, in lines for people."""
    lines = []
    batcher = service.at_work.batcher
    if batcher is not None:
        single, most = batcher.seconds[1], max(batcher.seconds)
        rate = most / batcher.seconds[most]
        lines.append(f"model: {batcher.model}")
        lines.append(f"  a photo in {single * 1e3:.1f} ms; {rate:,.0f} photos/s, {most} at a time")
    for live in service.catalogues.values():
        opened = live.current
        line = f"catalogue {live.name}: {len(opened):,} photos"
        if len(opened):
            line += f", a search in {_search_seconds(opened) * 1e3:.1f} ms"
        lines.append(f"{line}, {live.folder}")
    memory = prometheus_client.ProcessCollector(registry=None).collect()
    resident = [each for each in memory if each.name == "process_resident_memory_bytes"]
    size = f", {resident[0].samples[0].value / 2**30:.2f} GiB of memory" if resident else ""
    lines.append(f"loaded in {seconds:.1f} s{size}")
    return lines


def _search_seconds(opened: Catalogue) -> float:
    """Seconds of a search, the quickest of a few: the first one prepares what others use."""
    query, taken = opened.embeddings_of([0]), []
    for _ in range(5):
        start = time.perf_counter()
        opened.search_groups(query, 10, opened.card)
        taken.append(time.perf_counter() - start)
    return min(taken)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise FashionJaxError(
            f"{host}:{port} cannot be listened on: {error.strerror or error}; choose another "
            f"--port, or 0 for any free one"
        ) from error
    listener.set_inheritable(True)
    return listener
