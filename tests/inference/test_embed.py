"""Embedding of photos and of their mirror images."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fashion_jax.config import ExperimentConfig, MeshConfig
from fashion_jax.datasets.photos import UndecodablePhotoError
from fashion_jax.inference.embed import mirrored
from fashion_jax.inference.model import EmbeddingModel
from fashion_jax.parallel.hosts import global_batch
from fashion_jax.parallel.mesh import batch_sharding, make_mesh, replicated
from tests.inference.cards import CARD


@pytest.mark.parametrize(("data", "model"), [(1, 1), (8, 1), (4, 2)])
def test_mirror_images_are_divided_as_the_photos_are(data, model):
    mesh = make_mesh(MeshConfig(data=data, model=model), jax.devices()[: data * model])
    encode = jax.jit(
        lambda variables, images: images.astype(jnp.float32),
        in_shardings=(None, batch_sharding(mesh)),
        out_shardings=replicated(mesh),
    )
    photos = np.random.default_rng(0).integers(0, 256, (16, 6, 5, 3), dtype=np.uint8)
    images = global_batch({"image": photos}, mesh)["image"]
    found = mirrored(encode)({}, images)
    np.testing.assert_array_equal(np.asarray(found), np.flip(photos, axis=2))


def test_a_file_that_is_not_a_photo_is_named(tmp_path):
    mesh = make_mesh(MeshConfig(data=1), jax.devices()[:1])
    model = EmbeddingModel(ExperimentConfig(), CARD, lambda variables, images: images, {}, mesh)
    (tmp_path / "broken.jpg").write_bytes(b"<html>")
    with pytest.raises(UndecodablePhotoError, match=r"not an image.*broken\.jpg: a web page: 6"):
        model.embed([tmp_path / "broken.jpg"])
