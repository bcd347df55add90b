"""Normalisations; statistics and sums in at least float32 for inputs of any dtype."""

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from fashion_jax.config import ConfigError
from fashion_jax.models.accumulation import accumulation_dtype
from fashion_jax.models.batch_statistics import normalise_batch


class BatchNorm(nnx.Module):
    """Batch normalisation over all axes but the last (Ioffe & Szegedy 2015, arXiv:1502.03167).

    As in PyTorch, the batch is normalised with its biased variance, the running variance is the
    unbiased one, and running = (1 - momentum) * running + momentum * batch. Under `jax.jit` with
    the batch sharded over devices the statistics are those of the global batch.

    With a `ghost_batch_size` they are those of each run of so many images, as a BatchNorm per
    device would have them (ghost batches: Hoffer et al. 2017, arXiv:1705.08741); the running
    statistics then take the mean over the runs (PyTorch's DistributedDataParallel keeps those of
    its first device).

    Attributes:
        scale: learned, starts at 1.
        bias: learned, starts at 0; `None` if frozen at 0.
        mean: running mean.
        var: running variance.
        ghost_batch_size: number of images that are normalised together; 0 for the whole batch.
    """

    def __init__(
        self,
        channels: int,
        *,
        epsilon: float = 1e-5,
        momentum: float = 0.1,
        use_bias: bool = True,
        ghost_batch_size: int = 0,
        param_dtype: DTypeLike = jnp.float32,
    ) -> None:
        self.scale = nnx.Param(jnp.ones(channels, param_dtype))
        self.bias = nnx.Param(jnp.zeros(channels, param_dtype)) if use_bias else None
        self.mean = nnx.BatchStat(jnp.zeros(channels, param_dtype))
        self.var = nnx.BatchStat(jnp.ones(channels, param_dtype))
        self.epsilon = epsilon
        self.momentum = momentum
        self.ghost_batch_size = ghost_batch_size

    def __call__(
        self, inputs: Float[Array, "batch *positions channels"], train: bool
    ) -> Float[Array, "batch *positions channels"]:
        """Normalise by batch statistics, which update the running ones, or by running statistics.

        Args:
            inputs: batch, with any number of axes between images and channels.
            train: whether to use the batch's own statistics.

        Raises:
            ConfigError: in training, if ghost batches do not divide the batch.
        """
        if not train:
            return self._with_running_statistics(inputs)
        groups = 1
        if self.ghost_batch_size:
            groups, left = divmod(inputs.shape[0], self.ghost_batch_size)
            if left:
                raise ConfigError(
                    f"model.ghost_batch_size is {self.ghost_batch_size}, which does not divide a "
                    f"batch of {inputs.shape[0]} images; choose a divisor of it, or 0"
                )
        scale, shift = self._scale_and_shift(inputs)
        outputs, mean, var = normalise_batch(inputs, scale, shift, groups, self.epsilon)
        self._update(mean, var, inputs.size // inputs.shape[-1] // groups)
        return outputs

    def _scale_and_shift(self, inputs: Array) -> tuple[Array, Array]:
        scale = jnp.asarray(self.scale[...], accumulation_dtype(inputs.dtype))
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

    def _update(self, mean: Array, var: Array, count: int) -> None:
        """Update the running statistics from those of groups of `count` values per channel."""
        unbiased = var * (count / max(count - 1, 1))
        for running, batch in ((self.mean, mean), (self.var, unbiased)):
            fresh = jax.lax.stop_gradient(jnp.mean(batch, 0)).astype(running.dtype)
            running[...] = (1 - self.momentum) * running[...] + self.momentum * fresh


class _AxisNorm(nnx.Module):
    """Normalisation over some axes of the input itself, then a scale and bias per channel.

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

    def _normalise(self, inputs: Array, axes: tuple[int, ...]) -> Array:
        wide = inputs.astype(accumulation_dtype(inputs.dtype))
        mean = jnp.mean(wide, axes, keepdims=True)
        var = jnp.mean(jnp.square(wide - mean), axes, keepdims=True)
        normal = (wide - mean) * jax.lax.rsqrt(var + self.epsilon)
        factor, offset = (
            part[...].astype(wide.dtype).reshape((1,) * (inputs.ndim - 1) + (-1,))
            for part in (self.scale, self.bias)
        )
        return (normal * factor + offset).astype(inputs.dtype)


class InstanceNorm(_AxisNorm):
    """Normalisation of every channel of every image over its positions (arXiv:1607.08022)."""

    def __call__(
        self, images: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch height width channels"]:
        """Return the normalised images, scaled and shifted."""
        return self._normalise(images, (1, 2))


class LayerNorm(_AxisNorm):
    """Normalisation of every vector over its channels (Ba et al. 2016, arXiv:1607.06450)."""

    def __call__(
        self, inputs: Float[Array, "*positions channels"]
    ) -> Float[Array, "*positions channels"]:
        """Return the normalised vectors, scaled and shifted."""
        return self._normalise(inputs, (-1,))
