"""Compares the convolutions that fashion-jax uses on a CPU with XLA's own.

    python benchmarks/cpu_convolutions.py [--batch 64]

Layers of EfficientNet-Lite0 at 128x128, forward and with gradients, both forms in one run. Prints
the processor time of each (all cores together, so that other load on the machine matters little)
and their ratio.
"""

import argparse
import functools
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import tabulate

from fashion_jax.cli.host_memory import keep_freed_memory
from fashion_jax.models.layers import convolution, explicit_padding, xla_convolution

# Side of the map, channels, side of the kernel, stride.
DEPTHWISE = ((64, 32, 3, 1), (64, 96, 3, 2), (32, 144, 5, 2), (16, 240, 5, 1), (8, 672, 5, 1))
# Side of the map, channels in, channels out.
POINTWISE = ((64, 16, 96), (32, 144, 24), (16, 240, 80), (8, 112, 672), (8, 320, 1280))


def main() -> None:
    """Measures all layers and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    keep_freed_memory()
    rows = []
    for side, channels, size, stride in DEPTHWISE:
        rows += depthwise_rows(arguments, side, channels, size, stride)
    for side, inputs, outputs in POINTWISE:
        rows += pointwise_rows(arguments, side, inputs, outputs)
    headers = ["layer", "pass", "XLA [ms]", "ours [ms]", "ratio"]
    print(tabulate.tabulate(rows, headers, floatfmt=".1f"))


def depthwise_rows(
    arguments: argparse.Namespace, side: int, channels: int, size: int, stride: int
) -> list[list]:
    images = random(arguments.batch, side, side, channels)
    kernel = random(size, size, 1, channels)
    padding = explicit_padding("same", (side, side), size, stride)
    ours = functools.partial(convolution, stride=stride, padding=padding, groups=channels)
    xla = functools.partial(xla_convolution, stride=stride, padding=padding, groups=channels)
    title = f"depthwise {size}x{size}, stride {stride}, {side}x{side}x{channels}"
    return compare(title, xla, ours, images, kernel, arguments.repeats)


def pointwise_rows(
    arguments: argparse.Namespace, side: int, inputs: int, outputs: int
) -> list[list]:
    images = random(arguments.batch, side, side, inputs)
    kernel = random(1, 1, inputs, outputs)
    padding = ((0, 0), (0, 0))
    ours = functools.partial(convolution, stride=1, padding=padding)
    xla = functools.partial(xla_convolution, stride=1, padding=padding)
    title = f"1x1, {side}x{side}, {inputs} to {outputs}"
    return compare(title, xla, ours, images, kernel, arguments.repeats)


def compare(
    title: str, xla: Callable, ours: Callable, images: jax.Array, kernel: jax.Array, repeats: int
) -> list[list]:
    rows = []
    for label, transform in (("forward", lambda form: form), ("gradients", with_gradients)):
        times = [milliseconds(transform(form), images, kernel, repeats) for form in (xla, ours)]
        rows.append([title, label, *times, times[0] / times[1]])
        print(f"{title}, {label}: {times[0]:.1f} ms, {times[1]:.1f} ms", flush=True)
    return rows


def with_gradients(form: Callable) -> Callable:
    def apply(images: jax.Array, kernel: jax.Array) -> tuple:
        outputs, pullback = jax.vjp(form, images, kernel)
        return outputs, pullback(outputs)

    return apply


def milliseconds(function: Callable, images: jax.Array, kernel: jax.Array, repeats: int) -> float:
    """The least processor time of several calls."""
    compiled = jax.jit(function).lower(images, kernel).compile()
    jax.block_until_ready(compiled(images, kernel))
    times = []
    for _ in range(repeats):
        start = time.process_time()
        jax.block_until_ready(compiled(images, kernel))
        times.append(time.process_time() - start)
    return min(times) * 1e3


def random(*shape: int) -> jax.Array:
    return jax.random.normal(jax.random.key(sum(shape)), shape, jnp.float32)


if __name__ == "__main__":
    main()
