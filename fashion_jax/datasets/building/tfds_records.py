"""Records as TFDS stores them."""

import io
import os
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core.writer import ExampleWriter
from tensorflow_datasets.proto import tf_example_pb2

from fashion_jax.datasets.building.crops import StoredItem
from fashion_jax.datasets.records import DOMAIN_NAMES

KeyBytes = tuple[int, bytes]


def record_features() -> tfds.features.FeaturesDict:
    """Declare the fields of a record; see `fashion_jax.datasets.records`."""
    return tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg"),
            "identity": np.int64,
            "domain": tfds.features.ClassLabel(names=list(DOMAIN_NAMES)),
            "category": tfds.features.Text(),
            "photo_id": tfds.features.Text(),
            "camera": np.int32,
        }
    )


def to_example(stored: StoredItem, identity: int) -> dict[str, Any]:
    """Make a record of a stored item and the number of its product."""
    item = stored.item
    return {
        "image": io.BytesIO(stored.jpeg),  # TFDS would encode arrays with TensorFlow
        "identity": identity,
        "domain": int(item.domain),
        "category": item.category,
        "photo_id": item.photo_id,
        "camera": item.camera,
    }


class CanonicalWriter(ExampleWriter):
    """Writer of examples whose features are in order of their names.

    Protocol buffers serialize maps in an order that changes from process to process: without this,
    two builds of the same photos would differ.
    """

    def write(self, path: str | os.PathLike[str], examples: Iterable[KeyBytes]) -> Any:
        """Write one shard."""
        return super().write(path, _canonical(examples))


def _canonical(examples: Iterable[KeyBytes]) -> Iterator[KeyBytes]:
    for key, serialized in examples:
        example = tf_example_pb2.Example.FromString(serialized)
        yield key, example.SerializeToString(deterministic=True)
