"""The embedder: backbone, pooling, neck and classifier."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Key

from fashion_jax.config import ModelConfig
from fashion_jax.errors import FashionJaxError
from fashion_jax.models.backbones import backbone_spec
from fashion_jax.models.backbones.spec import BackboneOptions
from fashion_jax.models.heads import make_neck, make_pooling
from fashion_jax.models.layer_factory import LayerFactory
from fashion_jax.models.pure import seeded_streams, without_streams

CLASSIFIER_STD = 0.001  # arXiv:1906.08332's reference implementation


class Embedding(NamedTuple):
    """Features and embeddings of a batch of images, in at least float32.

    Attributes:
        features: pooled features before the neck, for metric losses.
        neck: embeddings after the neck, for retrieval.
        dropped: embeddings after the neck and, in training, dropout, for classification losses.
    """

    features: Float[Array, "batch features"]
    neck: Float[Array, "batch embedding"]
    dropped: Float[Array, "batch embedding"]


class Embedder(nnx.Module):
    """Network from images to embeddings.

    Parameters are `nnx.Param`, running statistics `nnx.BatchStat`, without any other state.

    Attributes:
        backbone: network from images to feature maps.
        pool: pooling from feature maps to features.
        bottleneck: neck from features to embeddings.
        classifier: linear layer with a column per training identity, with which the objective
            compares embeddings; `None` for an embedder that is not trained.
        compute_dtype: dtype of the backbone; neck and classifier work in at least float32.
        dropout: share of an embedding's numbers that is hidden from the classifier in training.
    """

    def __init__(
        self,
        config: ModelConfig,
        num_columns: int | None,
        rngs: nnx.Rngs,
        param_dtype: DTypeLike = jnp.float32,
    ) -> None:
        """Make an embedder with initial weights (`inference/weights/` loads published ones).

        Args:
            config: section `model` of an experiment's config.
            num_columns: number of columns of the classifier (training identities, and padding if
                any), or `None` for an embedder without classifier.
            rngs: random streams for the initial weights, of which `params` is used.
            param_dtype: dtype of parameters and statistics.

        Raises:
            UnknownBackboneError: for an unknown backbone.
            ConfigError: for a neck with a missing or superfluous width.
        """
        layers = LayerFactory(rngs, param_dtype, config.ghost_batch_size)
        self.compute_dtype = jnp.dtype(config.compute_dtype)
        self.dropout = config.dropout
        options = BackboneOptions(
            last_stride=config.last_stride,
            stem_relu=config.stem_relu,
            stem_pool=config.stem_pool,
            stride_in_1x1=config.stride_in_1x1,
            gradient_checkpointing=config.gradient_checkpointing,
        )
        backbone = backbone_spec(config.backbone).build(layers, options)
        self.backbone = without_streams(backbone)
        self.pool = make_pooling(config, layers)
        self.bottleneck = make_neck(config, self.backbone.width, layers)
        width, bias = self.bottleneck.width, config.classifier_bias
        self.classifier = (
            None
            if num_columns is None
            else layers.linear(width, num_columns, std=CLASSIFIER_STD, bias=bias)
        )

    @property
    def embedding_width(self) -> int:
        """Width of an embedding, after the neck."""
        return self.bottleneck.width

    def __call__(
        self,
        images: Float[Array, "batch height width 3"],
        train: bool,
        key: Key[Array, ""] | None = None,
    ) -> Embedding:
        """Embed normalised images.

        Args:
            images: images as `Preprocessing.normalise` returns them.
            train: use the batch's statistics, update the running ones, and apply dropout.
            key: random key for dropout; needed in training with dropout.

        Raises:
            FashionJaxError: a backbone's `width` is not that of its maps.
        """
        with seeded_streams(self.backbone, train, key):
            maps = self.backbone(images.astype(self.compute_dtype), train)
        if maps.positions.shape[-1] != self.backbone.width:
            raise FashionJaxError(
                f"the attribute `width` of {type(self.backbone).__name__} is "
                f"{self.backbone.width}, but its maps have {maps.positions.shape[-1]} features"
            )
        features = self.pool(maps)
        neck = self.bottleneck(features, train)
        return Embedding(features, neck, dropout(neck, self.dropout, key) if train else neck)


def dropout(
    features: Float[Array, "batch features"], rate: float, key: Key[Array, ""] | None
) -> Float[Array, "batch features"]:
    """Set each number to 0 with probability `rate`, and divide the others by `1 - rate`.

    Dropout (Srivastava et al. 2014).

    Raises:
        ValueError: for a rate above 0 without a key.
    """
    if rate == 0:
        return features
    if key is None:
        raise ValueError(f"dropout of {rate} needs a random key")
    kept = jax.random.bernoulli(key, 1 - rate, features.shape)
    return jnp.where(kept, features / (1 - rate), jnp.zeros_like(features))
