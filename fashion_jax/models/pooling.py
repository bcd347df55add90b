"""Global poolings: a feature map in, one vector per image out, in at least float32."""

from collections.abc import Callable

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from fashion_jax.config import ConfigError, ModelConfig
from fashion_jax.models.accumulation import accumulation_dtype
from fashion_jax.models.backbones.spec import FeatureMap
from fashion_jax.models.layer_factory import LayerFactory

SMALLEST_ACTIVATION = 1e-6  # GeM's clamp: the gradient of the root is not finite at 0

Pooling = Callable[[FeatureMap], Array]


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
