"""Multi-similarity loss (Wang et al. 2019, arXiv:1904.06627, equations 11 to 13)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from fashion_jax.config import MiningConfig
from fashion_jax.losses.pairs import ALL_PAIRS, Memory, Pairs, make_pairs
from fashion_jax.losses.rows import cosines, log_one_plus_sum_exp, reduce_rows


def multi_similarity_loss(
    features: Float[Array, "batch features"],
    identities: Int[Array, " batch"],
    *,
    alpha: float = 2.0,
    beta: float = 50.0,
    base: float = 0.5,
    epsilon: float = 0.1,
    where: Bool[Array, " batch"] | None = None,
    reduction: str = "mean",
    domains: Int[Array, " batch"] | None = None,
    memory: Memory | None = None,
    mining: MiningConfig = ALL_PAIRS,
) -> Float[Array, ""] | Float[Array, " batch"]:
    """Mean over rows of log(1 + Σ e^(−α(s_p − λ))) / α + log(1 + Σ e^(β(s_n − λ))) / β.

    s are cosines; the sums go over the mined pairs only: positives less similar than the most
    similar negative plus ε, negatives more similar than the least similar positive minus ε. A
    row without a positive or a negative stays in the mean as 0.

    Reference: Wang et al. 2019, "Multi-Similarity Loss with General Pair Weighting",
    arXiv:1904.06627, equations 11 to 13.

    Examples:
        >>> import jax.numpy as jnp
        >>> features = jnp.array([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])
        >>> float(multi_similarity_loss(features, jnp.array([0, 0, 1])))  # nothing is hard
        0.0

    Args:
        features: features before the neck; normalised here.
        identities: identity of each row.
        alpha: α, weight of the positives' similarities.
        beta: β, weight of the negatives' similarities.
        base: λ, the similarity that both are compared with.
        epsilon: ε, tolerance of the mining.
        where: rows that count; `None` for all.
        reduction: "mean" over the rows that count, or "none" for each row's term.
        domains: street (0) or shop (1), of each row; needed if `mining` tells them apart.
        memory: features of earlier batches, as further candidates.
        mining: pairs that count; a pair's weight multiplies its power.

    Returns:
        The loss in at least float32.
    """
    pairs = make_pairs(
        features, identities, where=where, domains=domains, memory=memory, mining=mining
    )
    similarity = cosines(pairs.anchors, pairs.candidates)
    positives, negatives = _mined(pairs, jax.lax.stop_gradient(similarity), epsilon)
    weights = jnp.log(pairs.weights)
    pull = log_one_plus_sum_exp(weights - alpha * (similarity - base), positives) / alpha
    push = log_one_plus_sum_exp(weights + beta * (similarity - base), negatives) / beta
    return reduce_rows(pull + push, pairs.where, reduction)


def _mined(
    pairs: Pairs, similarity: Float[Array, "batch candidates"], epsilon: float
) -> tuple[Bool[Array, "batch candidates"], Bool[Array, "batch candidates"]]:
    # Without any positive (negative) no negative (positive) is kept.
    hardest_positive = jnp.min(jnp.where(pairs.positives, similarity, jnp.inf), axis=1)
    hardest_negative = jnp.max(jnp.where(pairs.negatives, similarity, -jnp.inf), axis=1)
    return (
        pairs.positives & (similarity < hardest_negative[:, None] + epsilon),
        pairs.negatives & (similarity > hardest_positive[:, None] - epsilon),
    )
