"""A client of the HTTP API that `fashion-jax serve` offers."""

import base64
import os
import pathlib
import time
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import requests

from fashion_jax.datasets.photos import encode_jpeg
from fashion_jax.errors import FashionJaxError
from fashion_jax.inference.model import Embeddings
from fashion_jax.retrieval.catalogue.where import Condition, Where

Photo = str | os.PathLike[str] | bytes | np.ndarray
"""A file, its content, or RGB pixels."""


class ClientError(FashionJaxError):
    """An error of the server, or none of its answers.

    Attributes:
        status: HTTP status; 0 if there was no answer.
        kind: type of the error, such as `unknown_product`.
    """

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind


class Client:
    """A client of a search server.

    Answers are the API's JSON as plain values. A busy server is asked again, after as long as it
    says.
    """

    def __init__(
        self,
        address: str = "http://127.0.0.1:8000",
        token: str | None = None,
        timeout_s: float = 30.0,
        attempts: int = 5,
    ) -> None:
        """Connect to a server.

        Args:
            address: address of its page.
            token: token for reading or writing; by default that of `FASHION_JAX_TOKEN`.
            timeout_s: seconds to wait for an answer.
            attempts: how often a busy server is asked.
        """
        self.address = address.rstrip("/")
        self._timeout_s = timeout_s
        self._attempts = attempts
        self._session = requests.Session()
        token = os.environ.get("FASHION_JAX_TOKEN") if token is None else token
        if token:
            self._session.headers["authorization"] = f"Bearer {token}"

    def search(
        self,
        photos: Photo | Sequence[Photo] = (),
        *,
        box: str | None = None,
        k: int = 10,
        by: str = "product",
        where: Where = (),
        like: Sequence[str] = (),
        dislike: Sequence[str] = (),
        catalogue: str | None = None,
    ) -> dict[str, Any]:
        """Search with photos of one garment, and with products to be like and unlike.

        The words are those of `fashion_jax.search`.

        Raises:
            ClientError: the server refuses the search, or does not answer.
        """
        given = [photos] if isinstance(photos, str | os.PathLike | bytes | np.ndarray) else photos
        conditions = [where] if isinstance(where, str | Mapping | Condition) else list(where)
        fields = [("k", str(k)), ("by", by)]
        fields += [("where", _condition_text(each)) for each in conditions]
        fields += [("like", name) for name in like] + [("dislike", name) for name in dislike]
        fields += [("box", box)] if box is not None else []
        fields += [("catalogue", catalogue)] if catalogue is not None else []
        files = [("photo", ("photo", _content(photo))) for photo in given]
        # Without files, requests would not make a form of several parts.
        parts = [(name, (None, value)) for name, value in fields]
        return self._ask("POST", "/api/search", files=[*parts, *files])

    def product(self, name: str, catalogue: str | None = None) -> dict[str, Any]:
        """Return a product with its fields and photos."""
        return self._ask("GET", f"/api/products/{_path(name)}", params={"catalogue": catalogue})

    def similar(
        self, name: str, *, k: int = 10, by: str = "product", catalogue: str | None = None
    ) -> dict[str, Any]:
        """Return products like a product or photo."""
        asked = {"k": k, "by": by, "catalogue": catalogue}
        return self._ask("GET", f"/api/similar/{_path(name)}", params=asked)

    def embed(self, photos: Sequence[Photo]) -> Embeddings:
        """Embed photos; L2-normalised embeddings, one row each."""
        encoded = [base64.b64encode(_content(photo)).decode() for photo in photos]
        answer = self._ask("POST", "/api/embed", json={"photos": encoded})
        return np.array(answer["embeddings"], np.float32)

    def catalogues(self) -> list[dict[str, Any]]:
        """Return the catalogues, with their fields."""
        found: list[dict[str, Any]] = self._ask("GET", "/api/catalogues")["catalogues"]
        return found

    def mark(
        self,
        first: str,
        second: str,
        decision: str,
        comment: str = "",
        catalogue: str | None = None,
    ) -> dict[str, Any]:
        """Keep a right (`same`) or wrong (`different`) answer, as a pair of photos.

        Args:
            first: photo of the query; `product:NAME` is the first photo of a product.
            second: photo of the answer; the same.
            decision: `same` or `different`.
            comment: anything.
            catalogue: catalogue of products; by default the first one.
        """
        body = {"first": first, "second": second, "decision": decision, "comment": comment}
        return self._ask("POST", "/api/marks", json=body | {"catalogue": catalogue})

    def reload(self) -> list[dict[str, Any]]:
        """Let the server load the run's best model and the catalogues again."""
        found: list[dict[str, Any]] = self._ask("POST", "/api/reload")["catalogues"]
        return found

    def _ask(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        for attempt in range(self._attempts):
            try:
                answer = self._session.request(
                    method, self.address + path, timeout=self._timeout_s, **content
                )
            except requests.RequestException as error:
                message = f"{self.address} does not answer: {error}"
                raise ClientError(0, "no_answer", message) from error
            if answer.status_code == 503 and attempt + 1 < self._attempts:
                time.sleep(float(answer.headers.get("retry-after", 1)))
                continue
            break
        try:
            found: dict[str, Any] = answer.json()
        except ValueError as error:
            raise ClientError(
                answer.status_code, "no_answer", f"{self.address}{path} is no search server"
            ) from error
        if answer.status_code != 200:
            problem = found.get("error", {})
            raise ClientError(
                answer.status_code,
                problem.get("type", "unknown"),
                problem.get("message", f"status {answer.status_code}"),
            )
        return found


def _content(photo: Photo) -> bytes:
    if isinstance(photo, bytes):
        return photo
    if isinstance(photo, np.ndarray):
        return encode_jpeg(photo)
    return pathlib.Path(photo).read_bytes()


def _path(name: str) -> str:
    return urllib.parse.quote(name, safe="")


def _condition_text(condition: Any) -> str:
    if isinstance(condition, Mapping):
        condition = Condition(**condition)
    return str(condition)
