"""Normalisations; statistics and sums in at least float32 for inputs of any dtype.

A batch is normalised by its own statistics in few passes over memory. Per channel of a group of m
values x, with mean u, biased variance v and r = 1 / sqrt(v + epsilon),

    y = scale n + shift,   n = r (x - u).

With g, the gradient of y, those of scale and shift are sum(g n) and sum(g), and that of x is

    scale r (g - sum(g) / m - n sum(g n) / m)

(Ioffe & Szegedy 2015, arXiv:1502.03167, section 3).
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from fashion_jax.config import ConfigError
from fashion_jax.models.numerics import accumulation_dtype, largest_divisor

Residuals = tuple[Array, Array, Array, Array]
Term = Callable[..., Array]

# Enough that adding up the partial sums costs nothing, few enough to compile quickly.
POSITIONS_PER_SUM = 16


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
        near = self.mean[...].astype(scale.dtype)
        outputs, mean, var = normalise_batch(inputs, scale, shift, near, groups, self.epsilon)
        count = inputs.size // inputs.shape[-1] // groups
        unbiased = var * (count / max(count - 1, 1))
        for running, batch in ((self.mean, mean), (self.var, unbiased)):
            fresh = jax.lax.stop_gradient(jnp.mean(batch, 0)).astype(running.dtype)
            running[...] = (1 - self.momentum) * running[...] + self.momentum * fresh
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


@functools.partial(jax.custom_vjp, nondiff_argnums=(4, 5))
def normalise_batch(
    inputs: Float[Array, "batch *positions channels"],
    scale: Float[Array, " channels"],
    shift: Float[Array, " channels"],
    near: Float[Array, " channels"],
    groups: int,
    epsilon: float,
) -> tuple[
    Float[Array, "batch *positions channels"],
    Float[Array, "groups channels"],
    Float[Array, "groups channels"],
]:
    """Return y of the formula above, and mean and biased variance of each group.

    Differentiable once, in reverse, and only by y: mean and variance count as constants.

    Args:
        inputs: batch, with any number of axes between images and channels.
        scale: factor per channel, in the dtype of the statistics.
        shift: summand per channel, in the dtype of the statistics.
        near: guess of the mean, such as the running one; see `moments_in_one_pass`.
        groups: number of runs of images, of equal length, each with statistics of its own.
        epsilon: number added to the variance.
    """
    return _forward(inputs, scale, shift, near, groups, epsilon)[0]


def moments_in_one_pass(
    grouped: Float[Array, "groups images positions channels"], near: Float[Array, " channels"]
) -> tuple[Float[Array, "groups channels"], Float[Array, "groups channels"]]:
    """Return mean and biased variance of each group, from one pass over memory.

    With d = x − near: mean = near + E[d], variance = E[d²] − E[d]² (Chan, Golub & LeVeque 1983,
    *Algorithms for Computing the Sample Variance*, "shifted data"). The sums do not wait
    for each other, so that devices exchange them in one step. The variance loses about
    log₂(1 + (mean − near)² / variance) bits.

    Args:
        grouped: values.
        near: guess of the mean of each channel.
    """
    difference = grouped - near[None, None, None]
    first, second = (jnp.mean(term, (1, 2)) for term in (difference, jnp.square(difference)))
    return near[None] + first, jnp.maximum(second - jnp.square(first), 0)


def _moments_in_two_passes(grouped: Array, near: Array) -> tuple[Array, Array]:
    """The same without a guess: as good, in the form that CPUs run quickly."""
    mean = _mean(lambda values: values, grouped)
    return mean, _mean(lambda values: jnp.square(values - mean[:, None, None]), grouped)


def _forward(
    inputs: Array, scale: Array, shift: Array, near: Array, groups: int, epsilon: float
) -> tuple[tuple[Array, Array, Array], Residuals]:
    wide = _grouped(inputs, groups)
    mean, var = jax.lax.platform_dependent(
        wide, near, cpu=_moments_in_two_passes, default=moments_in_one_pass
    )
    inverse = jax.lax.rsqrt(var + epsilon)
    factor = scale[None] * inverse
    outputs = wide * factor[:, None, None] + (shift[None] - mean * factor)[:, None, None]
    outputs = outputs.reshape(inputs.shape).astype(inputs.dtype)
    return (outputs, mean, var), (inputs, scale, mean, inverse)


def _backward(
    groups: int, epsilon: float, residuals: Residuals, cotangents: tuple[Array, Array, Array]
) -> tuple[Array, Array, Array, Array]:
    inputs, scale, mean, inverse = residuals
    gradient = _grouped(cotangents[0], groups)
    wide = _grouped(inputs, groups)
    gradient_mean = _mean(lambda values: values, gradient)
    product_mean = inverse * _mean(
        lambda values, factors: values * (factors - mean[:, None, None]), gradient, wide
    )
    factor = scale[None] * inverse
    to_inputs = factor[:, None, None] * (
        gradient
        - gradient_mean[:, None, None]
        - (wide - mean[:, None, None]) * (inverse * product_mean)[:, None, None]
    )
    count = inputs.size // inputs.shape[-1] // groups
    to_scale, to_shift = (count * jnp.sum(part, 0) for part in (product_mean, gradient_mean))
    to_near = jnp.zeros_like(scale)  # no output depends on the guess
    return to_inputs.reshape(inputs.shape).astype(inputs.dtype), to_scale, to_shift, to_near


normalise_batch.defvjp(_forward, _backward)


def _grouped(inputs: Array, groups: int) -> Array:
    """Reshape to [groups, images, positions, channels], in the dtype of sums."""
    batch, channels = inputs.shape[0], inputs.shape[-1]
    grouped = inputs.reshape(groups, batch // groups, -1, channels)
    return grouped.astype(accumulation_dtype(inputs.dtype))


def _mean(term: Term, *grouped: Array) -> Array:
    """Return the mean of an elementwise term over images and positions, [groups, channels].

    Args:
        term: function of values [groups, ..., channels] of each array.
        *grouped: arrays [groups, images, positions, channels].
    """
    total = jax.lax.platform_dependent(
        *grouped,
        cpu=functools.partial(_sum_of_partial_sums, term),
        default=lambda *arrays: jnp.sum(term(*arrays), (1, 2)),
    )
    return total / (grouped[0].shape[1] * grouped[0].shape[2])


def _sum_of_partial_sums(term: Term, *grouped: Array) -> Array:
    """Add up a term in a form that XLA's CPU backend runs in a single pass over memory.

    Given a plain sum of terms, XLA writes the terms to memory first, or adds them up channel by
    channel. Sums of a few positions, written out, are one elementwise pass instead; they are added
    up by a product with ones, which is never fused with that pass.
    """
    groups, images, positions, channels = grouped[0].shape
    run = largest_divisor(positions, POSITIONS_PER_SUM)
    runs = [part.reshape(groups, images, positions // run, run, channels) for part in grouped]
    terms = (term(*(part[:, :, :, place] for part in runs)) for place in range(run))
    partial = functools.reduce(jnp.add, terms).reshape(groups, -1, channels)
    return jnp.einsum("n,gnc->gc", jnp.ones(partial.shape[1], partial.dtype), partial)
