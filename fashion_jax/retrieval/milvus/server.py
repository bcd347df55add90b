"""Connections to a Milvus server or a local file of milvus-lite, with readable errors."""

import contextlib
import dataclasses
import importlib
import logging
import os
import pathlib
import re
import threading
import urllib.parse
from collections.abc import Iterator
from typing import Any

from fashion_jax.errors import FashionJaxError

LOCAL_SUFFIX = ".db"
TOKEN_VARIABLE = "MILVUS_TOKEN"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")

# Open connections per local file: milvus-lite keeps its server, and with it the file's lock, until
# the server is stopped.
_open_files: dict[str, int] = {}
_open_files_lock = threading.Lock()


class MilvusError(FashionJaxError):
    """A request that Milvus refuses or fails to answer, or a missing pymilvus."""


@dataclasses.dataclass(frozen=True, repr=False)
class MilvusPlace:
    """Address of a collection.

    Attributes:
        uri: `http://host:19530` of a cluster, or a local file `NAME.db` (milvus-lite).
        collection: name of the collection.
        token: `user:password` or an API key; never printed.
        timeout: time limit of a search or a connection in seconds.
    """

    uri: str
    collection: str
    token: str = ""
    timeout: float = 60.0

    def __post_init__(self) -> None:
        """Refuses names that Milvus does not accept."""
        if not _NAME.fullmatch(self.collection):
            raise MilvusError(
                f"a collection's name consists of at most 200 letters, digits and underscores and "
                f"does not begin with a digit; got {self.collection!r}"
            )

    @property
    def local(self) -> bool:
        """Whether it is a local file of milvus-lite."""
        return self.uri.endswith(LOCAL_SUFFIX) and "://" not in self.uri

    @property
    def path(self) -> pathlib.Path:
        """Path of the local file, which milvus-lite makes a folder."""
        return pathlib.Path(self.uri).expanduser().absolute()

    def __str__(self) -> str:
        """Describe the place without user, password and token."""
        return f"{self.collection} at {self.hidden(self.uri)}"

    def __repr__(self) -> str:
        return f"MilvusPlace({self})"

    def hidden(self, text: str) -> str:
        """Masks this place's secrets in a text."""
        user = urllib.parse.urlsplit(self.uri).netloc.rpartition("@")[0] if not self.local else ""
        secrets = [user, *user.split(":")[1:], self.token, *self.token.split(":")[1:]]
        for secret in filter(None, secrets):
            text = text.replace(secret, "***")
        return text


class MilvusConnection:
    """A client of one place; `close` it to release a local file for other processes."""

    def __init__(self, place: MilvusPlace, create: bool = False) -> None:
        """Connects.

        Args:
            place: server and name of the collection.
            create: whether a missing local file may be created.

        Raises:
            MilvusError: no pymilvus, no answer from the server, or no such file.
        """
        module = _pymilvus()
        if place.local and not create and not place.path.exists():
            raise MilvusError(
                f"no Milvus database at {place.path}; build one with: "
                f"fashion-jax milvus build --uri {place.uri} --collection {place.collection} ..."
            )
        self.place = place
        self._closed = False
        uri = str(place.path) if place.local else place.uri
        with self.errors("connect"):
            self.client: Any = module.MilvusClient(
                uri, token=place.token, timeout=place.timeout, dedicated=True
            )
        if place.local:
            with _open_files_lock:
                _open_files[uri] = _open_files.get(uri, 0) + 1

    def close(self) -> None:
        """Disconnects; the last connection to a local file stops its server."""
        if self._closed:
            return
        self._closed = True
        self.client.close()
        if self.place.local:
            _release(str(self.place.path))

    @contextlib.contextmanager
    def errors(self, doing: str) -> Iterator[None]:
        """Turn exceptions of Milvus into a `MilvusError` that names the failed action."""
        exceptions = importlib.import_module("pymilvus.exceptions")
        grpc = importlib.import_module("grpc")
        try:
            yield
        except exceptions.MilvusException as error:
            raise self._error(doing, error.message, error.code) from error
        except (grpc.RpcError, grpc.FutureTimeoutError) as error:
            raise self._error(doing, str(error), None) from error

    def _error(self, doing: str, message: str, code: int | None) -> MilvusError:
        shown = self.place.hidden(" ".join(message.split()))
        return MilvusError(
            f"{self.place}: cannot {doing}: {shown}. {_advice(self.place, doing, code)}"
        )


def token_from_environment() -> str:
    """Return the token; as a flag, it would be visible to every user of the machine."""
    return os.environ.get(TOKEN_VARIABLE, "")


def _advice(place: MilvusPlace, doing: str, code: int | None) -> str:
    if code == _pymilvus().exceptions.ErrorCode.COLLECTION_NOT_FOUND:
        return "If it was rebuilt or dropped in the meantime, open it again, or build it"
    if place.local and doing == "connect":
        return (
            "Its folder has to exist, and no other process may have the file open (milvus-lite "
            "allows one at a time)"
        )
    return f"Check the server, its URI and the token ({TOKEN_VARIABLE}), then try again"


def _release(path: str) -> None:
    with _open_files_lock:
        _open_files[path] -= 1
        if _open_files[path]:
            return
        del _open_files[path]
        manager = importlib.import_module("milvus_lite.server_manager")
        manager.server_manager_instance.release_server(path)


def _pymilvus() -> Any:
    try:
        module = importlib.import_module("pymilvus")
    except ImportError as error:
        raise MilvusError(
            "pymilvus cannot be imported; install it with: pip install 'fashion-jax[milvus]'"
        ) from error
    # Both log each error with a traceback before raising it; `MilvusError` replaces that.
    for name in ("pymilvus", "milvus_lite.server_manager"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return module
