"""A network that compiles at once, for tests of what is built around networks."""

from typing import Any

import flax.nnx as nnx
from jaxtyping import Array, Float

from fashion_jax.models.backbones.spec import Backbone, BackboneOptions, BackboneSpec, FeatureMap
from fashion_jax.models.layer_factory import LayerFactory

WIDTH = 8


class Tiny(Backbone):
    """Two convolutions."""

    def __init__(self, variant: Any, layers: LayerFactory, options: BackboneOptions) -> None:
        self.width = WIDTH
        self.conv1 = layers.conv(3, WIDTH, 3, stride=4)
        self.bn1 = layers.batch_norm(WIDTH)
        self.conv2 = layers.conv(WIDTH, WIDTH, 1)
        self.bn2 = layers.batch_norm(WIDTH)

    def __call__(self, images: Float[Array, "batch height width 3"], train: bool) -> FeatureMap:
        maps = nnx.relu(self.bn1(self.conv1(images), train))
        return FeatureMap(self.bn2(self.conv2(maps), train))


TINY = BackboneSpec(Tiny, None, "none")
