"""The record as TFDS features."""

import io
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from fashion_jax.datasets.building.crops import StoredItem
from fashion_jax.datasets.records import DOMAIN_NAMES


def record_features() -> tfds.features.FeaturesDict:
    """Features of `fashion_jax.datasets.records.Record`."""
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
    """A record as TFDS takes it; encoded bytes as a file, so that TensorFlow is not needed."""
    item = stored.item
    return {
        "image": io.BytesIO(stored.jpeg),
        "identity": identity,
        "domain": int(item.domain),
        "category": item.category,
        "photo_id": item.photo_id,
        "camera": item.camera,
    }
