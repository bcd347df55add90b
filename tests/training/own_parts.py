"""A user's own backbone, term and objective, written with what the package makes public."""

import jax
import jax.numpy as jnp
from flax import nnx

from fashion_jax.losses import ObjectiveLike, batch_hard_triplet_loss, pairwise_distances
from fashion_jax.models.backbones import Backbone, FeatureMap
from fashion_jax.versions import ModuleList

WIDTH = 8


class DropoutNet(Backbone):
    """Flax's own layers: two convolutions with BatchNorm and dropout."""

    rate = 0.5

    def __init__(self, layers, options):
        self.width = WIDTH
        self.conv1 = nnx.Conv(3, WIDTH, (3, 3), strides=4, rngs=layers.rngs)
        self.norm = nnx.BatchNorm(WIDTH, rngs=layers.rngs)
        self.conv2 = nnx.Conv(WIDTH, WIDTH, (1, 1), rngs=layers.rngs)
        self.dropouts = ModuleList([nnx.Dropout(self.rate, rngs=layers.rngs) for _ in range(2)])

    def __call__(self, images, train):
        maps = self.dropouts[0](nnx.relu(self.norm(self.conv1(images))))
        return FeatureMap(self.dropouts[1](self.conv2(maps)))


class NoDropoutNet(DropoutNet):
    rate = 0.0


def uniformity(features, embedding, batch):
    """Mean of e^(−2d²) over all pairs that count, of embeddings after the neck."""
    pairs = batch["valid"][:, None] & batch["valid"][None, :]
    powers = jnp.exp(-2 * pairwise_distances(embedding, embedding) ** 2)
    return jnp.mean(jnp.where(pairs, powers, 0.0))


class NoisyTriplet(ObjectiveLike):
    """Triplet loss of features with noise, plus their distance to a running mean."""

    def initial_state(self, key, *, batch_size, feature_width, num_identities, dtype):
        return {"mean": jnp.zeros(feature_width, dtype), "seen": {"rows": jnp.zeros((), jnp.int32)}}

    def __call__(self, features, embedding, batch, *, classifier, num_identities, state, key):
        noise = jax.random.normal(key, features.shape, features.dtype)
        noisy = features + 0.01 * noise
        triplet = batch_hard_triplet_loss(noisy, batch["identity"], where=batch["valid"])
        mean = jnp.mean((features - state["mean"][None, :]) ** 2)
        logits = embedding @ classifier["kernel"]
        size = jnp.mean(logits[:, :num_identities] ** 2)
        return triplet + 0.1 * mean + size, {"loss/noisy": triplet, "loss/mean": mean}

    def next_state(self, state, features, batch, *, step):
        mean = 0.9 * state["mean"] + 0.1 * jnp.mean(features, 0)
        return {"mean": mean, "seen": {"rows": state["seen"]["rows"] + jnp.sum(batch["valid"])}}
