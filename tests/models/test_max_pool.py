import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fashion_jax.models.layers import max_pool_3x3


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(2, 8, 6, 3), (1, 7, 5, 2), (1, 1, 1, 1)])
def test_max_pool_is_xlas(shape):
    images = jnp.asarray(np.random.default_rng(0).permutation(np.prod(shape)), jnp.float32)
    images = images.reshape(shape) - 20

    def reference(images):
        return jax.lax.reduce_window(
            images, -jnp.inf, jax.lax.max, (1, 3, 3, 1), (1, 2, 2, 1),
            ((0, 0), (1, 1), (1, 1), (0, 0)),
        )  # fmt: skip

    found, pullback = jax.vjp(max_pool_3x3, images)
    expected, reference_pullback = jax.vjp(reference, images)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(pullback(found), reference_pullback(found))
