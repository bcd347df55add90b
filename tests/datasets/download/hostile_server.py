"""A web server on this machine that misbehaves as it is told, and counts what it is asked."""

import asyncio
import collections
import contextlib
import io
import threading
from collections.abc import Awaitable, Callable, Mapping

import numpy as np
from PIL import Image

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


def photo(number: int = 0, kind: str = "JPEG") -> bytes:
    """A small photo whose pixels depend on the number."""
    pixels = np.random.default_rng(number).integers(0, 256, (16, 16, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def raw(content: bytes) -> Answer:
    """Exactly these bytes, then the end of the connection."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(content)
        await writer.drain()

    return answer


def head(status: int, headers: Mapping[str, object]) -> bytes:
    lines = [f"HTTP/1.1 {status} Said", *(f"{name}: {headers[name]}" for name in headers)]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1")


def reply(body: bytes = b"", status: int = 200, **headers: object) -> Answer:
    """An honest answer; `Retry_After=3` becomes a header."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return raw(head(status, {"Content-Length": len(body), **named}) + body)


def redirect(target: str, status: int = 302) -> Answer:
    return reply(status=status, Location=target)


async def drop(writer: asyncio.StreamWriter) -> None:
    """Reset the connection."""
    writer.transport.abort()


async def silence(writer: asyncio.StreamWriter) -> None:
    """Says nothing, for ever."""
    await asyncio.Event().wait()


async def reply_then_silence(writer: asyncio.StreamWriter) -> None:
    """A part of a photo, and then nothing more."""
    writer.write(head(200, {"Content-Length": 9000}) + photo()[:300])
    await writer.drain()
    await silence(writer)


def endless(pause: float = 0.0) -> Answer:
    """A body without an end: at full speed, or a byte at a time with a pause before each."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(head(200, {"Content-Type": "image/jpeg"}) + b"\xff\xd8\xff")
        while True:
            writer.write(b"x" if pause else b"x" * 65_536)
            await writer.drain()
            await asyncio.sleep(pause)

    return answer


class HostileServer:
    """Serves from a thread of its own, as a context manager.

    Attributes:
        asked: requests by path.
        requests: the text of each, in order.
        most_at_once: requests that were under way together.
    """

    def __init__(self, address: str = "127.0.0.1"):
        self.address = address
        self.asked: collections.Counter[str] = collections.Counter()
        self.requests: list[str] = []
        self.most_at_once = 0
        self._active = 0
        self._answers: dict[str, tuple[Answer, ...]] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._open = threading.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def __enter__(self) -> "HostileServer":
        self._thread.start()
        serve = asyncio.start_server(self._connected, self.address, 0)
        self._server = asyncio.run_coroutine_threadsafe(serve, self._loop).result()
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *error: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def on(self, path: str, *answers: Answer) -> str:
        """The first request gets the first answer, ...; the last is repeated. Gives the link."""
        self._answers[path] = answers
        return self.url(path)

    def url(self, path: str) -> str:
        return f"http://{self.address}:{self.port}{path}"

    def gate(self, content: Answer) -> Answer:
        """An answer that is kept back until `open_gate`."""

        async def answer(writer: asyncio.StreamWriter) -> None:
            while not self._open.is_set():
                await asyncio.sleep(0.01)
            await content(writer)

        return answer

    def open_gate(self) -> None:
        self._open.set()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._active += 1
        self.most_at_once = max(self.most_at_once, self._active)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                request = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                await self._answer(request, writer)
        except asyncio.CancelledError:
            pass  # the server's end
        finally:
            self._active -= 1
            self._tasks.discard(task)
            writer.close()

    async def _answer(self, request: str, writer: asyncio.StreamWriter) -> None:
        path = request.split()[1]
        self.requests.append(request)
        self.asked[path] += 1
        answers = self._answers.get(path, (reply(status=404),))
        await answers[min(self.asked[path], len(answers)) - 1](writer)

    async def _end(self) -> None:
        self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
