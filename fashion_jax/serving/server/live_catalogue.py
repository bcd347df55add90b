"""A catalogue that answers while other processes change it."""

import logging
import pathlib
import threading
import time
from typing import Any

from fashion_jax.addresses import AddressError, address_of, local_copy
from fashion_jax.errors import FashionJaxError
from fashion_jax.inference.card import ModelCard, ModelCardError
from fashion_jax.retrieval.catalogue import Catalogue
from fashion_jax.retrieval.catalogue.generations import generation_stamp, open_for

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_COPIES = 60  # of a catalogue at an address: each lists its objects


class LiveCatalogue:
    """The newest state of a catalogue that could be opened.

    Attributes:
        name: name of the catalogue in the API.
        folder: its folder.
        current: the state that answers. It stays whole while a request holds it.
        problem: why a newer state is not taken up; empty if there is none.
        other_model: whether that is because its photos were embedded by another model.
    """

    def __init__(self, name: str, folder: pathlib.Path, card: ModelCard | None) -> None:
        """Open a catalogue.

        Args:
            name: name in the API.
            folder: folder of the catalogue.
            card: card of the model whose queries it has to answer; `None` for any.

        Raises:
            FashionJaxError: no catalogue, a damaged one, or one of another model.
        """
        self.name = name
        self.folder = local_copy(folder)
        self.problem = ""
        self.other_model = False
        self._lock = threading.Lock()
        self._copied = time.monotonic()
        self._stamp = generation_stamp(self.folder)
        self.current = self._open(card, None)
        self._warm()

    def refresh(self) -> bool:
        """Take up a change, if there is one; the model stays.

        Returns:
            Whether there was one.
        """
        with self._lock:
            self._copy_again()
            stamp = generation_stamp(self.folder)
            if stamp == self._stamp:
                return False
            try:
                opened = self._open(self.current.card, self.current)
            except (FashionJaxError, OSError) as error:
                self._announce(error)
                # A missing manifest may come back; another model's stays until it is asked for.
                self._stamp = stamp if self.other_model else self._stamp
                return False
            self._stamp, self.current = stamp, opened
            self._warm()
            self.problem, self.other_model = "", False
            logger.info("%s changed: %d photos now", self.name, len(opened))
            return True

    def to_json(self) -> dict[str, Any]:
        """Describe the catalogue for the API."""
        items = self.current.items
        return {
            "name": self.name,
            "photos": len(items),
            "fields": items.types,
            "categories": self.current.categories,
            "model": self.current.card.weights_hash[:12],
            "problem": self.problem,
        }

    def _open(self, card: ModelCard | None, older: Catalogue | None) -> Catalogue:
        if card is None:
            return Catalogue.open(self.folder, older)
        return open_for(self.folder, card, older)

    def _copy_again(self) -> None:
        """Copy what is new at the address of the catalogue, if it has one, now and then."""
        address = address_of(self.folder)
        if address is None or time.monotonic() - self._copied < SECONDS_BETWEEN_COPIES:
            return
        self._copied = time.monotonic()
        try:
            local_copy(address)
        except AddressError as error:
            self._announce(error)

    def _warm(self) -> None:
        """Prepare what the first request would wait for."""
        current = self.current
        if len(current):
            current.search_groups(current.embeddings_of([0]), 1, current.card)

    def _announce(self, error: Exception) -> None:
        self.other_model = isinstance(error, ModelCardError)
        message = str(error)
        if message != self.problem:
            logger.warning("%s keeps its older state: %s", self.name, message)
        self.problem = message
