"""Options of a recipe: other optimizers, decay of kernels only, layers, freezing, clipping."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from fashion_jax.config import ConfigError, ModelConfig, OptimizerConfig
from fashion_jax.models.backbones import BACKBONES
from fashion_jax.models.embedder import Embedder
from fashion_jax.models.numerics import ZeroRngs
from fashion_jax.models.pure import split_model
from fashion_jax.optim import make_optimizer, warmup_cosine
from fashion_jax.optim.parameter_groups import decay_mask, layer_scales, parameter_name
from fashion_jax.versions import enable_x64

CONFIG = OptimizerConfig(learning_rate=0.1, weight_decay=0.03, warmup_epochs=0.0, milestones=())
STEPS_PER_EPOCH = 2
PARAMS = {
    "backbone": {"blocks": {0: {"kernel": np.array([[1.0, -2.0]]), "bias": np.array([0.5, 0.1])}}},
    "classifier": {"kernel": np.array([[3.0], [4.0]])},
}


def run(config: OptimizerConfig, gradients: list, params=None):
    """All parameters after each step."""
    optimizer = make_optimizer(config, STEPS_PER_EPOCH, epochs=10)
    params = jax.tree.map(jnp.asarray, PARAMS if params is None else params)
    state, history = optimizer.init(params), []
    for gradient in gradients:
        updates, state = optimizer.update(jax.tree.map(jnp.asarray, gradient), state, params)
        params = optax.apply_updates(params, updates)
        history.append(jax.tree.map(np.asarray, params))
    return history, state


def constant(value: float):
    return jax.tree.map(lambda leaf: np.full_like(leaf, value), PARAMS)


def torch_like_sgd(parameter, gradients, config):
    """PyTorch's documented algorithm of `torch.optim.SGD(momentum=0.9, weight_decay=...)`."""
    buffer = 0.0
    for gradient in gradients:
        buffer = 0.9 * buffer + gradient + config.weight_decay * parameter
        parameter = parameter - config.learning_rate * buffer
    return parameter


def torch_like_adamw(parameter, gradients, config):
    """PyTorch's documented algorithm of `torch.optim.AdamW(weight_decay=...)`."""
    first = second = 0.0
    for step, gradient in enumerate(gradients, start=1):
        parameter = parameter * (1 - config.learning_rate * config.weight_decay)
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        corrected = np.sqrt(second / (1 - 0.999**step)) + 1e-8
        parameter = parameter - config.learning_rate * (first / (1 - 0.9**step)) / corrected
    return parameter


@pytest.mark.slow
@pytest.mark.parametrize(("name", "peer"), [("sgd", torch_like_sgd), ("adamw", torch_like_adamw)])
def test_is_torchs(name, peer):
    config = dataclasses.replace(CONFIG, name=name)
    rng = np.random.default_rng(0)
    gradients = [jax.tree.map(lambda leaf: rng.normal(size=leaf.shape), PARAMS) for _ in range(6)]
    with enable_x64(True):
        history, _ = run(config, gradients)
    steps = [named(gradient) for gradient in gradients]
    for path, found in named(history[-1]).items():
        expected = peer(named(PARAMS)[path], [step[path] for step in steps], config)
        np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_vectors_may_be_left_without_decay(name):
    config = dataclasses.replace(CONFIG, name=name, decay_norm_and_bias=False)
    (after,), _ = run(config, [constant(0.0)])
    block = after["backbone"]["blocks"][0]
    np.testing.assert_allclose(block["bias"], PARAMS["backbone"]["blocks"][0]["bias"], rtol=1e-7)
    assert (np.abs(block["kernel"]) < np.abs(PARAMS["backbone"]["blocks"][0]["kernel"])).all()


def abstract_params(backbone: str):
    config = ModelConfig(backbone=backbone)
    return split_model(nnx.eval_shape(lambda: Embedder(config, 7, ZeroRngs(0))))[1]


