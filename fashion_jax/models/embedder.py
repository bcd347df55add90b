"""The embedder: backbone, pooling, neck and classifier."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Key

from fashion_jax.config import ModelConfig
from fashion_jax.models.backbones import backbone_spec
from fashion_jax.models.backbones.spec import BackboneOptions
from fashion_jax.models.layer_factory import LayerFactory
from fashion_jax.models.layers import Linear
from fashion_jax.models.necks import make_neck
from fashion_jax.models.pooling import make_pooling
from fashion_jax.models.rng_streams import seeded_streams, without_streams

CLASSIFIER_STD = 0.001  # arXiv:1906.08332's reference implementation


class Embedding(NamedTuple):
    """What the embedder makes of a batch of photos; all in at least float32.

    Attributes:
        features: before the neck, for metric losses.
        neck: after the neck, for retrieval.
        dropped: after the neck and, in training, dropout, for losses over classes.
    """

    features: Float[Array, "batch features"]
    neck: Float[Array, "batch embedding"]
    dropped: Float[Array, "batch embedding"]


class Embedder(nnx.Module):
    """A photo in, a vector out.

    Parameters are `nnx.Param`, running statistics `nnx.BatchStat`, without any other state.

    Attributes:
        backbone: photos to feature maps.
        pool: feature maps to features.
        bottleneck: the neck.
        classifier: columns of the training identities, which the objective compares embeddings
            with; `None` for an embedder that is not trained.
        compute_dtype: of the backbone; neck and classifier work in at least float32.
        dropout: share of the embedding's numbers that the classifier does not see in training.
    """

    def __init__(
        self,
        config: ModelConfig,
        num_columns: int | None,
        rngs: nnx.Rngs,
        param_dtype: DTypeLike = jnp.float32,
    ) -> None:
        """Makes an embedder with fresh weights (see `models/weights/` for others).

        Args:
            config: the model's part of an experiment's config.
            num_columns: columns of the classifier (one for each training identity, if not more),
                or `None` for an embedder without classifier.
            rngs: for the initial weights; its stream `params` is used.
            param_dtype: of parameters and statistics.

        Raises:
            UnknownBackboneError: there is no such backbone.
            UnknownNeckError: the neck's width does not fit it.
        """
        layers = LayerFactory(rngs, param_dtype, config.ghost_batch_size)
        self.compute_dtype = jnp.dtype(config.compute_dtype)
        self.dropout = config.dropout
        backbone = backbone_spec(config.backbone).build(layers, _options(config))
        self.backbone = without_streams(backbone)
        self.pool = make_pooling(config, layers)
        self.bottleneck = make_neck(config, self.backbone.width, layers)
        self.classifier = _classifier(self.bottleneck.width, num_columns, config, layers)

    @property
    def feature_width(self) -> int:
        """Dimensions of a feature before the neck."""
        return self.backbone.width

    @property
    def embedding_width(self) -> int:
        """Dimensions of an embedding, after the neck."""
        return self.bottleneck.width

    def __call__(
        self,
        images: Float[Array, "batch height width 3"],
        train: bool,
        key: Key[Array, ""] | None = None,
    ) -> Embedding:
        """Embeds normalised photos.

        Args:
            images: as `Preprocessing.normalise` returns them.
            train: use the batch's statistics, update the running ones, and drop out.
            key: random key for dropout; needed in training if there is some.
        """
        with seeded_streams(self.backbone, train, key):
            maps = self.backbone(images.astype(self.compute_dtype), train)
        features = self.pool(maps)
        neck = self.bottleneck(features, train)
        return Embedding(features, neck, drop(neck, self.dropout, key) if train else neck)


def drop(
    features: Float[Array, "batch features"], rate: float, key: Key[Array, ""] | None
) -> Float[Array, "batch features"]:
    """Sets each number to 0 with probability `rate`, and divides the others by `1 - rate`.

    Dropout (Srivastava et al. 2014).

    Raises:
        ValueError: the rate is above 0 and there is no key.
    """
    if rate == 0:
        return features
    if key is None:
        raise ValueError(f"dropout of {rate} needs a random key")
    kept = jax.random.bernoulli(key, 1 - rate, features.shape)
    return jnp.where(kept, features / (1 - rate), jnp.zeros_like(features))


def _options(config: ModelConfig) -> BackboneOptions:
    return BackboneOptions(
        last_stride=config.last_stride,
        stem_relu=config.stem_relu,
        stem_pool=config.stem_pool,
        gradient_checkpointing=config.gradient_checkpointing,
    )


def _classifier(
    width: int, num_columns: int | None, config: ModelConfig, layers: LayerFactory
) -> Linear | None:
    if num_columns is None:
        return None
    return layers.linear(width, num_columns, std=CLASSIFIER_STD, bias=config.classifier_bias)
