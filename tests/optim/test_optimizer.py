import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fashion_jax.config import OptimizerConfig
from fashion_jax.optim import epoch_learning_rate, make_optimizer
from fashion_jax.versions import enable_x64

CONFIG = OptimizerConfig(learning_rate=0.1, weight_decay=0.03, warmup_epochs=2.0, milestones=(3.0,))
STEPS_PER_EPOCH = 2


def torch_like_adam(parameter, gradients):
    """PyTorch's documented algorithm of `torch.optim.Adam(weight_decay=...)`, one step a row."""
    first, second = np.zeros_like(parameter), np.zeros_like(parameter)
    for step, gradient in enumerate(gradients, start=1):
        rate = epoch_learning_rate(CONFIG, 1 + (step - 1) // STEPS_PER_EPOCH)
        gradient = gradient + CONFIG.weight_decay * parameter
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        corrected = np.sqrt(second / (1 - 0.999**step)) + 1e-8
        parameter = parameter - rate * (first / (1 - 0.9**step)) / corrected
    return parameter


@pytest.mark.slow
def test_is_torchs_adam_on_every_parameter():
    rng = np.random.default_rng(0)
    start = {"kernel": rng.normal(size=(3, 2)), "bias": rng.normal(size=2)}
    gradients = {name: rng.normal(size=(8, *value.shape)) for name, value in start.items()}
    with enable_x64(True):
        optimizer = make_optimizer(CONFIG, STEPS_PER_EPOCH)
        parameters = jax.tree.map(jnp.asarray, start)
        state = optimizer.init(parameters)
        for step in range(8):
            now = {name: jnp.asarray(rows[step]) for name, rows in gradients.items()}
            updates, state = optimizer.update(now, state, parameters)
            parameters = optax.apply_updates(parameters, updates)
        result = jax.tree.map(np.asarray, parameters)
    for name, value in start.items():
        # optax corrects the first moment's bias with powers computed in float32.
        np.testing.assert_allclose(result[name], torch_like_adam(value, gradients[name]), rtol=1e-6)


@pytest.mark.slow
def test_decay_is_coupled():
    # Through the moments the first step's size is the rate, however large the decay's part is.
    optimizer = make_optimizer(CONFIG, STEPS_PER_EPOCH)
    parameter = jnp.array([1000.0])
    updates, _ = optimizer.update(jnp.zeros(1), optimizer.init(parameter), parameter)
    np.testing.assert_allclose(updates, -epoch_learning_rate(CONFIG, 1), rtol=1e-5)
