"""From a framework's names of tensors to ours.

Ours are `backbone.…`, `pool.p`, `bottleneck.…` and `classifier.…`; within a backbone they are
those of its family's reference implementation (see docs/weights.md). Axes stay PyTorch's.
"""

import collections
import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from fashion_jax.errors import FashionJaxError

Transform = Callable[[np.ndarray], np.ndarray]

# Around all names of a state dict: what PyTorch and training scripts wrap a model in.
WRAPPERS = ("module.", "_orig_mod.", "model.", "net.", "network.", "teacher.", "student.")

COUNTER = "BatchNorm's counter of batches"


class WeightMapError(FashionJaxError):
    """Tensors whose names belong to no framework that is known."""


@dataclasses.dataclass(frozen=True)
class Rule:
    r"""What becomes of the tensors whose whole name matches.

    Attributes:
        pattern: regular expression.
        target: our name, with groups such as `\1`; of several parts that are joined along the
            first axis, `name#0`, `name#1`, …; `None` for tensors that are ignored.
        reason: why they are ignored.
        transform: of the tensor.
        zero: whether they may be ignored only where they are 0 everywhere.
    """

    pattern: str
    target: str | None
    reason: str = ""
    transform: Transform | None = None
    zero: bool = False


def ignore(pattern: str, reason: str) -> Rule:
    """A rule for tensors that are not needed."""
    return Rule(pattern, None, reason)


def ignore_zero(pattern: str, reason: str) -> Rule:
    """A rule for tensors that are not needed where they are 0, and refused otherwise."""
    return Rule(pattern, None, reason, zero=True)


@dataclasses.dataclass(frozen=True)
class WeightMap:
    """How one framework names its tensors.

    Attributes:
        name: of the framework.
        marks: regular expressions; in a file of this framework each matches some whole name.
        rules: the first that matches counts.
        known: what its whole models have beyond their tensors, as fields of `ModelConfig`.
        renamed: gives all names others before rules are looked for, where a rule alone cannot.
    """

    name: str
    marks: tuple[str, ...]
    rules: tuple[Rule, ...]
    known: Mapping[str, object] = dataclasses.field(default_factory=dict)
    renamed: Callable[[Sequence[str]], Mapping[str, str]] | None = None

    def fits(self, names: Sequence[str]) -> bool:
        """Whether the names look like this framework's."""
        return all(any(re.fullmatch(mark, name) for name in names) for mark in self.marks)


@dataclasses.dataclass(frozen=True)
class ConvertedStateDict:
    """A file's tensors under our names.

    Attributes:
        framework: the framework's name.
        wrapper: what stood before all names.
        tensors: by our names, with PyTorch's axes.
        sources: the names in the file that each of ours came from.
        ignored: by their names in the file, why.
        known: see `WeightMap`.
    """

    framework: str
    wrapper: str
    tensors: dict[str, np.ndarray]
    sources: dict[str, list[str]]
    ignored: dict[str, str]
    known: Mapping[str, object]


def convert_state_dict(
    source: Mapping[str, np.ndarray], weight_maps: Sequence[WeightMap]
) -> ConvertedStateDict:
    """Finds the framework and gives every tensor our name, or the reason why it is ignored.

    Raises:
        WeightMapError: no framework fits, names are left over or given twice, or a tensor that has
            to be 0 is not.
    """
    wrapper = _wrapper(list(source))
    inner = {name.removeprefix(wrapper): tensor for name, tensor in source.items()}
    for weight_map in weight_maps:
        if weight_map.fits(list(inner)):
            return _apply(weight_map, inner, wrapper)
    first = ", ".join(list(source)[:5])
    raise WeightMapError(
        f"the names of its {len(source)} tensors belong to none of the frameworks "
        f"{', '.join(weight_map.name for weight_map in weight_maps)}; they begin with {first}"
    )


def _wrapper(names: Sequence[str]) -> str:
    """Everything of `WRAPPERS` that stands before all names, however often."""
    found = ""
    while True:
        common = [
            word for word in WRAPPERS if names and all(n.startswith(found + word) for n in names)
        ]
        if not common:
            return found
        found += common[0]


def _apply(
    weight_map: WeightMap, inner: Mapping[str, np.ndarray], wrapper: str
) -> ConvertedStateDict:
    parts: dict[str, dict[int, tuple[str, np.ndarray]]] = collections.defaultdict(dict)
    ignored: dict[str, str] = {}
    problems: list[str] = []
    renamed = weight_map.renamed(list(inner)) if weight_map.renamed else {}
    for name, tensor in inner.items():
        new = renamed.get(name, name)
        rule = next((rule for rule in weight_map.rules if re.fullmatch(rule.pattern, new)), None)
        if rule is None:
            problems.append(f"{name}: unknown")
        elif rule.target is None:
            if rule.zero and np.any(tensor):
                problems.append(f"{name}: has to be 0 everywhere ({rule.reason})")
            ignored[wrapper + name] = rule.reason
        else:
            full = re.sub(rf"^(?:{rule.pattern})$", rule.target, new)
            target, _, number = full.partition("#")
            if int(number or 0) in parts[target]:
                problems.append(f"{name}: another tensor is {target} already")
            moved = rule.transform(tensor) if rule.transform else tensor
            parts[target][int(number or 0)] = (wrapper + name, moved)
    if problems:
        raise WeightMapError(
            f"{len(problems)} tensors do not belong to a model of {weight_map.name}:\n  "
            + "\n  ".join(problems)
        )
    return ConvertedStateDict(
        weight_map.name,
        wrapper,
        {target: _joined(found) for target, found in parts.items()},
        {target: [found[number][0] for number in sorted(found)] for target, found in parts.items()},
        ignored,
        weight_map.known,
    )


def _joined(found: Mapping[int, tuple[str, np.ndarray]]) -> np.ndarray:
    tensors = [found[number][1] for number in sorted(found)]
    if len(tensors) == 1:
        return tensors[0]
    try:
        return np.concatenate(tensors)
    except ValueError as error:
        names = ", ".join(found[number][0] for number in sorted(found))
        raise WeightMapError(f"the tensors {names} cannot be joined: {error}") from error
