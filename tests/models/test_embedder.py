import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from fashion_jax.config import ExperimentConfig, ImageConfig, ModelConfig
from fashion_jax.inference.preprocessing import preprocessing_for
from fashion_jax.models.backbones import UnknownBackboneError, backbone_spec
from fashion_jax.models.backbones.efficientnet_lite import relu6
from fashion_jax.models.embedder import Embedder, dropout
from fashion_jax.models.norms import BatchNorm
from fashion_jax.models.numerics import ZeroRngs
from fashion_jax.versions import enable_x64

WIDTHS = {"resnet18": 512, "resnet50": 2048, "efficientnet_lite0": 1280}


def abstract(call, config, num_identities=7, param_dtype=jnp.float32):
    """Shapes and dtypes of `call(embedder)`, without computing anything."""
    return nnx.eval_shape(lambda: call(Embedder(config, num_identities, ZeroRngs(0), param_dtype)))


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["resnet18", "resnet50", "efficientnet_lite0"])
@pytest.mark.parametrize(("last_stride", "rows"), [(1, 4), (2, 2)])
def test_the_last_stride_sets_the_maps_size(backbone, last_stride, rows):
    config = ModelConfig(backbone=backbone, last_stride=last_stride)
    images = jnp.zeros((2, 64, 32, 3))
    maps = abstract(lambda embedder: embedder.backbone(images, False), config)
    assert maps.positions.shape == (2, rows, rows // 2, WIDTHS[backbone])
    assert maps.token is None


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["resnet18", "efficientnet_lite0"])
def test_bfloat16_stays_inside_the_backbone(backbone):
    config = ModelConfig(backbone=backbone, compute_dtype="bfloat16")
    images = jnp.zeros((2, 32, 32, 3))

    def call(embedder):
        maps = []
        pool = embedder.pool
        embedder.pool = lambda features: maps.append(features.positions) or pool(features)
        return embedder(images, True), maps, nnx.state(embedder, (nnx.Param, nnx.BatchStat))

    embedding, maps, state = abstract(call, config)
    assert maps[0].dtype == jnp.bfloat16
    assert embedding.features.shape == embedding.neck.shape == (2, WIDTHS[backbone])
    assert embedding.dropped.shape == embedding.neck.shape
    assert {leaf.dtype for leaf in jax.tree.leaves((embedding, state))} == {jnp.dtype(jnp.float32)}


@pytest.mark.slow
def test_float64_is_float64_throughout():
    with enable_x64(True):
        config = ModelConfig(backbone="efficientnet_lite0", compute_dtype="float64")
        images = jnp.zeros((2, 32, 32, 3))
        found = abstract(
            lambda embedder: (embedder(images, True), nnx.state(embedder)),
            config,
            param_dtype=jnp.float64,
        )
        assert {leaf.dtype for leaf in jax.tree.leaves(found)} == {jnp.dtype(jnp.float64)}


@pytest.mark.slow
def test_training_and_inference():
    config = ModelConfig(backbone="resnet18")
    embedder = Embedder(config, 7, nnx.Rngs(0))
    graphdef, state = nnx.split(embedder)
    images = jnp.asarray(np.random.default_rng(0).standard_normal((4, 32, 32, 3)), jnp.float32)

    @jax.jit
    def both(state):
        embedder = nnx.merge(graphdef, state, copy=True)
        before = embedder(images, train=False)
        untouched = jax.tree.leaves(nnx.state(embedder, nnx.BatchStat))
        learning = embedder(images, train=True)
        return before, untouched, learning, nnx.state(embedder, nnx.BatchStat)

    before, untouched, learning, updated = both(state)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((before, learning, updated)))
    statistics = jax.tree.leaves(nnx.state(embedder, nnx.BatchStat))
    pairs = zip(statistics, untouched, jax.tree.leaves(updated), strict=True)
    for first, kept, changed in pairs:
        np.testing.assert_array_equal(first, kept)
        assert not np.array_equal(first, changed)
    np.testing.assert_allclose(learning.neck.mean(0), np.zeros(512), atol=1e-4)


def test_without_identities_there_is_no_classifier():
    state = abstract(nnx.state, ModelConfig(backbone="resnet18"), num_identities=None)
    variables = nnx.to_flat_state(state)
    assert not [path for path, _ in variables if path[0] == "classifier"]
    assert {type(variable) for _, variable in variables} == {nnx.Param, nnx.BatchStat}


def test_the_stems_relu_is_an_option():
    images = jnp.zeros((1, 32, 32, 3))

    def trace(stem_relu):
        config = ModelConfig(backbone="resnet18", stem_relu=stem_relu)
        embedder = nnx.eval_shape(lambda: Embedder(config, None, ZeroRngs(0)))
        graphdef, state = nnx.split(embedder)
        return jax.make_jaxpr(lambda state: nnx.merge(graphdef, state)(images, False))(state)

    relus = [str(trace(stem_relu)).count("relu") for stem_relu in (False, True)]
    assert relus[0] < relus[1]


