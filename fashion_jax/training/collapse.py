"""Warns about a network that maps every photo to the same point."""

import logging
import math
from collections.abc import Mapping

from fashion_jax.config import LossConfig

logger = logging.getLogger(__name__)

PATIENCE = 200  # steps
NEAR = 0.01  # fraction of the collapse value


def resting_losses(loss: LossConfig) -> dict[str, float]:
    """Value of each triplet-like term of the objective for identical embeddings.

    The margin (of a quadruplet the sum of both), or ln 2 for the soft margin.
    """
    at_rest = {
        "triplet": loss.triplet_margin,
        "batch_all": loss.triplet_margin,
        "quadruplet": loss.quadruplet_margin + loss.quadruplet_second_margin,
        "centroid_triplet": loss.centroid_triplet_margin,
    }
    return {
        name: math.log(2) if value is None else value
        for name, value in at_rest.items()
        if getattr(loss, f"{name}_weight")
    }


class CollapseMonitor:
    """Warns, once for each term, when a triplet loss is stuck at its collapse value."""

    def __init__(self, loss: LossConfig) -> None:
        """Monitor the terms of the config's objective."""
        self._at_rest = resting_losses(loss)
        self._since: dict[str, int] = {}
        self._warned: set[str] = set()

    def update(self, step: int, values: Mapping[str, float]) -> None:
        """Take the scalars of a step; steps come in order."""
        for name, rest in self._at_rest.items():
            value = values.get(f"loss/{name}", math.inf)  # a custom objective may lack the term
            if abs(value - rest) > NEAR * rest:
                self._since.pop(name, None)
                continue
            first = self._since.setdefault(name, step)
            if step - first >= PATIENCE and name not in self._warned:
                self._warned.add(name)
                logger.warning(
                    "step %d: loss/%s is stuck at %.4f, the value for identical embeddings, for "
                    "%d steps: distances %.3g to positives, %.3g to negatives. Lower "
                    "optimizer.learning_rate, warm up longer, or begin with the soft margin "
                    "(None)",
                    step,
                    name,
                    rest,
                    step - first,
                    values.get("pairs/positive_distance", math.nan),
                    values.get("pairs/negative_distance", math.nan),
                )
