"""Necks: from the pooled feature, on which metric losses act, to the embedding.

The identity loss acts on the embedding, and retrieval compares embeddings.
"""

import jax
from flax import nnx
from jaxtyping import Array, Float

from fashion_jax.config import ConfigError, ModelConfig
from fashion_jax.models.layer_factory import LayerFactory

LINEAR_STD = 0.01  # of the initial kernel, as deep-person-reid starts its `fc`


class BNNeck(nnx.Module):
    """A batch normalisation without bias (Luo et al. 2019, arXiv:1906.08332, section 3.5).

    Attributes:
        width: width of the embedding.
    """

    def __init__(self, features: int, layers: LayerFactory) -> None:
        self.norm = layers.batch_norm(features, bias=False)
        self.width = features

    def __call__(
        self, features: Float[Array, "batch features"], train: bool
    ) -> Float[Array, "batch features"]:
        """Return the normalised features."""
        return self.norm(features, train)


class LinearNeck(nnx.Module):
    """A linear embedding of a given width.

    Attributes:
        width: width of the embedding.
    """

    def __init__(self, features: int, width: int, layers: LayerFactory) -> None:
        self.linear = layers.linear(features, width, std=LINEAR_STD, bias=True)
        self.width = width

    def __call__(
        self, features: Float[Array, "batch features"], train: bool
    ) -> Float[Array, "batch embedding"]:
        """Return the embedding; `train` has no effect."""
        return self.linear(features)


class LinearBNNeck(nnx.Module):
    """A linear embedding without bias, then BNNeck (fast-reid, arXiv:2006.02631).

    Attributes:
        width: width of the embedding.
    """

    def __init__(self, features: int, width: int, layers: LayerFactory) -> None:
        self.linear = layers.linear(features, width, std=LINEAR_STD)
        self.norm = layers.batch_norm(width, bias=False)
        self.width = width

    def __call__(
        self, features: Float[Array, "batch features"], train: bool
    ) -> Float[Array, "batch embedding"]:
        """Return the normalised embedding."""
        return self.norm(self.linear(features), train)


class LinearReluNeck(nnx.Module):
    """A linear embedding, BatchNorm and ReLU: OSNet's own last layers (arXiv:1905.00953).

    Attributes:
        width: width of the embedding.
    """

    def __init__(self, features: int, width: int, layers: LayerFactory) -> None:
        self.linear = layers.linear(features, width, std=LINEAR_STD, bias=True)
        self.norm = layers.batch_norm(width)
        self.width = width

    def __call__(
        self, features: Float[Array, "batch features"], train: bool
    ) -> Float[Array, "batch embedding"]:
        """Return the embedding, without negative values."""
        return jax.nn.relu(self.norm(self.linear(features), train))


class NoNeck(nnx.Module):
    """The pooled feature itself as the embedding.

    Attributes:
        width: width of the embedding.
    """

    def __init__(self, features: int, layers: LayerFactory) -> None:
        del layers
        self.width = features

    def __call__(
        self, features: Float[Array, "batch features"], train: bool
    ) -> Float[Array, "batch features"]:
        """Return the features unchanged."""
        return features


Neck = BNNeck | LinearNeck | LinearBNNeck | LinearReluNeck | NoNeck

_SAME_WIDTH: dict[str, type[BNNeck] | type[NoNeck]] = {"bnneck": BNNeck, "none": NoNeck}
_OWN_WIDTH: dict[str, type[LinearNeck] | type[LinearBNNeck] | type[LinearReluNeck]] = {
    "linear": LinearNeck,
    "linear_bnneck": LinearBNNeck,
    "linear_bn_relu": LinearReluNeck,
}


def make_neck(config: ModelConfig, features: int, layers: LayerFactory) -> Neck:
    """Make the neck that `model.neck` and `model.embedding_width` describe.

    Args:
        config: section `model` of an experiment's config.
        features: width of the pooled feature.
        layers: maker of its layers.

    Raises:
        ConfigError: for a missing or superfluous width.
    """
    name, width = config.neck, config.embedding_width
    if name in _OWN_WIDTH and width > 0:
        return _OWN_WIDTH[name](features, width, layers)
    if name in _SAME_WIDTH and width == 0:
        return _SAME_WIDTH[name](features, layers)
    raise ConfigError(
        f"model.neck is {name!r} and model.embedding_width is {width}; set a width above 0 for "
        f"{', '.join(_OWN_WIDTH)}, and 0 for {', '.join(_SAME_WIDTH)}"
    )