def test_relu6_and_its_gradient():
    inputs = jnp.asarray([-1.0, 0.0, 3.0, 6.0, 7.0])
    np.testing.assert_array_equal(relu6(inputs), [0, 0, 3, 6, 6])
    np.testing.assert_array_equal(jax.vmap(jax.grad(relu6))(inputs), [0, 0, 1, 0, 0])


def test_wrong_names_are_refused_with_the_nearest_right_one():
    with pytest.raises(UnknownBackboneError, match="did you mean 'resnet50'"):
        backbone_spec("resnet-50")
    with pytest.raises(UnknownBackboneError, match="did you mean 'efficientnet_lite0'"):
        backbone_spec("efficientnet-lite0")


def test_features_and_embedding_have_widths_of_their_own():
    config = ModelConfig(backbone="resnet18", neck="linear_bnneck", embedding_width=64)
    images = jnp.zeros((2, 32, 32, 3))
    embedding = abstract(lambda embedder: embedder(images, True), config)
    assert embedding.features.shape == (2, 512)
    assert embedding.neck.shape == (2, 64)
    assert embedding.dropped.shape == (2, 64)
    embedder = nnx.eval_shape(lambda: Embedder(config, 7, ZeroRngs(0)))
    assert (embedder.backbone.width, embedder.embedding_width) == (512, 64)
    assert embedder.classifier.bias is None


def test_the_classifiers_bias_is_an_option():
    config = ModelConfig(backbone="resnet18", classifier_bias=True)
    embedder = nnx.eval_shape(lambda: Embedder(config, 7, ZeroRngs(0)))
    assert embedder.classifier.bias.shape == (7,)


def test_ghost_batches_reach_every_layer():
    config = ModelConfig(backbone="resnet18", ghost_batch_size=2)
    embedder = nnx.eval_shape(lambda: Embedder(config, 7, ZeroRngs(0)))
    sizes = [
        norm.ghost_batch_size for _, norm in nnx.iter_graph(embedder) if isinstance(norm, BatchNorm)
    ]
    assert len(sizes) == 21  # stem, two in each of eight blocks, three shortcuts, neck
    assert set(sizes) == {2}


def test_dropout_keeps_the_mean_and_needs_a_key():
    ones = jnp.ones((200, 50))
    dropped = dropout(ones, 0.25, jax.random.key(0))
    assert set(np.unique(dropped)) == {np.float32(0), np.float32(1 / 0.75)}
    np.testing.assert_allclose(dropped.mean(), 1, atol=0.02)
    assert dropout(ones, 0.0, None) is ones
    with pytest.raises(ValueError, match="random key"):
        dropout(ones, 0.25, None)


@pytest.mark.slow
def test_only_the_classifier_sees_dropout():
    config = ModelConfig(backbone="resnet18", dropout=0.5)
    embedder = Embedder(config, 7, nnx.Rngs(0))
    graphdef, state = nnx.split(embedder)
    images = jnp.asarray(np.random.default_rng(0).standard_normal((4, 32, 32, 3)), jnp.float32)

    @jax.jit
    def embed(state, key):
        return nnx.merge(graphdef, state, copy=True)(images, train=True, key=key)

    first, again, other = (embed(state, jax.random.key(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.dropped, again.dropped)
    assert not np.allclose(first.dropped, other.dropped)
    np.testing.assert_array_equal(first.neck, other.neck)


def test_preprocessing_by_hand():
    pixels = jnp.asarray([0, 127, 255], jnp.uint8).reshape(1, 1, 3, 1)
    pixels = jnp.broadcast_to(pixels, (1, 1, 3, 3))
    lite = preprocessing_for(config_of("efficientnet_lite0")).normalise(pixels)
    np.testing.assert_allclose(lite[0, 0, :, 0], [-127 / 128, 0, 1])
    imagenet = preprocessing_for(config_of("resnet50")).normalise(pixels, jnp.bfloat16)
    assert imagenet.dtype == jnp.bfloat16
    np.testing.assert_allclose(
        imagenet[0, 0, 2].astype(jnp.float32),
        [(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225],
        rtol=1e-2,
    )


def test_the_config_may_say_how_pixels_are_scaled():
    own = config_of("resnet50", pixel_mean=(1.0, 2.0, 3.0), pixel_std=(4.0, 5.0, 6.0))
    preprocessing = preprocessing_for(own)
    assert preprocessing.mean == (1.0, 2.0, 3.0)
    assert preprocessing.std == (4.0, 5.0, 6.0)


def config_of(backbone, **image):
    return ExperimentConfig(model=ModelConfig(backbone=backbone), image=ImageConfig(1, 3, **image))