def named(tree) -> dict:
    return {parameter_name(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def test_kernels_decay_and_tokens_do_not():
    found = named(decay_mask(abstract_params("dinov2_vit_s14_reg4")))
    assert found["backbone/blocks/0/attn/qkv/kernel"]
    assert found["backbone/patch_embed/proj/kernel"]
    assert found["classifier/kernel"]
    for name in ("cls_token", "pos_embed", "register_tokens", "norm/scale", "blocks/0/norm1/bias"):
        assert not found[f"backbone/{name}"]
    assert not found["bottleneck/norm/scale"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "expected"),
    [
        ("resnet18", {"backbone/conv1/kernel": 9, "backbone/bn1/scale": 9,
                      "backbone/layer1/0/conv1/kernel": 8, "backbone/layer1/1/bn2/bias": 7,
                      "backbone/layer4/1/conv2/kernel": 1, "classifier/kernel": 0,
                      "bottleneck/norm/scale": 0}),
        ("vit_s16", {"backbone/pos_embed": 13, "backbone/patch_embed/proj/bias": 13,
                     "backbone/blocks/0/norm1/scale": 12, "backbone/blocks/11/mlp/fc2/bias": 1,
                     "backbone/norm/bias": 0, "classifier/kernel": 0}),
        ("efficientnet_lite0", {"backbone/conv_stem/kernel": 17, "backbone/bn0/scale": 17,
                                "backbone/conv_head/kernel": 0, "backbone/bn1/scale": 0}),
        ("osnet_x0_25", {"backbone/conv1/conv/kernel": 9, "backbone/conv2/0/conv1/conv/kernel": 8,
                         "backbone/conv5/conv/kernel": 0}),
    ],
)  # fmt: skip
def test_layers_by_hand(backbone, expected):
    """Exponents: how many layers lie above."""
    scales = named(layer_scales(abstract_params(backbone), 0.5))
    for name, above in expected.items():
        assert scales[name] == 0.5**above, name


@pytest.mark.slow
@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_backbones_layers_are_known(backbone):
    scales = set(named(layer_scales(abstract_params(backbone), 0.5)).values())
    assert scales == {0.5**above for above in range(len(scales))}


def test_unknown_parameters_are_listed():
    params = {"backbone": {"blocks": {0: {"kernel": jnp.ones(1)}}, "mystery": jnp.ones(1)}}
    with pytest.raises(ConfigError, match="mystery"):
        make_optimizer(dataclasses.replace(CONFIG, layer_decay=0.5), 1, 1).init(params)


def test_layer_decay_scales_the_rate():
    """One block: it has half the classifier's rate."""
    params = {**PARAMS, "backbone": {**PARAMS["backbone"], "cls_token": np.ones((1, 1, 2))}}
    gradient = jax.tree.map(np.ones_like, params)
    config = dataclasses.replace(CONFIG, layer_decay=0.5, weight_decay=0.0)
    (after,), _ = run(config, [gradient], params)
    moved = jax.tree.map(lambda old, new: float((old - new).max()), params, after)
    assert moved["classifier"]["kernel"] == pytest.approx(0.1, rel=1e-5)
    assert moved["backbone"]["blocks"][0]["kernel"] == pytest.approx(0.05, rel=1e-5)
    assert moved["backbone"]["cls_token"] == pytest.approx(0.025, rel=1e-5)


@pytest.mark.slow
def test_a_frozen_backbone_moves_as_if_training_had_just_begun():
    rate = dataclasses.replace(CONFIG, milestones=(3.0,))
    frozen = dataclasses.replace(
        rate, freeze_backbone_epochs=1.5
    )  # three of its two steps an epoch
    gradients = [constant(value) for value in (1.0, -2.0, 5.0, 0.3, 0.7)]
    history, _ = run(frozen, gradients)
    start = PARAMS["backbone"]
    for step in range(3):
        jax.tree.map(np.testing.assert_array_equal, history[step]["backbone"],
                     jax.tree.map(lambda leaf: leaf.astype(np.float32), start))  # fmt: skip
    fresh, _ = run(rate, gradients[3:])
    # Steps 3 and 4 lie in epochs 2 and 3: the schedule, which drops in epoch 3, has not lagged.
    one = fresh[0]["backbone"]["blocks"][0]["kernel"]
    np.testing.assert_allclose(history[3]["backbone"]["blocks"][0]["kernel"], one, rtol=1e-6)
    two = fresh[1]["backbone"]["blocks"][0]["kernel"]
    last = history[4]["backbone"]["blocks"][0]["kernel"]
    np.testing.assert_allclose(last - one, 0.1 * (two - one), rtol=1e-4)
    plain, _ = run(rate, gradients)
    jax.tree.map(np.testing.assert_array_equal, history[-1]["classifier"], plain[-1]["classifier"])


@pytest.mark.slow
def test_clipping_by_hand():
    config = dataclasses.replace(CONFIG, name="sgd", weight_decay=0.0, gradient_clip_norm=3.0)
    norm = np.sqrt(6 * 4.0)  # six numbers of 2
    (after,), _ = run(config, [constant(2.0)])
    moved = PARAMS["classifier"]["kernel"] - after["classifier"]["kernel"]
    np.testing.assert_allclose(moved, 0.1 * 2.0 * 3.0 / norm, rtol=1e-5)
    (small,), _ = run(config, [constant(0.5)])
    moved = PARAMS["classifier"]["kernel"] - small["classifier"]["kernel"]
    np.testing.assert_allclose(moved, 0.1 * 0.5, rtol=1e-5)


COSINE = OptimizerConfig(
    learning_rate=2.0,
    schedule="cosine",
    warmup_epochs=2.0,
    warmup_start_ratio=0.1,
    end_lr_ratio=0.25,
)


def test_cosine_held_by_hand():
    schedule = warmup_cosine(COSINE, steps_per_epoch=3, epochs=6)
    rates = np.array([schedule(step) for step in range(18)]).reshape(6, 3)
    np.testing.assert_array_equal(rates, np.repeat(rates[:, :1], 3, axis=1))
    falling = 0.25 + 0.75 * 0.5 * (1 + np.cos(np.pi * np.array([0, 1, 2, 3]) / 4))
    expected = 2.0 * np.array([0.1 * 0.5 + 0.5, 1.0, *falling])
    np.testing.assert_allclose(rates[:, 0], expected, rtol=1e-6)


def test_cosine_per_step_by_hand():
    config = dataclasses.replace(COSINE, schedule_granularity="step")
    schedule = jax.jit(warmup_cosine(config, steps_per_epoch=3, epochs=6))
    np.testing.assert_allclose(schedule(2), 2.0 * (0.1 * 0.5 + 0.5), rtol=1e-6)
    np.testing.assert_allclose(schedule(5), 2.0, rtol=1e-6)
    np.testing.assert_allclose(schedule(11), 2.0 * (0.25 + 0.75 * 0.5), rtol=1e-6)
    np.testing.assert_allclose(schedule(17), 0.5, rtol=1e-6)
    np.testing.assert_allclose(schedule(99), 0.5, rtol=1e-6)


def test_no_warmup():
    config = dataclasses.replace(COSINE, warmup_epochs=0.0)
    assert warmup_cosine(config, 3, 6)(0) == 2.0
