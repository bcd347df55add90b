"""Device use of a run: memory, and the share of the peak rate (MFU)."""

import logging
from typing import Any

from fashion_jax.parallel.chips import CHIPS, chip_of
from fashion_jax.training.learner import Learner, abstract_batch

logger = logging.getLogger(__name__)

_GIB = 2**30


class DeviceUse:
    """Numbers of a run's devices for its log lines.

    Model FLOPs utilisation is the rate of the step's operations, as the step is written, over the
    published bfloat16 rate of the chips (Chowdhery et al. 2022, arXiv:2204.02311, appendix B).
    Where activations are recomputed, these operations count too, and the number is named after
    hardware FLOPs utilisation (HFU). XLA does not count the loops that microbatches are.
    """

    def __init__(self, learner: Learner) -> None:
        """Count the operations of a step, where the chips' rates are published."""
        self._device = learner.mesh.local_devices[0]
        recomputes = learner.config.model.gradient_checkpointing
        self._name = "speed/hfu" if recomputes else "speed/mfu"
        self._peak = _peak(learner)
        is_loop = learner.config.training.microbatches > 1
        self._flops = _flops(learner) if self._peak and not is_loop else 0.0

    def report(self, photos_per_second: float, photos_per_step: int) -> dict[str, float]:
        """Numbers for a log line.

        Args:
            photos_per_second: rate of the run.
            photos_per_step: photos in a step.

        Returns:
            `speed/mfu` (or `speed/hfu`) and `speed/device_memory_gib`, the most so far, where they
            are known.
        """
        found = {}
        if self._peak and self._flops:
            found[self._name] = photos_per_second / photos_per_step * self._flops / self._peak
        most = (self._device.memory_stats() or {}).get("peak_bytes_in_use")
        if most:
            found["speed/device_memory_gib"] = most / _GIB
        return found


def _peak(learner: Learner) -> float:
    """Operations a second of all chips; 0 if unknown."""
    known = chip_of(learner.mesh.devices.flat[0].device_kind)
    if known is None:
        return 0.0
    name, devices = known
    return CHIPS[name].flops * learner.mesh.devices.size / devices


def _flops(learner: Learner) -> float:
    """Operations of a step over all devices; 0 where they cannot be counted."""
    step: Any = learner.train_step
    try:
        lowered = step.lower(learner.abstract_state, abstract_batch(learner.config, learner.mesh))
        return float((lowered.cost_analysis() or {}).get("flops", 0.0))
    except Exception as error:  # a number for people must not end a run
        logger.warning("the step's operations cannot be counted: %s", error)
        return 0.0
