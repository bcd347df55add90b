"""Indexes by kind: made from embeddings, or opened from a folder."""

import logging
import os
import pathlib
from typing import Any, Literal, cast, get_args

from fashion_jax.errors import FashionJaxError
from fashion_jax.files import StorageError
from fashion_jax.retrieval.exact import DESCRIPTION, ExactIndex
from fashion_jax.retrieval.index import check_embeddings
from fashion_jax.retrieval.scann_index import DESCRIPTION as SCANN_DESCRIPTION
from fashion_jax.retrieval.scann_index import ScannIndex, scann_is_installed
from fashion_jax.retrieval.scann_settings import FASTER_FROM
from fashion_jax.similar_names import did_you_mean

Kind = Literal["auto", "exact", "scann"]
BuiltKind = Literal["exact", "scann"]
KINDS = get_args(Kind)

logger = logging.getLogger(__name__)


def make_index(embeddings: Any, kind: str = "auto") -> ExactIndex | ScannIndex:
    """Make embeddings searchable.

    Examples:
        >>> import numpy as np
        >>> index = make_index(np.eye(3, dtype=np.float32))
        >>> index.search(np.array([[0.6, 0.8, 0.0]], np.float32), k=2).rows.tolist()
        [[1, 0]]

    Args:
        embeddings: [rows, dimensions], L2-normalised, any float dtype, at least one row.
        kind: `exact`, `scann`, or `auto`: ScaNN from the size where it is faster. Without ScaNN,
            exact search takes its place, with a warning.

    Raises:
        FashionJaxError: an unknown kind.
        EmbeddingError: the embeddings fail `check_embeddings`, or are empty.
    """
    gallery_gd = check_embeddings(embeddings, "embeddings")
    if index_kind(check_kind(kind), len(gallery_gd)) == "exact":
        return ExactIndex(gallery_gd)
    return ScannIndex.build(gallery_gd)


def open_index(folder: str | os.PathLike[str]) -> ExactIndex | ScannIndex:
    """Open an index that `save` wrote, after checking its files.

    Raises:
        StorageError: the folder holds no index, or files (which are named) are damaged.
        ScannMissingError: it is ScaNN's, which is not installed.
    """
    path = pathlib.Path(folder)
    if (path / SCANN_DESCRIPTION).is_file():
        return ScannIndex.load(path)
    if (path / DESCRIPTION).is_file():
        return ExactIndex.load(path)
    raise StorageError(
        f"{path.resolve()} is not an index: it has neither {DESCRIPTION} nor {SCANN_DESCRIPTION}"
    )


def check_kind(kind: str) -> Kind:
    """Return a kind of index, or refuse it.

    Raises:
        FashionJaxError: an unknown kind.
    """
    if kind not in KINDS:
        hint = did_you_mean(kind, KINDS)
        raise FashionJaxError(
            f"unknown kind of index {kind!r}; choose from {', '.join(KINDS)}{hint}"
        )
    return cast(Kind, kind)


def index_kind(kind: Kind, rows: int) -> BuiltKind:
    """Decides between `exact` and `scann`; warns where ScaNN is missing.

    Args:
        kind: requested kind.
        rows: number of embeddings to index.
    """
    if kind == "exact" or (kind == "auto" and rows < FASTER_FROM):
        return "exact"
    if scann_is_installed():
        return "scann"
    logger.warning(
        "ScaNN cannot be imported (its wheels are for Linux and Python up to 3.13): %d photos get "
        "an exact index, which is slower",
        rows,
    )
    return "exact"
