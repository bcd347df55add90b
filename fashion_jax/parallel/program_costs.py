"""Costs of a compiled program for each device, by the compiler's own counts."""

import collections
import dataclasses
import re
from collections.abc import Mapping
from typing import Any

COLLECTIVES = (
    "all-reduce",
    "all-gather",
    "reduce-scatter",
    "all-to-all",
    "collective-permute",
)

_LINE = re.compile(
    rf"= (?P<shape>.+?) (?P<name>{'|'.join(COLLECTIVES)})(?P<start>-start)?\((?P<rest>.*)$"
)
_ARRAY = re.compile(r"\b(pred|[suf]\d+|bf16|f8\w*|c\d+)\[([\d,]*)\]")
_GROUPS = re.compile(r"replica_groups=(?:\[\d+,(\d+)\]|\{\{([\d,]*)\})")


@dataclasses.dataclass(frozen=True)
class Collective:
    """Collectives of one kind.

    Attributes:
        count: number of them in the program.
        bytes: bytes of their results on a device.
        sent: bytes that an ideal ring sends from each device.
    """

    count: int
    bytes: int
    sent: int | float


@dataclasses.dataclass(frozen=True)
class ProgramCosts:
    """Costs of a program for one device.

    A collective inside a loop counts once.

    Attributes:
        flops: floating-point operations.
        bytes_moved: bytes to and from the device's memory.
        arguments: bytes of the arguments.
        temporaries: bytes of intermediate values that are held at the same time.
        outputs: bytes of results that do not take the place of arguments.
        code: bytes of the program.
        collectives: collectives, by kind.
    """

    flops: float
    bytes_moved: float
    arguments: int
    temporaries: int
    outputs: int
    code: int
    collectives: Mapping[str, Collective]

    def times(self, devices: int) -> "ProgramCosts":
        """Costs of several devices, such as those of one chip; each runs a program of its own."""
        collectives = {
            name: dataclasses.replace(each, bytes=each.bytes * devices, sent=each.sent * devices)
            for name, each in self.collectives.items()
        }
        numbers = {
            field.name: getattr(self, field.name) * devices
            for field in dataclasses.fields(self)
            if field.name not in ("code", "collectives")
        }
        return dataclasses.replace(self, **numbers, collectives=collectives)

    @property
    def memory(self) -> int:
        """Bytes of the device's memory that the program needs."""
        return self.arguments + self.temporaries + self.outputs + self.code

    @property
    def sent(self) -> int | float:
        """Bytes that a device sends to others."""
        return sum(each.sent for each in self.collectives.values())


def program_costs(compiled: Any, devices: int) -> ProgramCosts:
    """Read the costs of a compiled program.

    Args:
        compiled: what `jax.jit(...).lower(...).compile()` returns.
        devices: number of devices that it is compiled for.
    """
    costs = compiled.cost_analysis() or {}
    memory = compiled.memory_analysis()
    return ProgramCosts(
        flops=float(costs.get("flops", 0)),
        bytes_moved=float(costs.get("bytes accessed", 0)),
        arguments=memory.argument_size_in_bytes,
        temporaries=memory.temp_size_in_bytes,
        outputs=memory.output_size_in_bytes - memory.alias_size_in_bytes,
        code=memory.generated_code_size_in_bytes,
        collectives=count_collectives(compiled.as_text(), devices),
    )


def count_collectives(text: str, devices: int) -> dict[str, Collective]:
    """Count the collectives of a program, and the bytes that they send.

    A ring of n devices sends (n − 1) / n of the result for an all-gather, an all-to-all and, of the
    operand, for a reduce-scatter; an all-reduce is both of the last and the first (Thakur et al.
    2005, Int. J. High Perform. Comput. Appl. 19(1), section 4).

    Args:
        text: the optimised program.
        devices: number of devices, for collectives over all of them.
    """
    found: dict[str, list[tuple[int, float]]] = collections.defaultdict(list)
    for line in text.splitlines():
        match = _LINE.search(line)
        if match is None:
            continue
        name, arrays = match["name"], _sizes(match["shape"])
        # An asynchronous gather or permutation has its operands among its results.
        asynchronous = match["start"] and name in ("all-gather", "collective-permute")
        size = max(arrays, default=0) if asynchronous else sum(arrays)
        members = _members(match["rest"], devices)
        found[name].append((size, _sent(name, size, members)))
    return {
        name: Collective(len(each), sum(size for size, _ in each), sum(sent for _, sent in each))
        for name, each in sorted(found.items())
    }


def _sent(name: str, size: int, members: int) -> float:
    if name == "collective-permute":
        return float(size)
    share = (members - 1) / members
    if name == "all-reduce":
        return 2 * size * share
    if name == "reduce-scatter":
        return float(size * (members - 1))  # the result is one part of the operand
    return size * share


def _sizes(shape: str) -> list[int]:
    sizes = []
    for kind, dimensions in _ARRAY.findall(shape):
        bits = 8 if kind == "pred" else int(re.findall(r"\d+", kind)[0])
        elements = 1
        for dimension in filter(None, dimensions.split(",")):
            elements *= int(dimension)
        sizes.append(elements * max(bits, 8) // 8)
    return sizes


def _members(rest: str, devices: int) -> int:
    match = _GROUPS.search(rest)
    if match is None:
        return devices
    return int(match[1]) if match[1] else len(match[2].split(",")) if match[2] else devices
