"""The search page: HTML made here, and one small script of our own."""

import dataclasses
import functools
import importlib.resources
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import jinja2
import numpy as np
from fastapi import APIRouter, Request, Response
from pydantic import ValidationError
from starlette.responses import RedirectResponse

from fashion_jax.datasets.photo_lists.fields import field_text, plain_value
from fashion_jax.datasets.photos import encode_thumbnail
from fashion_jax.errors import FashionJaxError
from fashion_jax.retrieval.catalogue import Catalogue, Hit, Item, ItemTable
from fashion_jax.retrieval.catalogue.items import Group
from fashion_jax.serving.photo_reader import UNUSABLE, read_pixels
from fashion_jax.serving.photo_sources import PhotoSources
from fashion_jax.serving.search import Answers
from fashion_jax.serving.server import schemas
from fashion_jax.serving.server.api import Api, refusal_of
from fashion_jax.serving.server.facets import Facet, find_facets
from fashion_jax.serving.server.guard import Refusal, has_token
from fashion_jax.serving.server.uploads import decoding

_TITLES = ("name", "title")
_PRICES = ("sale_price", "price")
_LINKS = ("link", "url", "page", "product_link")
_ON_CARDS = 3  # further fields
_SAMPLES = 12
_STATIC = {"style.css": "text/css", "search.js": "text/javascript", "icon.svg": "image/svg+xml"}
_LARGE = 1024  # longest side of a photo that is looked at closely
_A_WEEK_S = 7 * 24 * 3600


@dataclasses.dataclass(frozen=True)
class Card:
    """An answer as the page shows it.

    Attributes:
        name: name to search for more like it: a product, or a photo.
        photo_id: its best photo.
        title: name of the garment for people.
        image: address of its picture.
        score: cosine similarity.
        price: its price as text; empty if unknown.
        facts: further fields: names and values.
        link: address of its page in the shop; empty if unknown.
        others: addresses of its other photos.
    """

    name: str
    photo_id: str
    title: str
    image: str
    score: float
    price: str
    facts: Sequence[tuple[str, str]]
    link: str
    others: Sequence[str]


class Page:
    """Routes of the page."""

    def __init__(self, api: Api, can_mark: bool) -> None:
        """Make the routes.

        Args:
            api: the API, whose searches the page shows.
            can_mark: whether marks are kept.
        """
        self._api = api
        self._can_mark = can_mark
        self._sources = PhotoSources()
        self._facets: WeakKeyDictionary[Catalogue, Sequence[Facet]] = WeakKeyDictionary()
        self.router = APIRouter(include_in_schema=False)
        add = self.router.add_api_route
        add("/", self.show, methods=["GET"])
        add("/results", self.results, methods=["POST"])
        add("/photos/{catalogue}/{row}", self.photo, methods=["GET"])
        add("/static/{name}", static, methods=["GET"])

    async def show(self, request: Request) -> Response:
        """The page; `?like=NAME` opens with the answers of a search."""
        query = request.query_params
        if "token" in query:
            return _with_cookie(request)
        values = {name: query.getlist(name) for name in ("like", "dislike", "where")}
        single = {name: query[name] for name in ("by", "catalogue") if query.get(name)}
        writes = self._can_mark and has_token(request.scope, request.headers, self._api.token)

        def work() -> tuple[str, int]:
            status, said, results = 200, "", ""
            try:
                body = schemas.SearchBody.model_validate({**values, **single, "k": 24})
                live = self._api.service.catalogue(body.catalogue)
                if body.like:
                    results = self._results(body, writes)
            except (ValidationError, FashionJaxError, Refusal) as error:
                refusal = refusal_of(error)
                status, said = refusal.status, str(refusal)
                live = self._api.service.catalogue(None)
            shown = self._page(request, live.name, live.current, values, results, said, writes)
            return shown, status

        html, status = await self._api.work(work)
        return Response(html, status, media_type="text/html")

    async def results(self, request: Request) -> Response:
        """The answers of a search, as a part of the page."""
        writes = self._can_mark and has_token(request.scope, request.headers, self._api.token)
        try:
            body = await self._api.read_search(request)
            html, status = await self._api.work(lambda: self._results(body, writes)), 200
        except (ValidationError, FashionJaxError, Refusal) as error:
            refusal = refusal_of(error)
            html, status = _render("problem.html", message=str(refusal)), refusal.status
        return Response(html, status, media_type="text/html")

    async def photo(self, catalogue: str, row: int, id: str, large: bool = False) -> Response:
        """A photo's thumbnail, or the photo itself where it still lies; `row` is a hint.

        Rows move when a catalogue changes, ids stay.
        """

        def work() -> bytes:
            opened = self._api.service.catalogue(catalogue).current
            names = opened.items.column("photo_id")
            there = 0 <= row < len(names) and names[row].as_py() == id
            found = row if there else names.index(id).as_py()
            if found < 0:
                raise Refusal(404, "unknown_photo", f"the catalogue has no photo {id[:200]!r}")
            shot = self._large(opened.items, found) if large else None
            return shot or opened.thumbnail(found)

        headers = {"cache-control": "private, max-age=300"}
        return Response(await self._api.work(work), media_type="image/jpeg", headers=headers)

    def _large(self, items: ItemTable, row: int) -> bytes | None:
        """A photo, read from its place; `None` if it is not there as the catalogue knows it."""
        try:
            with decoding:
                pixels, facts = read_pixels(items, row, self._sources)
        except UNUSABLE:
            return None
        known = items.column("sha256")[row].as_py()
        return encode_thumbnail(pixels, _LARGE) if known in (None, facts.sha256) else None

    def _page(
        self,
        request: Request,
        name: str,
        opened: Catalogue,
        values: Mapping[str, Sequence[str]],
        results: str,
        said: str,
        writes: bool,
    ) -> str:
        service = self._api.service
        return _render(
            "index.html",
            catalogue=name,
            catalogues=list(service.catalogues),
            photos=len(opened),
            has_model=service.at_work.batcher is not None,
            facets=self._facets_of(opened),
            groups=["product", "photo", *_groupable(opened)],
            samples=_samples(name, opened),
            like=values["like"],
            dislike=values["dislike"],
            where=values["where"],
            by=request.query_params.get("by") or "product",
            results=results,
            said=said,
            writes=writes,
            problem=service.catalogue(name).problem,
        )

    def _results(self, body: schemas.SearchBody, writes: bool) -> str:
        answers, name, opened = self._api.run_search(body)
        return _render(
            "results.html",
            cards=[_card(each, name) for each in answers.answers],
            noun=_noun(answers),
            matches=answers.matches,
            notes=answers.notes,
            writes=writes,
            catalogue=name,
            total=len(opened),
        )

    def _facets_of(self, opened: Catalogue) -> Sequence[Facet]:
        if opened not in self._facets:
            self._facets[opened] = find_facets(opened.items)
        return self._facets[opened]


