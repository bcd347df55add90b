"""Collections in local files of milvus-lite's, for tests that need some."""

import dataclasses
import importlib
import pathlib
import shutil
import tempfile

import pytest

from fashion_jax.retrieval.milvus.index import MilvusIndex
from fashion_jax.retrieval.milvus.server import MilvusPlace
from tests.inference.cards import CARD

_built: list[tuple[MilvusIndex, pathlib.Path]] = []


def require_milvus_lite():
    for name in ("pymilvus", "milvus_lite"):
        try:
            importlib.import_module(name)
        except ImportError:
            pytest.skip(f"SKIPPED FOR WANT OF {name}: pip install 'fashion-jax[milvus]'")


def card_for(gallery, **changes):
    return dataclasses.replace(CARD, embedding_width=gallery.shape[1], **changes)


def build_milvus(gallery, settings=None):
    """An index in a folder of its own; `close_all` removes it."""
    require_milvus_lite()
    folder = pathlib.Path(tempfile.mkdtemp())
    place = MilvusPlace(str(folder / "test.db"), "photos")
    try:
        index = MilvusIndex.build(place, gallery, card_for(gallery), settings=settings)
    except BaseException:
        shutil.rmtree(folder)
        raise
    _built.append((index, folder))
    return index


def close_all():
    while _built:
        index, folder = _built.pop()
        index.close()
        shutil.rmtree(folder)
