"""The embedder: backbone, pooling, neck and classifier."""

from typing import NamedTuple

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from fashion_jax.config import ModelConfig
from fashion_jax.errors import FashionJaxError
from fashion_jax.models.backbones import backbone_spec
from fashion_jax.models.bnneck import BNNeck
from fashion_jax.models.layers import Linear
from fashion_jax.models.pooling import pooling

COMPUTE_DTYPES = ("float32", "bfloat16", "float64")
CLASSIFIER_STD = 0.001  # arXiv:1906.08332's reference implementation


class UnknownDtypeError(FashionJaxError):
    """A dtype that the embedder does not compute in."""


class Embedding(NamedTuple):
    """What the embedder makes of a batch of photos; all in at least float32.

    Attributes:
        features: before the neck, for metric losses.
        neck: after the neck, for retrieval.
        logits: of the training identities; only in training.
    """

    features: Float[Array, "batch features"]
    neck: Float[Array, "batch features"]
    logits: Float[Array, "batch identities"] | None


class Embedder(nnx.Module):
    """A photo in, a vector out.

    Parameters are `nnx.Param`, running statistics `nnx.BatchStat`; there is no other state.

    Attributes:
        backbone: photos to feature maps.
        bottleneck: the BNNeck.
        classifier: to the training identities; `None` for an embedder that is not trained.
        compute_dtype: of the backbone; neck and classifier work in at least float32.
    """

    def __init__(
        self,
        config: ModelConfig,
        num_identities: int | None,
        rngs: nnx.Rngs,
        param_dtype: DTypeLike = jnp.float32,
    ) -> None:
        """Makes an embedder with fresh weights (see `pretrained.py` for others).

        Args:
            config: the model's part of an experiment's config.
            num_identities: training identities, or `None` for an embedder without classifier.
            rngs: for the initial weights; its stream `params` is used.
            param_dtype: of parameters and statistics.

        Raises:
            UnknownBackboneError: there is no such backbone.
            UnknownPoolingError: there is no such pooling.
            UnknownDtypeError: it does not compute in this dtype.
        """
        if config.compute_dtype not in COMPUTE_DTYPES:
            raise UnknownDtypeError(
                f"model.compute_dtype is {config.compute_dtype!r}; "
                f"it has to be one of {', '.join(COMPUTE_DTYPES)}"
            )
        self.compute_dtype = jnp.dtype(config.compute_dtype)
        self._pool = pooling(config.pooling)
        self.backbone = backbone_spec(config.backbone).build(
            last_stride=config.last_stride,
            stem_relu=config.stem_relu,
            rngs=rngs,
            param_dtype=param_dtype,
        )
        self.bottleneck = BNNeck(self.width, param_dtype=param_dtype)
        self.classifier = _classifier(self.width, num_identities, rngs, param_dtype)

    @property
    def width(self) -> int:
        """Dimensions of an embedding."""
        return self.backbone.width

    def __call__(self, images: Float[Array, "batch height width 3"], train: bool) -> Embedding:
        """Embeds normalised photos.

        Args:
            images: as `Preprocessing.normalise` returns them.
            train: use the batch's statistics, update the running ones, and return logits.
        """
        maps = self.backbone(images.astype(self.compute_dtype), train)
        features = self._pool(maps)
        neck = self.bottleneck(features, train)
        logits = None
        if train and self.classifier is not None:
            logits = self.classifier(neck)
        return Embedding(features, neck, logits)


def _classifier(
    width: int, num_identities: int | None, rngs: nnx.Rngs, param_dtype: DTypeLike
) -> Linear | None:
    if num_identities is None:
        return None
    return Linear(width, num_identities, std=CLASSIFIER_STD, rngs=rngs, param_dtype=param_dtype)
