"""Published rates of accelerators, for bounds on what a step can take."""

import dataclasses
import re
from typing import NamedTuple

from fashion_jax.errors import FashionJaxError
from fashion_jax.similar_names import did_you_mean


class Chip(NamedTuple):
    """Published rates of one chip.

    Attributes:
        flops: dense bfloat16 multiplications and additions a second.
        memory: bytes of its memory.
        memory_rate: bytes a second to and from its memory.
        link_rate: bytes a second to and from other chips, both directions together.
        source: where the numbers are published.
    """

    flops: float
    memory: float
    memory_rate: float
    link_rate: float
    source: str


# Patterns of `device_kind`, the first that matches; TPU7x shows the halves of a chip.
_KINDS = (
    (r"TPU v4$", "v4", 1),
    (r"TPU v5 ?(lite|e)", "v5e", 1),
    (r"TPU v5p?$", "v5p", 1),
    (r"TPU v6 ?(lite|e)", "v6e", 1),
    (r"TPU ?(v7|7)x?", "tpu7x", 2),
    (r"NVIDIA H100 80GB HBM3", "h100", 1),
    (r"NVIDIA H200", "h200", 1),
    (r"NVIDIA A100-SXM4-80GB", "a100", 1),
)

_GIB = 2**30
_CLOUD = "Google Cloud's documentation of TPU {}, system architecture"

CHIPS = {
    # Six links of 50 GB/s each way (arXiv:2304.01433, table 4).
    "v4": Chip(275e12, 32 * _GIB, 1228e9, 600e9, "arXiv:2304.01433, table 4"),
    "v5e": Chip(197e12, 16 * _GIB, 819e9, 400e9, _CLOUD.format("v5e")),
    "v5p": Chip(459e12, 95 * _GIB, 2765e9, 1200e9, _CLOUD.format("v5p")),
    "v6e": Chip(918e12, 32 * _GIB, 1638e9, 800e9, _CLOUD.format("v6e")),
    "tpu7x": Chip(2307e12, 192 * _GIB, 7380e9, 1200e9, _CLOUD.format("TPU7x")),
    "h100": Chip(989e12, 80e9, 3350e9, 900e9, "NVIDIA H100 data sheet, SXM, without sparsity"),
    "h200": Chip(989e12, 141e9, 4800e9, 900e9, "NVIDIA H200 data sheet, SXM, without sparsity"),
    "a100": Chip(312e12, 80e9, 2039e9, 600e9, "NVIDIA A100 80GB data sheet, SXM"),
}


@dataclasses.dataclass(frozen=True)
class Topology:
    """Chips that work together.

    Attributes:
        text: the topology as it was written.
        kind: name in `CHIPS`.
        count: number of chips.
        is_tpu: whether libtpu can compile for them.
    """

    text: str
    kind: str
    count: int
    is_tpu: bool

    @property
    def chip(self) -> Chip:
        """Rates of one of its chips."""
        return CHIPS[self.kind]


def chip_of(device_kind: str) -> tuple[str, int] | None:
    """Name in `CHIPS` of the chip that a JAX device is of, and how many devices a chip is.

    Args:
        device_kind: what JAX calls the device, such as `TPU v5 lite` or `NVIDIA H100 80GB HBM3`.

    Returns:
        `None` for a device without published rates here, such as a CPU.

    Examples:
        >>> chip_of("TPU v5 lite")
        ('v5e', 1)
        >>> chip_of("cpu")
    """
    for pattern, name, devices in _KINDS:
        if re.match(pattern, device_kind):
            return name, devices
    return None


def parse_topology(text: str) -> Topology:
    """Read a topology such as `v5e:4x4`, `v5p:2x2x4` or `gpu:h100x8`.

    Raises:
        FashionJaxError: another form, or an unknown chip.
    """
    tpu = re.fullmatch(r"([a-z0-9]+):(\d+(?:x\d+)*)", text)
    gpu = re.fullmatch(r"gpu:([a-z0-9]+)x(\d+)", text)
    if not (gpu or tpu) or (tpu and tpu[1] == "gpu"):
        raise FashionJaxError(f"{text!r} is not a topology; write v5e:4x4, v5p:2x2x4 or gpu:h100x8")
    kind = (gpu or tpu)[1]  # type: ignore[index]
    if kind not in CHIPS:
        raise FashionJaxError(
            f"unknown chip {kind!r}; known: {', '.join(CHIPS)}{did_you_mean(kind, CHIPS)}"
        )
    count = 1
    for side in (gpu[2] if gpu else tpu[2]).split("x"):  # type: ignore[index]
        count *= int(side)
    if count < 1:
        raise FashionJaxError(f"{text!r} has no chip")
    return Topology(text, kind, count, is_tpu=not gpu)
