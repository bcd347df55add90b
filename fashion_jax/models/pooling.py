"""Global poolings: a feature map in, one vector a photo out, in at least float32."""

from collections.abc import Callable

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from fashion_jax.config import ModelConfig
from fashion_jax.errors import FashionJaxError
from fashion_jax.models.backbones.spec import FeatureMap
from fashion_jax.models.dtypes import at_least_float32
from fashion_jax.models.layer_factory import LayerFactory

SMALLEST_ACTIVATION = 1e-6  # GeM's clamp: a power of 0 has no finite gradient

Pooling = Callable[[FeatureMap], Array]


class UnknownPoolingError(FashionJaxError):
    """A pooling that the backbone has nothing for."""


def average(features: FeatureMap) -> Float[Array, "batch features"]:
    """Returns the mean over the map's positions."""
    return jnp.mean(_wide(features.positions), (1, 2))


def maximum(features: FeatureMap) -> Float[Array, "batch features"]:
    """Returns the maximum over the map's positions."""
    return jnp.max(_wide(features.positions), (1, 2))


def average_max(features: FeatureMap) -> Float[Array, "batch features"]:
    """Returns the sum of mean and maximum (fast-reid, arXiv:2006.02631)."""
    return average(features) + maximum(features)


def token(features: FeatureMap) -> Float[Array, "batch features"]:
    """Returns a transformer's class token.

    Raises:
        UnknownPoolingError: the backbone has none.
    """
    if features.token is None:
        raise UnknownPoolingError(
            "model.pooling is 'token', but the backbone is no transformer and has no class "
            f"token; choose another of {', '.join(POOLINGS)}"
        )
    return _wide(features.token)


def generalised_mean(
    positions: Float[Array, "batch rows columns features"], power: Float[Array, ""]
) -> Float[Array, "batch features"]:
    """Returns (mean of max(x, 1e-6)^p over the map)^(1/p).

    GeM: Radenović et al. 2018, arXiv:1711.02512, equation 3. 1 is the mean, infinity the maximum.
    """
    wide = _wide(positions)
    power = power.astype(wide.dtype)
    floor = jnp.asarray(SMALLEST_ACTIVATION, wide.dtype)
    return jnp.mean(jnp.maximum(wide, floor) ** power, (1, 2)) ** (1 / power)


class GeneralisedMean(nnx.Module):
    """GeM with one power for all channels.

    Attributes:
        p: the power, learned.
    """

    def __init__(self, power: float, layers: LayerFactory) -> None:
        self.p = nnx.Param(jnp.full((1,), power, layers.param_dtype))

    def __call__(self, features: FeatureMap) -> Float[Array, "batch features"]:
        """Returns the generalised mean over the map's positions."""
        return generalised_mean(features.positions, self.p[...][0])


def _fixed_generalised_mean(power: float) -> Pooling:
    return lambda features: generalised_mean(features.positions, jnp.asarray(power))


_WITHOUT_STATE: dict[str, Pooling] = {
    "average": average,
    "max": maximum,
    "average_max": average_max,
    "token": token,
}
POOLINGS = (*_WITHOUT_STATE, "gem", "learned_gem")


def make_pooling(config: ModelConfig, layers: LayerFactory) -> Pooling:
    """Returns the pooling that `model.pooling` names; `learned_gem` is an `nnx.Module`."""
    if config.pooling == "gem":
        return _fixed_generalised_mean(config.gem_power)
    if config.pooling == "learned_gem":
        return GeneralisedMean(config.gem_power, layers)
    return _WITHOUT_STATE[config.pooling]


def _wide(features: Array) -> Array:
    return features.astype(at_least_float32(features.dtype))
