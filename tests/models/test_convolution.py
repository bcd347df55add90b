import functools

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from fashion_jax.models import depthwise
from fashion_jax.models.layers import convolution, explicit_padding, xla_convolution
from fashion_jax.versions import enable_x64

NO_PADDING = ((0, 0), (0, 0))


def half(size):
    """Padding of half a kernel on each side."""
    return explicit_padding("half", (0, 0), size, 1)


def same(height, width, size, stride):
    return explicit_padding("same", (height, width), size, stride)


def random(*shape, dtype=np.float64):
    return jnp.asarray(np.random.default_rng(sum(shape)).standard_normal(shape), dtype)


def assert_same_values_and_gradients(form, reference, images, kernel):
    cotangent = random(*jax.eval_shape(reference, images, kernel).shape)

    def value_and_gradients(form):
        outputs, pullback = jax.vjp(form, images, kernel)
        return outputs, *pullback(cotangent)

    found, expected = jax.jit(lambda: (value_and_gradients(form), value_and_gradients(reference)))()
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-11)


@pytest.mark.parametrize(
    ("height", "width", "size", "stride", "padding"),
    [
        (8, 8, 3, 1, half(3)),
        (8, 6, 3, 2, same(8, 6, 3, 2)),
        (7, 9, 5, 2, half(5)),
        (5, 7, 5, 1, same(5, 7, 5, 1)),
        (9, 17, 3, 2, NO_PADDING),
        (5, 66, 3, 1, half(3)),
        (4, 4, 5, 2, same(4, 4, 5, 2)),
        (6, 5, 3, 3, ((2, 0), (0, 1))),
        (1, 1, 3, 1, half(3)),
    ],
)
def test_depthwise_is_xlas(height, width, size, stride, padding):
    with enable_x64(True):
        assert_same_values_and_gradients(
            lambda x, k: convolution(x, k, stride, padding, groups=3),
            lambda x, k: xla_convolution(x, k, stride, padding, groups=3),
            random(2, height, width, 3),
            random(size, size, 1, 3),
        )


@pytest.mark.parametrize("stride", [1, 2])
def test_pointwise_is_xlas(stride):
    with enable_x64(True):
        assert_same_values_and_gradients(
            lambda x, k: convolution(x, k, stride, NO_PADDING),
            lambda x, k: xla_convolution(x, k, stride, NO_PADDING),
            random(2, 5, 4, 3),
            random(1, 1, 3, 6),
        )


@pytest.mark.parametrize(
    ("height", "width", "size", "stride", "groups"),
    [(7, 6, 3, 1, 1), (7, 6, 3, 2, 1), (9, 8, 7, 2, 1), (7, 6, 3, 2, 2)],
)
def test_values_and_gradients_by_shifted_products(height, width, size, stride, groups):
    padding = half(size)
    with enable_x64(True):
        assert_same_values_and_gradients(
            lambda x, k: convolution(x, k, stride, padding, groups),
            lambda x, k: shifted_products(x, k, stride, padding, groups),
            random(2, height, width, 4),
            random(size, size, 4 // groups, 6),
        )


def shifted_products(images, kernel, stride, padding, groups):
    padded = jnp.pad(images, ((0, 0), *padding, (0, 0)))
    rows, columns = kernel.shape[:2]
    height = (padded.shape[1] - rows) // stride + 1
    width = (padded.shape[2] - columns) // stride + 1
    parts = []
    for part, weights in zip(
        jnp.split(padded, groups, -1), jnp.split(kernel, groups, -1), strict=True
    ):
        taps = (
            part[:, row : row + height * stride : stride, column : column + width * stride : stride]
            for row in range(rows)
            for column in range(columns)
        )
        products = (
            tap[:, :height, :width] @ weight
            for tap, weight in zip(taps, weights.reshape(-1, *weights.shape[2:]), strict=True)
        )
        parts.append(functools.reduce(jnp.add, products))
    return jnp.concatenate(parts, -1)


def test_depthwise_by_hand():
    images = jnp.arange(4.0).reshape(1, 1, 4, 1)
    kernel = jnp.asarray([1.0, 10.0, 100.0]).reshape(1, 3, 1, 1)
    found = convolution(images, kernel, 1, ((0, 0), (1, 1)), groups=1)
    np.testing.assert_array_equal(found[0, 0, :, 0], [100, 210, 321, 32])


@pytest.mark.slow
def test_bfloat16_sums_in_float32():
    images, kernel = random(2, 32, 32, 4, dtype=np.float32), random(3, 3, 1, 4, dtype=np.float32)
    form = functools.partial(depthwise.correlate, stride=1, padding=half(3))
    narrow = [array.astype(jnp.bfloat16) for array in (images, kernel)]
    wide = [array.astype(jnp.float32) for array in narrow]

    @jax.jit
    def value_and_gradients(images, kernel):
        outputs, pullback = jax.vjp(form, images, kernel)
        return outputs, *pullback(jnp.ones_like(outputs))

    pairs = zip(value_and_gradients(*narrow), value_and_gradients(*wide), strict=True)
    for ours, theirs in pairs:
        assert ours.dtype == jnp.bfloat16
        np.testing.assert_array_equal(ours, theirs.astype(jnp.bfloat16))


@pytest.mark.parametrize(("platform", "convolutions"), [("cpu", 0), ("cuda", 6), ("tpu", 6)])
def test_accelerators_get_the_convolution(platform, convolutions):
    def loss(images, pointwise, kernel):
        hidden = convolution(images, pointwise, 1, NO_PADDING)
        return jnp.sum(convolution(hidden, kernel, 2, half(3), groups=4))

    shapes = [
        jax.ShapeDtypeStruct(shape, jnp.float32)
        for shape in ((2, 8, 8, 3), (1, 1, 3, 4), (3, 3, 1, 4))
    ]
    step = jax.jit(jax.value_and_grad(loss, (0, 1, 2)))
    text = jax.export.export(step, platforms=[platform])(*shapes).mlir_module()
    assert text.count("stablehlo.convolution") == convolutions


def test_a_sharded_batch_is_never_gathered():
    mesh = jax.make_mesh((len(jax.devices()),), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    split, whole = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in (("data",), ()))
    images = jax.device_put(random(16, 9, 8, 4, dtype=np.float32), split)
    kernel = jax.device_put(random(3, 3, 1, 4, dtype=np.float32), whole)

    def loss(images, kernel):
        return jnp.sum(jnp.square(convolution(images, kernel, 2, half(3), groups=4)))

    compiled = jax.jit(jax.grad(loss, (0, 1))).lower(images, kernel).compile()
    assert "all-gather" not in compiled.as_text()
    to_images, to_kernel = compiled(images, kernel)
    alone = jax.jit(jax.grad(loss, (0, 1)))(*jax.device_get((images, kernel)))
    np.testing.assert_allclose(to_images, alone[0], atol=1e-4)
    np.testing.assert_allclose(to_kernel, alone[1], rtol=1e-4)
