"""Normalisation of a batch by its own statistics, in few passes over memory.

Per channel of a group of m values x, with mean u, biased variance v and r = 1 / sqrt(v + epsilon),

    y = scale n + shift,   n = r (x - u).

With g, the gradient of y, those of scale and shift are sum(g n) and sum(g), and that of x is

    scale r (g - sum(g) / m - n sum(g n) / m)

(Ioffe & Szegedy 2015, arXiv:1502.03167, section 3).
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fashion_jax.models.accumulation import accumulation_dtype, largest_divisor

Residuals = tuple[Array, Array, Array, Array]
Term = Callable[..., Array]

# Enough that adding up the partial sums costs nothing, few enough to compile quickly.
POSITIONS_PER_SUM = 16


@functools.partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def normalise_batch(
    inputs: Float[Array, "batch *positions channels"],
    scale: Float[Array, " channels"],
    shift: Float[Array, " channels"],
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
        groups: number of runs of images, of equal length, each with statistics of its own.
        epsilon: number added to the variance.
    """
    return _forward(inputs, scale, shift, groups, epsilon)[0]


def _forward(
    inputs: Array, scale: Array, shift: Array, groups: int, epsilon: float
) -> tuple[tuple[Array, Array, Array], Residuals]:
    wide = _grouped(inputs, groups)
    mean = _mean(lambda values: values, wide)
    var = _mean(lambda values: jnp.square(values - mean[:, None, None]), wide)
    inverse = jax.lax.rsqrt(var + epsilon)
    factor = scale[None] * inverse
    outputs = wide * factor[:, None, None] + (shift[None] - mean * factor)[:, None, None]
    outputs = outputs.reshape(inputs.shape).astype(inputs.dtype)
    return (outputs, mean, var), (inputs, scale, mean, inverse)


def _backward(
    groups: int, epsilon: float, residuals: Residuals, cotangents: tuple[Array, Array, Array]
) -> tuple[Array, Array, Array]:
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
    return to_inputs.reshape(inputs.shape).astype(inputs.dtype), to_scale, to_shift


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
