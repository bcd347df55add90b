"""The HTTP API: JSON and photos in, JSON out."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import anyio
import anyio.to_thread
import msgspec
import numpy as np
from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, ValidationError
from python_multipart.exceptions import FormParserError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from fashion_jax.datasets.duplicates.decisions import Decision
from fashion_jax.datasets.photos import UndecodablePhotoError
from fashion_jax.errors import FashionJaxError
from fashion_jax.inference.card import ModelCardError
from fashion_jax.retrieval.catalogue.items import UnknownNameError
from fashion_jax.retrieval.catalogue.where import WhereError
from fashion_jax.serving.query import Weights
from fashion_jax.serving.search import Answers
from fashion_jax.serving.server import schemas
from fashion_jax.serving.server.guard import Refusal, has_token
from fashion_jax.serving.server.marks import Marks
from fashion_jax.serving.server.service import (
    MOST_ANSWERS,
    NoModelError,
    SearchService,
    UnknownCatalogueError,
)
from fashion_jax.serving.server.uploads import MOST_PHOTOS, read_uploads

_LISTS = ("where", "like", "dislike")
_FORM_FIELDS = 200

_ERRORS: Mapping[int | str, dict[str, Any]] = {
    status: {"model": schemas.ErrorResult, "description": text}
    for status, text in {
        400: "not a request of this API",
        401: "a token is missing",
        403: "another site's page, or marks that are not kept",
        404: "no such product, photo, catalogue or address",
        409: "no model for photos",
        413: "too large",
        415: "neither JSON nor a form",
        421: "a host that this server does not answer for",
        422: "a photo, box, condition or value that cannot be used",
        503: "busy; come back after Retry-After",
    }.items()
}

_PHOTO_FORM = {
    "schema": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "photo": {
                "type": "array",
                "maxItems": MOST_PHOTOS,
                "items": {"type": "string", "format": "binary"},
            },
            "box": {"type": "string", "maxLength": 200},
            "k": {"type": "integer", "minimum": 1, "maximum": 200},
            "by": {"type": "string", "minLength": 1, "maxLength": 500},
            **{
                name: {
                    "type": "array",
                    "maxItems": 50,
                    "items": {"type": "string", "minLength": 1, "maxLength": 500},
                }
                for name in _LISTS
            },
            "catalogue": {"type": "string", "minLength": 1, "maxLength": 500},
        },
    }
}


class Api:
    """Routes of the API, and what they share."""

    def __init__(
        self,
        service: SearchService,
        marks: Marks | None,
        token: str,
        threads: int,
        max_bytes: int,
    ) -> None:
        """Make the routes.

        Args:
            service: what answers.
            marks: file of marks; `None` keeps none.
            token: token for writing.
            threads: requests that are worked on at once; the others wait.
            max_bytes: largest file, which stays in memory.
        """
        self.service = service
        self.marks = marks
        self.token = token
        self._limiter = anyio.CapacityLimiter(threads)
        self._max_bytes = max_bytes
        self.router = APIRouter(responses=dict(_ERRORS))
        add = self.router.add_api_route
        add(
            "/api/search",
            self.search,
            methods=["POST"],
            summary="Search with photos, and with products to be like and unlike",
            responses={200: {"model": schemas.SearchResult}},
            openapi_extra={
                "requestBody": {
                    "required": True,
                    "content": {
                        "multipart/form-data": _PHOTO_FORM,
                        "application/json": {"schema": {"$ref": "#/components/schemas/SearchBody"}},
                    },
                }
            },
        )
        add(
            "/api/products/{name:path}",
            self.product,
            methods=["GET"],
            summary="A product, or that of a photo",
            responses={200: {"model": schemas.ProductResult}},
        )
        add(
            "/api/similar/{name:path}",
            self.similar,
            methods=["GET"],
            summary="Products like a product or photo, itself and its copies left out",
            responses={200: {"model": schemas.SearchResult}},
        )
        add(
            "/api/embed",
            self.embed,
            methods=["POST"],
            summary="Embed photos",
            responses={200: {"model": schemas.EmbedResult}},
        )
        add(
            "/api/catalogues",
            self.catalogues,
            methods=["GET"],
            summary="The catalogues, their fields, and whether they are up to date",
            responses={200: {"model": schemas.CataloguesResult}},
        )
        add(
            "/api/marks",
            self.mark,
            methods=["POST"],
            summary="Keep a right or wrong answer (needs the token)",
            responses={200: {"model": schemas.MarkResult}},
        )
        add(
            "/api/reload",
            self.reload,
            methods=["POST"],
            summary="Load the run's best model and the catalogues again (needs the token)",
            responses={200: {"model": schemas.CataloguesResult}},
        )

    async def search(self, request: Request) -> Response:
        """Photos are files (`photo`) of a form, or Base64 (`photos`) in JSON."""
        body = await self.read_search(request)
        answers, name, _ = await self.work(lambda: self.run_search(body))
        return as_json(_searched(answers, name))

    async def product(self, name: str, catalogue: str | None = None) -> Response:
        """`product:NAME` and `photo:NAME` tell apart what has the same name."""

        def work() -> Any:
            found, _ = self.service.product(name, catalogue)
            answer = found.to_json()
            photos = [{**each, "rank": None, "score": None} for each in answer["photos"]]
            named = {"catalogue": self.service.catalogue(catalogue).name}
            kept = {key: answer[key] for key in ("product", "fields", "count")}
            return {**named, **kept, "photos": photos}

        return as_json(await self.work(work))

    async def similar(
        self,
        name: str,
        k: Annotated[int, Field(ge=1, le=MOST_ANSWERS)] = 10,
        by: schemas.Name = "product",
        catalogue: str | None = None,
    ) -> Response:
        """As a search with `like`."""
        body = schemas.SearchBody.model_validate(
            {"like": [name], "k": k, "by": by, "catalogue": catalogue}
        )
        answers, found, _ = await self.work(lambda: self.run_search(body))
        return as_json(_searched(answers, found))

    async def embed(self, body: schemas.EmbedBody) -> Response:
        """Each photo is embedded whole."""

        def work() -> Any:
            batcher = self.service.at_work.batcher
            if batcher is None:
                self.service.embed([])  # says why not
                raise AssertionError
            with batcher.coming():
                pixels = [read_uploads([file])[0] for file in body.photos]
            embeddings = self.service.embed(pixels)
            name = batcher.model.card.weights_hash[:12]
            return {"model": name, "embeddings": embeddings.tolist()}

        return as_json(await self.work(work))

    async def catalogues(self) -> Response:
        """The first one answers where none is named."""
        return as_json(await self.work(self._catalogues))

    async def mark(self, body: schemas.MarkBody, request: Request) -> Response:
        """Marks are pairs of photos: `different` for a wrong answer.

        `product:NAME` stands for the product's first photo, `photo:NAME` for a photo of that name.
        """
        self.require_token(request)
        if self.marks is None:
            raise Refusal(403, "marks", "no marks are kept: start the server with --marks FILE")
        marks = self.marks

        def work() -> Any:
            first, second = (self._photo_named(name, body) for name in (body.first, body.second))
            marks.add(Decision(first, second, body.decision, body.comment))
            return {"marks": len(marks.read())}

        return as_json(await self.work(work))

    async def reload(self, request: Request) -> Response:
        """Requests go on meanwhile, with the older model."""
        self.require_token(request)

        def work() -> Any:
            self.service.reload()
            return self._catalogues()

        return as_json(await self.work(work))

    async def work(self, function: Callable[[], Any]) -> Any:
        """Work in a thread; the event loop goes on reading other requests."""
        return await anyio.to_thread.run_sync(function, limiter=self._limiter)

    def run_search(self, body: schemas.SearchBody) -> tuple[Answers, str, Any]:
        """Answer a search; the answers, the catalogue's name, and the state that answered."""
        batcher = self.service.at_work.batcher
        pixels = []
        if body.photos and batcher is not None:
            with batcher.coming():
                pixels = read_uploads(body.photos, body.box)
        elif body.photos:
            self.service.embed([])  # says why not
        elif body.box is not None:
            raise FashionJaxError("a box is for a photo; there is none")
        where: Any = [
            each.model_dump() if isinstance(each, BaseModel) else each for each in body.where
        ]
        weights = Weights(**body.weights.model_dump()) if body.weights else None
        parts = (body.k, body.by, where, body.like, body.dislike, weights)
        answers, opened = self.service.search(pixels, body.catalogue, *parts)
        return answers, self.service.catalogue(body.catalogue).name, opened

    async def read_search(self, request: Request) -> schemas.SearchBody:
        """Read a search from JSON or from a form."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "application/json":
            return schemas.SearchBody.model_validate_json(await request.body())
        if kind != "multipart/form-data":
            raise Refusal(
                415, "media_type", "send multipart/form-data with photos, or application/json"
            )
        parser = MultiPartParser(
            request.headers,
            request.stream(),
            max_files=MOST_PHOTOS + 1,
            max_fields=_FORM_FIELDS,
            max_part_size=2**20,
        )
        parser.spool_max_size = self._max_bytes + 1  # nothing of a photo touches a disk
        try:
            form = await parser.parse()
        except (MultiPartException, FormParserError, KeyError, UnicodeError) as error:
            raise Refusal(400, "invalid_request", f"the form cannot be read: {error}") from error
        try:
            return await _from_form(form)
        finally:
            await form.close()

    def _photo_named(self, name: str, body: schemas.MarkBody) -> str:
        if not name.startswith(("product:", "photo:")):
            return name
        found, _ = self.service.product(name, body.catalogue)
        return found.photos[0].item.photo_id if name.startswith("product:") else name[6:]

    def require_token(self, request: Request) -> None:
        """Refuse a request without the token for writing."""
        if not has_token(request.scope, request.headers, self.token):
            raise Refusal(401, "token", "this needs the token that the server printed at its start")

    def _catalogues(self) -> Any:
        return {"catalogues": [live.to_json() for live in self.service.catalogues.values()]}


async def _from_form(form: FormData) -> schemas.SearchBody:
    values: dict[str, Any] = {}
    files: list[bytes] = []
    for name, value in form.multi_items():
        if isinstance(value, UploadFile) != (name == "photo"):
            raise Refusal(422, "invalid_request", f"{name[:100]!r} is not a field of the form")
        if isinstance(value, UploadFile):
            files.append(await value.read())
        elif name in _LISTS:
            values.setdefault(name, []).append(value)
        elif name in values:
            raise Refusal(422, "invalid_request", f"{name[:100]!r} is given twice")
        else:
            values[name] = value
    if "photos" in values or "weights" in values:
        raise Refusal(422, "invalid_request", "photos and weights are for JSON")
    body = schemas.SearchBody.model_validate(values)
    if len(files) > MOST_PHOTOS:
        raise Refusal(422, "invalid_request", f"a search has at most {MOST_PHOTOS} photos")
    body.photos = files
    return body


def as_json(value: Any, status: int = 200) -> Response:
    """An answer."""
    return Response(
        msgspec.json.encode(value, enc_hook=_plain), status, media_type="application/json"
    )


def refusal_of(error: Exception) -> Refusal:
    """Return the refusal that answers an error of the package."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, UndecodablePhotoError):
        return Refusal(422, f"photo_{error.kind}", str(error))
    if isinstance(error, ValidationError | RequestValidationError):
        return Refusal(422, "invalid_request", _described(error.errors()))
    for kind, status, name in _KINDS:
        if isinstance(error, kind):
            return Refusal(status, name, str(error))
    return Refusal(422, "invalid_request", str(error))


_KINDS: list[tuple[type[Exception], int, str]] = [
    (UnknownCatalogueError, 404, "unknown_catalogue"),
    (UnknownNameError, 404, "unknown_product"),
    (NoModelError, 409, "no_model"),
    (ModelCardError, 409, "other_model"),
    (WhereError, 422, "condition"),
]


def _described(errors: Any) -> str:
    """Describe validation errors without quoting the body."""
    said = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in errors[:5]]
    return "; ".join(said) + (f"; and {len(errors) - 5} more" if len(errors) > 5 else "")


def _searched(answers: Answers, name: str) -> Any:
    found = answers.to_json()
    kept = {key: found[key] for key in ("by", "answers", "matches", "notes")}
    return {"catalogue": name, **kept}


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value)} in an answer")
