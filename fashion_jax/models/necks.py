"""Necks: between the pooled feature, on which metric losses act, and the embedding.

The identity loss acts on the feature after the neck, and retrieval uses it.
"""

import jax
from flax import nnx
from jaxtyping import Array, Float

from fashion_jax.config import ModelConfig
from fashion_jax.errors import FashionJaxError
from fashion_jax.models.layer_factory import LayerFactory

# Of a linear embedding that starts afresh, as deep-person-reid starts its `fc`.
LINEAR_STD = 0.01


class UnknownNeckError(FashionJaxError):
    """A neck whose width does not fit it."""


class BNNeck(nnx.Module):
    """A batch normalisation whose bias is frozen at 0: there is none.

    Luo et al. 2019, arXiv:1906.08332, section 3.5.

    Attributes:
        width: of what it returns.
    """

    def __init__(self, features: int, layers: LayerFactory) -> None:
        self.norm = layers.batch_norm(features, bias=False)
        self.width = features

    def __call__(
        self, features: Float[Array, "batch features"], train: bool
    ) -> Float[Array, "batch features"]:
        """Returns the normalised features."""
        return self.norm(features, train)


class LinearNeck(nnx.Module):
    """A linear embedding of a given width.

    Attributes:
        width: of what it returns.
    """

    def __init__(self, features: int, width: int, layers: LayerFactory) -> None:
        self.linear = layers.linear(features, width, std=LINEAR_STD, bias=True)
        self.width = width

    def __call__(
        self, features: Float[Array, "batch features"], train: bool
    ) -> Float[Array, "batch embedding"]:
        """Returns the embedding; `train` changes nothing."""
        return self.linear(features)


class LinearBNNeck(nnx.Module):
    """A linear embedding without bias, then BNNeck (fast-reid, arXiv:2006.02631).

    Attributes:
        width: of what it returns.
    """

    def __init__(self, features: int, width: int, layers: LayerFactory) -> None:
        self.linear = layers.linear(features, width, std=LINEAR_STD)
        self.norm = layers.batch_norm(width, bias=False)
        self.width = width

    def __call__(
        self, features: Float[Array, "batch features"], train: bool
    ) -> Float[Array, "batch embedding"]:
        """Returns the normalised embedding."""
        return self.norm(self.linear(features), train)


class LinearReluNeck(nnx.Module):
    """A linear embedding, BatchNorm and ReLU: OSNet's own last layers (arXiv:1905.00953).

    Attributes:
        width: of what it returns.
    """

    def __init__(self, features: int, width: int, layers: LayerFactory) -> None:
        self.linear = layers.linear(features, width, std=LINEAR_STD, bias=True)
        self.norm = layers.batch_norm(width)
        self.width = width

    def __call__(
        self, features: Float[Array, "batch features"], train: bool
    ) -> Float[Array, "batch embedding"]:
        """Returns the embedding, nowhere negative."""
        return jax.nn.relu(self.norm(self.linear(features), train))


class NoNeck(nnx.Module):
    """The pooled feature is the embedding.

    Attributes:
        width: of what it returns.
    """

    def __init__(self, features: int, layers: LayerFactory) -> None:
        del layers
        self.width = features

    def __call__(
        self, features: Float[Array, "batch features"], train: bool
    ) -> Float[Array, "batch features"]:
        """Returns the features as they are."""
        return features


Neck = BNNeck | LinearNeck | LinearBNNeck | LinearReluNeck | NoNeck

_SAME_WIDTH: dict[str, type[BNNeck] | type[NoNeck]] = {"bnneck": BNNeck, "none": NoNeck}
_OWN_WIDTH: dict[str, type[LinearNeck] | type[LinearBNNeck] | type[LinearReluNeck]] = {
    "linear": LinearNeck,
    "linear_bnneck": LinearBNNeck,
    "linear_bn_relu": LinearReluNeck,
}


def make_neck(config: ModelConfig, features: int, layers: LayerFactory) -> Neck:
    """Returns the neck that `model.neck` and `model.embedding_width` describe.

    Args:
        config: the model's part of an experiment's config.
        features: width of the pooled feature.
        layers: makes its layers.

    Raises:
        UnknownNeckError: the width is missing or superfluous.
    """
    name, width = config.neck, config.embedding_width
    if name in _OWN_WIDTH and width > 0:
        return _OWN_WIDTH[name](features, width, layers)
    if name in _SAME_WIDTH and width == 0:
        return _SAME_WIDTH[name](features, layers)
    raise UnknownNeckError(
        f"model.neck is {name!r} and model.embedding_width is {width}; the width belongs to "
        f"{', '.join(_OWN_WIDTH)}, which need one above 0, and is 0 otherwise"
    )
