import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from fashion_jax.models.layers import Conv2d, Linear, explicit_padding


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "pair"),
    [
        (128, 3, 2, (0, 1)),
        (127, 3, 2, (1, 1)),
        (16, 5, 2, (1, 2)),
        (8, 5, 1, (2, 2)),
        (1, 3, 2, (1, 1)),
    ],
)
def test_same_padding_is_tensorflows(size, kernel, stride, pair):
    assert explicit_padding("same", (size, size), kernel, stride) == (pair, pair)


def test_other_paddings():
    assert explicit_padding("half", (8, 6), 5, 2) == ((2, 2), (2, 2))
    assert explicit_padding("none", (8, 6), 5, 2) == ((0, 0), (0, 0))
    with pytest.raises(ValueError, match="'valid'; choose 'half', 'same' or 'none'"):
        explicit_padding("valid", (8, 6), 5, 2)


def test_fresh_weights_have_the_stated_spread():
    rngs = nnx.Rngs(0)
    cases = (
        (Conv2d(64, 128, 3, rngs=rngs), (2 / (9 * 128)) ** 0.5),
        (Conv2d(4096, 4096, 5, groups=4096, rngs=rngs), (2 / 25) ** 0.5),
        (Linear(256, 500, std=0.001, rngs=rngs), 0.001),
    )
    for layer, std in cases:
        np.testing.assert_allclose(np.std(layer.kernel[...]), std, rtol=0.02)
        assert abs(np.mean(layer.kernel[...])) < 0.02 * std


def test_biases_and_padding():
    rngs = nnx.Rngs(0)
    linear = Linear(2, 3, std=1.0, use_bias=True, rngs=rngs)
    linear.bias[...] = linear.bias[...] + jnp.asarray([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(linear(jnp.zeros((1, 4, 2))), np.tile([1.0, 2.0, 3.0], (1, 4, 1)))
    patches = Conv2d(3, 5, 4, stride=4, padding="none", use_bias=True, rngs=rngs)
    patches.bias[...] = patches.bias[...] + 7.0
    np.testing.assert_array_equal(patches(jnp.zeros((1, 8, 12, 3))), np.full((1, 2, 3, 5), 7.0))


def test_groups_see_their_own_channels_only():
    layer = Conv2d(4, 6, 3, groups=2, rngs=nnx.Rngs(0))
    images = jnp.asarray(np.random.default_rng(0).standard_normal((1, 5, 5, 4)), jnp.float32)
    before = layer(images)
    after = layer(images.at[..., :2].set(0.0))
    assert not np.allclose(after[..., :3], before[..., :3])
    np.testing.assert_array_equal(after[..., 3:], before[..., 3:])
