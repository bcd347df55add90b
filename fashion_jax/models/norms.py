"""Normalisations; statistics and sums in at least float32 whatever the dtype of the input."""

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from fashion_jax.errors import FashionJaxError
from fashion_jax.models.batch_statistics import normalise_batch
from fashion_jax.models.dtypes import at_least_float32


class BatchNormGroupError(FashionJaxError):
    """A batch that cannot be divided into groups of the asked size."""


class BatchNorm(nnx.Module):
    """Batch normalisation over all axes but the last (Ioffe & Szegedy 2015, arXiv:1502.03167).

    As PyTorch does it: the batch is normalised with its biased variance, the running variance
    is the unbiased one, and running = (1 - momentum) * running + momentum * batch. Under
    `jax.jit` with the batch sharded over devices the statistics are those of the global batch.

    With `group` they are those of each run of so many photos, which is what a BatchNorm per
    device would see; the running ones then take the mean of the groups' (PyTorch's
    DistributedDataParallel keeps those of its first device).

    Attributes:
        scale: learned, starts at 1.
        bias: learned, starts at 0; `None` where it is frozen at 0.
        mean: running mean.
        var: running variance.
        group: photos that are normalised together; 0 for the whole batch.
    """

    def __init__(
        self,
        channels: int,
        *,
        epsilon: float = 1e-5,
        momentum: float = 0.1,
        use_bias: bool = True,
        group: int = 0,
        param_dtype: DTypeLike = jnp.float32,
    ) -> None:
        self.scale = nnx.Param(jnp.ones(channels, param_dtype))
        self.bias = nnx.Param(jnp.zeros(channels, param_dtype)) if use_bias else None
        self.mean = nnx.BatchStat(jnp.zeros(channels, param_dtype))
        self.var = nnx.BatchStat(jnp.ones(channels, param_dtype))
        self.epsilon = epsilon
        self.momentum = momentum
        self.group = group

    def __call__(
        self, inputs: Float[Array, "batch *positions channels"], train: bool
    ) -> Float[Array, "batch *positions channels"]:
        """Normalises with the batch's statistics (and updates the running ones) or the running.

        Args:
            inputs: any number of axes between photos and channels.
            train: whether to use the batch's own statistics.

        Raises:
            BatchNormGroupError: in training, if the batch is no multiple of the group.
        """
        if not train:
            return self._with_running_statistics(inputs)
        outputs, mean, var = normalise_batch(
            inputs, *self._scale_and_shift(inputs), self._groups(inputs), self.epsilon
        )
        self._update(mean, var, inputs.size // inputs.shape[-1] // mean.shape[0])
        return outputs

    def _scale_and_shift(self, inputs: Array) -> tuple[Array, Array]:
        scale = jnp.asarray(self.scale[...], at_least_float32(inputs.dtype))
        if self.bias is None:
            return scale, jnp.zeros_like(scale)
        return scale, jnp.asarray(self.bias[...], scale.dtype)

    def _with_running_statistics(
        self, inputs: Float[Array, "batch *positions channels"]
    ) -> Float[Array, "batch *positions channels"]:
        scale, shift = self._scale_and_shift(inputs)
        mean, var = (part[...].astype(scale.dtype) for part in (self.mean, self.var))
        factor = scale * jax.lax.rsqrt(var + self.epsilon)
        broadcast = (1,) * (inputs.ndim - 1) + (-1,)
        offset = (shift - mean * factor).reshape(broadcast)
        outputs = inputs.astype(scale.dtype) * factor.reshape(broadcast) + offset
        return outputs.astype(inputs.dtype)

    def _groups(self, inputs: Array) -> int:
        if self.group == 0:
            return 1
        if inputs.shape[0] % self.group:
            raise BatchNormGroupError(
                f"a batch of {inputs.shape[0]} photos cannot be divided into groups of "
                f"{self.group} (model.ghost_batch_size); choose a divisor of it, or 0"
            )
        return inputs.shape[0] // self.group

    def _update(self, mean: Array, var: Array, count: int) -> None:
        unbiased = var * (count / max(count - 1, 1))
        for running, batch in ((self.mean, mean), (self.var, unbiased)):
            fresh = jax.lax.stop_gradient(jnp.mean(batch, 0)).astype(running.dtype)
            running[...] = (1 - self.momentum) * running[...] + self.momentum * fresh


class InstanceNorm(nnx.Module):
    """Normalises every channel of every photo over its positions (arXiv:1607.08022).

    Attributes:
        scale: learned, starts at 1.
        bias: learned, starts at 0.
    """

    def __init__(
        self, channels: int, *, epsilon: float = 1e-5, param_dtype: DTypeLike = jnp.float32
    ) -> None:
        self.scale = nnx.Param(jnp.ones(channels, param_dtype))
        self.bias = nnx.Param(jnp.zeros(channels, param_dtype))
        self.epsilon = epsilon

    def __call__(
        self, images: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch height width channels"]:
        """Returns the normalised photos, scaled and shifted."""
        compute = at_least_float32(images.dtype)
        wide = images.astype(compute)
        mean = jnp.mean(wide, (1, 2), keepdims=True)
        var = jnp.mean(jnp.square(wide - mean), (1, 2), keepdims=True)
        normal = (wide - mean) * jax.lax.rsqrt(var + self.epsilon)
        return _affine(normal, self.scale, self.bias).astype(images.dtype)


class LayerNorm(nnx.Module):
    """Normalises every vector over its channels (Ba et al. 2016, arXiv:1607.06450).

    Attributes:
        scale: learned, starts at 1.
        bias: learned, starts at 0.
    """

    def __init__(
        self, channels: int, *, epsilon: float, param_dtype: DTypeLike = jnp.float32
    ) -> None:
        self.scale = nnx.Param(jnp.ones(channels, param_dtype))
        self.bias = nnx.Param(jnp.zeros(channels, param_dtype))
        self.epsilon = epsilon

    def __call__(
        self, inputs: Float[Array, "*positions channels"]
    ) -> Float[Array, "*positions channels"]:
        """Returns the normalised vectors, scaled and shifted."""
        wide = inputs.astype(at_least_float32(inputs.dtype))
        mean = jnp.mean(wide, -1, keepdims=True)
        var = jnp.mean(jnp.square(wide - mean), -1, keepdims=True)
        normal = (wide - mean) * jax.lax.rsqrt(var + self.epsilon)
        return _affine(normal, self.scale, self.bias).astype(inputs.dtype)


def _affine(normal: Array, scale: nnx.Param, bias: nnx.Param) -> Array:
    broadcast = (1,) * (normal.ndim - 1) + (-1,)
    factor, offset = (part[...].astype(normal.dtype).reshape(broadcast) for part in (scale, bias))
    return normal * factor + offset
