"""From a feature map to an embedding: global pooling, then a neck.

Poolings return one vector per image, in at least float32, on which metric losses act. The identity
loss acts on the neck's embedding, and retrieval compares embeddings.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from fashion_jax.config import ConfigError, ModelConfig
from fashion_jax.models.backbones.spec import FeatureMap
from fashion_jax.models.layer_factory import LayerFactory
from fashion_jax.models.numerics import accumulation_dtype

SMALLEST_ACTIVATION = 1e-6  # GeM's clamp: the gradient of the root is not finite at 0

Pooling = Callable[[FeatureMap], Array]
LINEAR_STD = 0.01  # of the initial kernel, as deep-person-reid starts its `fc`


def average(features: FeatureMap) -> Float[Array, "batch features"]:
    """Mean over the map's positions."""
    return jnp.mean(_wide(features.positions), (1, 2))


def maximum(features: FeatureMap) -> Float[Array, "batch features"]:
    """Maximum over the map's positions."""
    return jnp.max(_wide(features.positions), (1, 2))


def average_max(features: FeatureMap) -> Float[Array, "batch features"]:
    """Sum of mean and maximum (fast-reid, arXiv:2006.02631)."""
    return average(features) + maximum(features)


def token(features: FeatureMap) -> Float[Array, "batch features"]:
    """Class token of a transformer.

    Raises:
        ConfigError: for a convolutional backbone.
    """
    if features.token is None:
        raise ConfigError(
            "model.pooling is 'token', but model.backbone is not a transformer and has no class "
            f"token; choose another pooling of {', '.join(POOLINGS)}"
        )
    return _wide(features.token)


def generalised_mean(
    positions: Float[Array, "batch rows columns features"], power: Float[Array, ""]
) -> Float[Array, "batch features"]:
    """Generalised mean: (mean of max(x, 1e-6)^p over the map)^(1/p).

    GeM: Radenović et al. 2018, arXiv:1711.02512, equation 3; the mean for p = 1, the maximum for
    p to infinity.
    """
    wide = _wide(positions)
    power = power.astype(wide.dtype)
    floor = jnp.asarray(SMALLEST_ACTIVATION, wide.dtype)
    return jnp.mean(jnp.maximum(wide, floor) ** power, (1, 2)) ** (1 / power)


class GeneralisedMean(nnx.Module):
    """GeM with one learned power for all channels.

    Attributes:
        p: power, [1].
    """

    def __init__(self, power: float, layers: LayerFactory) -> None:
        self.p = nnx.Param(jnp.full((1,), power, layers.param_dtype))

    def __call__(self, features: FeatureMap) -> Float[Array, "batch features"]:
        """Return the generalised mean over the map's positions."""
        return generalised_mean(features.positions, self.p[...][0])


_WITHOUT_STATE: dict[str, Pooling] = {
    "average": average,
    "max": maximum,
    "average_max": average_max,
    "token": token,
}
POOLINGS = (*_WITHOUT_STATE, "gem", "learned_gem")


def make_pooling(config: ModelConfig, layers: LayerFactory) -> Pooling:
    """Return the pooling that `model.pooling` names; `learned_gem` is an `nnx.Module`."""
    if config.pooling == "gem":
        power = config.gem_power
        return lambda features: generalised_mean(features.positions, jnp.asarray(power))
    if config.pooling == "learned_gem":
        return GeneralisedMean(config.gem_power, layers)
    return _WITHOUT_STATE[config.pooling]


def _wide(features: Array) -> Array:
    return features.astype(accumulation_dtype(features.dtype))


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
