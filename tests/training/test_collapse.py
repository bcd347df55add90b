import logging
import math

import pytest

from fashion_jax.config import LossConfig
from fashion_jax.training.collapse import PATIENCE, CollapseMonitor, resting_losses

DISTANCES = {"pairs/positive_distance": 0.01, "pairs/negative_distance": 0.01}


def feed(monitor: CollapseMonitor, losses: list[float], first: int = 1) -> None:
    for step, loss in enumerate(losses, start=first):
        monitor.update(step, {"loss/triplet": loss, **DISTANCES})


def warnings(caplog) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]


def test_resting_values():
    config = LossConfig(
        triplet_margin=None,
        quadruplet_weight=1.0,
        centroid_triplet_weight=1.0,
        batch_all_weight=1.0,
    )
    assert resting_losses(config) == {
        "triplet": math.log(2),
        "batch_all": math.log(2),
        "quadruplet": pytest.approx(0.45),
        "centroid_triplet": 0.5,
    }
    assert resting_losses(LossConfig(triplet_weight=0.0)) == {}


@pytest.mark.parametrize(("margin", "rest"), [(0.3, 0.301), (None, 0.69)])
def test_warns_once_after_long_rest(caplog, margin, rest):
    feed(CollapseMonitor(LossConfig(triplet_margin=margin)), [rest] * (3 * PATIENCE))
    (text,) = warnings(caplog)
    assert f"step {PATIENCE + 1}: loss/triplet" in text
    assert "optimizer.learning_rate" in text


def test_a_loss_that_moves_is_no_collapse(caplog):
    monitor = CollapseMonitor(LossConfig())
    feed(monitor, [0.3] * PATIENCE + [0.25] + [0.3] * PATIENCE)
    assert warnings(caplog) == []
    feed(monitor, [0.3], first=2 * PATIENCE + 2)
    assert len(warnings(caplog)) == 1
