"""A backbone: the way it is made, its result, and the images that its weights expect."""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple

from flax import nnx
from jaxtyping import Array, Float

from fashion_jax.errors import FashionJaxError
from fashion_jax.models.layer_factory import LayerFactory
from fashion_jax.models.numerics import ZeroRngs

IMAGENET_MEAN = (0.485 * 255, 0.456 * 255, 0.406 * 255)
IMAGENET_STD = (0.229 * 255, 0.224 * 255, 0.225 * 255)


class FeatureMap(NamedTuple):
    """Features of a batch of images, in their dtype.

    Attributes:
        positions: a feature vector at each position of the image.
        token: class token of a transformer; `None` for a convolutional network.
    """

    positions: Float[Array, "batch rows columns features"]
    token: Float[Array, "batch features"] | None = None


@dataclasses.dataclass(frozen=True)
class BackboneOptions:
    """Options of any backbone; one that lacks such a part ignores it.

    Attributes:
        last_stride: stride of the last stage that halves the map.
        stem_relu: whether a ReLU follows a ResNet's first convolution.
        stem_pool: `padded` as published, or `ceil` for a ResNet whose pooling after the stem
            begins at the border, without padding (fast-reid).
        stride_in_1x1: whether a ResNet's bottlenecks stride in their first 1x1 convolution, as the
            original's do, and not in the 3x3.
        gradient_checkpointing: keep only each block's input for the backward pass and compute
            the rest again (Chen et al. 2016, arXiv:1604.06174): less memory, a third more time.
    """

    last_stride: Literal[1, 2] = 1
    stem_relu: bool = True
    stem_pool: Literal["padded", "ceil"] = "padded"
    stride_in_1x1: bool = False
    gradient_checkpointing: bool = False


class Backbone(nnx.Module):
    """Base class of every backbone: normalised images in, a feature map out.

    Parameters are `nnx.Param`, statistics that the forward pass updates `nnx.BatchStat`. Layers
    that draw random numbers in training, such as `nnx.Dropout`, take `rngs=layers.rngs`; each
    step draws from a key of its own, and layers with a mode (`nnx.Dropout`, `nnx.BatchNorm`) are
    in that of training or test.

    Attributes:
        width: features at each position of the map.
    """

    width: int

    def __call__(self, images: Float[Array, "batch height width 3"], train: bool) -> FeatureMap:
        """Return the feature map; `train` uses the batch's statistics and updates them."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class BackboneSpec:
    """Entry of the registry of backbones.

    Attributes:
        network: class of the family, called with variant, layer factory and options.
        variant: size of this network within the family.
        paper: number on arXiv.org, if any.
        input_size: height and width in pixels that its published weights were trained with.
        mean: mean of the pixels that it was trained with, per channel (RGB), in units of 0..255.
        std: divisor of the pixels, per channel.
        package_weights: returns the path of the weights that come as a Python package, if any do.
    """

    network: Callable[[Any, LayerFactory, BackboneOptions], Backbone]
    variant: Any = None
    paper: str = ""
    input_size: tuple[int, int] = (224, 224)
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    package_weights: Callable[[], str] | None = None

    def build(self, layers: LayerFactory, options: BackboneOptions) -> Backbone:
        """Return the network with fresh weights.

        Raises:
            FashionJaxError: it has no `width`.
        """
        network = self.network(self.variant, layers, options)
        if not hasattr(network, "width"):
            raise FashionJaxError(
                f"{type(network).__name__} has no attribute `width`: set it to the number of "
                "features at each position of its map"
            )
        return network

    def abstract(self) -> Backbone:
        """Return the network with shapes in the place of arrays, and default options."""
        return nnx.eval_shape(lambda: self.build(LayerFactory(ZeroRngs(0)), BackboneOptions()))


def run_blocks(blocks: Iterable[Any], features: Array, train: bool, checkpoint: bool) -> Array:
    """Run blocks one after the other (checkpointing: Chen et al. 2016, arXiv:1604.06174).

    Args:
        blocks: modules called as `block(features, train)`; their running statistics are updated
            as usual.
        features: input of the first block.
        train: see `Backbone`.
        checkpoint: keep only each block's input for the backward pass, and compute the rest again.
    """
    for block in blocks:
        if train and checkpoint:
            features = nnx.remat(lambda block, features: block(features, True))(block, features)
        else:
            features = block(features, train)
    return features
