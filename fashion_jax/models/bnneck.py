"""BNNeck (Luo et al. 2019, arXiv:1906.08332, section 3.5).

Metric losses act on the feature before the neck, the identity loss on the feature after it;
retrieval uses the feature after it.
"""

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from fashion_jax.models.layers import BatchNorm


class BNNeck(nnx.Module):
    """A batch normalisation whose bias is frozen at 0: there is none."""

    def __init__(self, width: int, *, param_dtype: DTypeLike = jnp.float32) -> None:
        self.norm = BatchNorm(width, use_bias=False, param_dtype=param_dtype)

    def __call__(
        self, features: Float[Array, "batch features"], train: bool
    ) -> Float[Array, "batch features"]:
        """Returns the normalised features."""
        return self.norm(features, train)
