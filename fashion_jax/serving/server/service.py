"""Searches in catalogues that stay open, with a model that stays loaded."""

import dataclasses
import os
import pathlib
import threading
from collections.abc import Mapping, Sequence

import numpy as np

from fashion_jax.config import ImageConfig
from fashion_jax.datasets.loader import resize
from fashion_jax.errors import FashionJaxError
from fashion_jax.inference.model import Embeddings, Photo, load_model
from fashion_jax.retrieval.catalogue import Catalogue, Hit
from fashion_jax.retrieval.catalogue.examples import rows_named
from fashion_jax.retrieval.catalogue.items import MOST_PHOTOS, Group
from fashion_jax.retrieval.catalogue.where import Where, parse_where, without_matches
from fashion_jax.serving.query import Weights, make_query
from fashion_jax.serving.search import Answers, answer
from fashion_jax.serving.server.batcher import Batcher
from fashion_jax.serving.server.live_catalogue import LiveCatalogue
from fashion_jax.similar_names import did_you_mean

MOST_ANSWERS = 200
"""Largest k of a request."""


class UnknownCatalogueError(FashionJaxError):
    """A catalogue that is not served."""


class NoModelError(FashionJaxError):
    """A photo, where no model is loaded to embed it."""


@dataclasses.dataclass(frozen=True)
class AtWork:
    """A model and the catalogues that it searches; replaced together.

    Attributes:
        batcher: the model; `None` for searches without photos alone.
        catalogues: the catalogues, by name.
    """

    batcher: Batcher | None
    catalogues: Mapping[str, LiveCatalogue]


class SearchService:
    """Searches for many threads at once, in one state of a catalogue each."""

    def __init__(
        self,
        catalogues: Mapping[str, str | os.PathLike[str]],
        workdir: str | os.PathLike[str] | None = None,
    ) -> None:
        """Load everything.

        Args:
            catalogues: folders of catalogues, by name; the first one answers where none is named.
            workdir: workdir of the run, or folder of the export, whose model embeds photos.

        Raises:
            FashionJaxError: no run, no catalogue, or a catalogue of another model.
        """
        if not catalogues:
            raise FashionJaxError("nothing to serve: name an index (--index) or a run (--workdir)")
        self.workdir = workdir
        self._folders = {name: pathlib.Path(folder) for name, folder in catalogues.items()}
        self._reloading = threading.Lock()
        self.at_work = self._load()

    @property
    def catalogues(self) -> Mapping[str, LiveCatalogue]:
        """The catalogues, by name."""
        return self.at_work.catalogues

    def catalogue(self, name: str | None = None) -> LiveCatalogue:
        """Return a catalogue; by default the first one.

        Raises:
            UnknownCatalogueError: no such catalogue.
        """
        known = self.catalogues
        if name is None:
            return next(iter(known.values()))
        if name not in known:
            raise UnknownCatalogueError(
                f"no catalogue {name!r}; choose from {', '.join(known)}{did_you_mean(name, known)}"
            )
        return known[name]

    def embed(self, photos: Sequence[Photo]) -> Embeddings:
        """Embed photos of any size.

        Raises:
            NoModelError: no model is loaded.
        """
        return self._embed(self.at_work, photos)

    def search(
        self,
        photos: Sequence[Photo] = (),
        catalogue: str | None = None,
        k: int = 10,
        by: str = "product",
        where: Where = (),
        like: Sequence[str] = (),
        dislike: Sequence[str] = (),
        weights: Weights | None = None,
    ) -> tuple[Answers, Catalogue]:
        """Search a catalogue; see `fashion_jax.serving.search.search`.

        Args:
            photos: RGB pixels of photos of one garment.
            catalogue: name of the catalogue; by default the first one.
            k: see there.
            by: see there.
            where: see there.
            like: see there.
            dislike: see there.
            weights: see there.

        Returns:
            The answers, and the state of the catalogue that gave them.

        Raises:
            FashionJaxError: see there.
        """
        if not 1 <= k <= MOST_ANSWERS:
            raise FashionJaxError(f"k is {k}; it has to be 1 to {MOST_ANSWERS}")
        at_work = self.at_work  # a model and catalogues that fit together
        self.catalogue(catalogue)
        name = next(iter(at_work.catalogues)) if catalogue is None else catalogue
        opened = at_work.catalogues[name].current
        conditions = parse_where(where)
        embedded = self._embed(at_work, photos) if photos else np.empty((0, 0), np.float32)
        query = make_query(opened, embedded, like, dislike, weights, by)
        found = answer(opened, query, k, by, conditions)
        matches = opened.match_count(conditions) if conditions else None
        return Answers([], by, found, matches, without_matches(conditions, opened.items)), opened

    def product(self, name: str, catalogue: str | None = None) -> tuple[Group, Catalogue]:
        """Return a product with its photos, each with a score of 1.

        Raises:
            CatalogueError: the catalogue has no such product or photo.
        """
        opened = self.catalogue(catalogue).current
        rows = rows_named(opened.items, name).tolist()
        items = list(opened.items.take(rows[:MOST_PHOTOS]))
        photos = [
            Hit(rank, row, item, 1.0)
            for rank, (row, item) in enumerate(zip(rows, items, strict=False), start=1)
        ]
        return Group(1, "product", items[0].product, photos, len(rows)), opened

    def refresh(self) -> None:
        """Take up changes of the catalogues."""
        for live in self.catalogues.values():
            live.refresh()

    def reload(self) -> None:
        """Load the run's best model and the catalogues again; requests go on meanwhile.

        Raises:
            FashionJaxError: they cannot be loaded, or do not fit together; nothing changes then.
        """
        with self._reloading:
            before, self.at_work = self.at_work, self._load()
            if before.batcher is not None:
                before.batcher.close()

    def close(self) -> None:
        """Finish what runs."""
        if self.at_work.batcher is not None:
            self.at_work.batcher.close()

    def _load(self) -> AtWork:
        batcher = None if self.workdir is None else Batcher(load_model(self.workdir))
        card = batcher.model.card if batcher else None
        try:
            opened = {n: LiveCatalogue(n, folder, card) for n, folder in self._folders.items()}
        except BaseException:
            if batcher is not None:
                batcher.close()
            raise
        return AtWork(batcher, opened)

    def _embed(self, at_work: AtWork, photos: Sequence[Photo]) -> Embeddings:
        if at_work.batcher is None:
            raise NoModelError(
                "no model is loaded, so that photos cannot be searched with; start the server with "
                "--workdir, or search with products"
            )
        image: ImageConfig = at_work.batcher.model.config.image
        return at_work.batcher.embed(np.stack([resize(photo, image) for photo in photos]))
