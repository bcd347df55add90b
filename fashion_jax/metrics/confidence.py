"""Bootstrap confidence intervals (Efron 1979) of means over queries.

Queries of one product succeed and fail together. The bootstrap therefore resamples products with
all of their queries; resampling single queries would give intervals that are too narrow.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Shaped

SAMPLES = 1000
LEVEL = 0.95

Interval = tuple[float, float]

# Samples whose weights are drawn together: all 1000 of 40,000 products would take 320 MB.
_SAMPLES_AT_ONCE = 50


def confidence_intervals(
    values: Mapping[str, Float[np.ndarray, " queries"]],
    identity: Shaped[np.ndarray, " queries"],
    samples: int = SAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> dict[str, Interval]:
    """Compute percentile intervals of the mean of each metric.

    Args:
        values: value of each query, by metric.
        identity: product of each query; queries of one product are resampled together.
        samples: number of bootstrap samples, each of as many products as there are.
        level: share of the sample means inside the interval.
        seed: seed of the resampling.

    Returns:
        Lower and upper end by metric; NaN for fewer than two products.
    """
    _, product = np.unique(identity, return_inverse=True)
    products = int(product.max(initial=-1)) + 1
    if products < 2:
        return dict.fromkeys(values, (float("nan"), float("nan")))
    sums = [np.bincount(product, weights=each, minlength=products) for each in values.values()]
    table = np.stack([*sums, np.bincount(product, minlength=products)], axis=1)
    rng = np.random.default_rng(seed)
    drawn = []
    for start in range(0, samples, _SAMPLES_AT_ONCE):
        count = min(_SAMPLES_AT_ONCE, samples - start)
        times = rng.multinomial(products, np.full(products, 1 / products), size=count)
        totals = times @ table
        drawn.append(totals[:, :-1] / totals[:, -1:])
    outside = (1 - level) / 2
    low, high = np.quantile(np.concatenate(drawn), [outside, 1 - outside], axis=0)
    return {name: (float(a), float(b)) for name, a, b in zip(values, low, high, strict=True)}