async def static(name: str) -> Response:
    """The script and the style."""
    if name not in _STATIC:
        raise Refusal(404, "not_found", "no such file")
    headers = {"cache-control": "no-cache"}
    return Response(_read(name), media_type=_STATIC[name], headers=headers)


@functools.cache
def _read(name: str) -> bytes:
    return (importlib.resources.files("fashion_jax.serving.server.search_page") / name).read_bytes()


@functools.cache
def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("fashion_jax.serving.server", "search_page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _render(template: str, **values: Any) -> str:
    return _templates().get_template(template).render(**values)


def _with_cookie(request: Request) -> Response:
    """Move the token from the address, which is shown and shared, into a cookie."""
    query = [(name, value) for name, value in request.query_params.multi_items() if name != "token"]
    root = request.scope.get("root_path", "")
    answer = RedirectResponse(f"{root}/?{urllib.parse.urlencode(query)}" if query else f"{root}/")
    answer.set_cookie(
        "token",
        request.query_params["token"],
        max_age=_A_WEEK_S,
        path=root or "/",
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return answer


def _noun(answers: Answers) -> str:
    count = len(answers.answers)
    noun = {"product": "product", "photo": "photo"}.get(answers.by, "group")
    return f"{count} {noun}" + "s" * (count != 1)


def _groupable(opened: Catalogue) -> list[str]:
    return [name for name, kind in opened.items.types.items() if kind in ("text", "number")]


def _samples(name: str, opened: Catalogue) -> list[Card]:
    """Some products, the same ones for as long as the catalogue has as many photos."""
    rows = np.random.default_rng(len(opened)).permutation(len(opened))[:_SAMPLES]
    found: dict[str, Hit] = {}
    for row in rows.tolist():
        item = opened.items[row]
        found.setdefault(item.product or item.photo_id, Hit(1, row, item, 1.0))
    return [_card(hit, name) for hit in found.values()]


def _card(answer: Hit | Group, catalogue: str) -> Card:
    best = answer.photos[0] if isinstance(answer, Group) else answer
    item, fields = best.item, dict(best.item.fields)
    title = next((str(fields[name]) for name in _TITLES if fields.get(name)), "")
    product = item.product if isinstance(answer, Group) else ""
    name = f"product:{product}" if product else f"photo:{item.photo_id}"
    price = next((field for field in _PRICES if fields.get(field) is not None), None)
    link = next((str(fields[name]) for name in _LINKS if fields.get(name)), "")
    shown = [
        (field, field_text(value))
        for field, value in fields.items()
        if field not in (*_TITLES, *_LINKS, price)
    ]
    others = answer.photos[1:6] if isinstance(answer, Group) else ()
    return Card(
        name=name,
        photo_id=item.photo_id,
        title=title or item.product or item.photo_id,
        image=_image(best, catalogue),
        score=best.score,
        price="" if price is None else _price(fields[price]),
        facts=shown[:_ON_CARDS],
        link=link if link.startswith(("http://", "https://")) else "",
        others=[_image(hit, catalogue) for hit in others],
    )


def _price(value: Any) -> str:
    plain = plain_value(value)
    return f"{value:,.2f}" if isinstance(plain, float) else str(plain)


def _image(hit: Hit, catalogue: str) -> str:
    item: Item = hit.item
    path = urllib.parse.quote(catalogue, safe="")
    return f"photos/{path}/{hit.row}?{urllib.parse.urlencode({'id': item.photo_id})}"
