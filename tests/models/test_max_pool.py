import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fashion_jax.models.layers import max_pool_3x3, xla_max_pool


@pytest.mark.slow
@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("shape", [(2, 8, 6, 3), (1, 7, 5, 2), (1, 1, 1, 1), (1, 2, 3, 1)])
def test_both_forms_are_the_maximum_of_windows(shape, padding):
    images = np.random.default_rng(0).permutation(np.prod(shape)).reshape(shape) - 20.0
    expected = by_hand(images, padding)
    images = jnp.asarray(images, jnp.float32)
    gradients = []
    for form in (max_pool_3x3, xla_max_pool):
        found, pullback = jax.vjp(lambda pixels, form=form: form(pixels, padding), images)
        np.testing.assert_array_equal(found, expected)
        gradients.append(pullback(found)[0])
    np.testing.assert_array_equal(*gradients)


def by_hand(images, padding):
    """Windows begin every 2 pixels, the first `padding` pixels before the image."""
    rows, columns = (range(-padding, max(size - 1, 1 - padding), 2) for size in images.shape[1:3])
    windows = [
        [images[:, max(top, 0) : top + 3, max(left, 0) : left + 3].max((1, 2)) for left in columns]
        for top in rows
    ]
    return np.stack([np.stack(row, 1) for row in windows], 1)
