"""Maps from a framework's names of tensors to ours.

Ours are `backbone.…`, `pool.p`, `bottleneck.…` and `classifier.…`; within a backbone they are
those of its family's reference implementation (see docs/weights.md). Axes stay PyTorch's.
"""

import collections
import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from fashion_jax.inference.weights import WeightsError

Transform = Callable[[np.ndarray], np.ndarray]

# Prefixes of all names of a state dict, from wrappers of PyTorch and of training scripts.
WRAPPERS = ("module.", "_orig_mod.", "model.", "net.", "network.", "teacher.", "student.")

COUNTER = "BatchNorm's counter of batches"


@dataclasses.dataclass(frozen=True)
class Rule:
    r"""A new name for tensors, or a reason to ignore them.

    Attributes:
        pattern: regular expression that matches their whole names.
        target: our name, with groups such as `\1`; `name#0`, `name#1`, … for parts that are joined
            along the first axis; `None` for tensors that are ignored.
        reason: reason for ignoring them.
        transform: transform of the tensor.
        zero: whether only zeros are ignored, and other values refused.
    """

    pattern: str
    target: str | None
    reason: str = ""
    transform: Transform | None = None
    zero: bool = False


def ignore(pattern: str, reason: str) -> Rule:
    """Make a rule for tensors that are not needed."""
    return Rule(pattern, None, reason)


def ignore_zero(pattern: str, reason: str) -> Rule:
    """Make a rule for tensors that are not needed if they are 0, and refused otherwise."""
    return Rule(pattern, None, reason, zero=True)


@dataclasses.dataclass(frozen=True)
class WeightMap:
    """Names of one framework.

    Attributes:
        name: name of the framework.
        marks: regular expressions, each of which matches some whole name in its files.
        rules: rules, the first matching one of which applies.
        known: settings of its whole models that tensors do not tell, as fields of `ModelConfig`.
        exceptions: other settings of some backbones, by a regular expression of their names.
        renamed: function that renames tensors before the rules, for what a rule cannot express.
    """

    name: str
    marks: tuple[str, ...]
    rules: tuple[Rule, ...]
    known: Mapping[str, object] = dataclasses.field(default_factory=dict)
    exceptions: Mapping[str, Mapping[str, object]] = dataclasses.field(default_factory=dict)
    renamed: Callable[[Sequence[str]], Mapping[str, str]] | None = None

    def fits(self, names: Sequence[str]) -> bool:
        """Tell whether names are this framework's."""
        return all(any(re.fullmatch(mark, name) for name in names) for mark in self.marks)

    def settings(self, backbone: str) -> dict[str, object]:
        """Settings of whole models of a backbone, as fields of `ModelConfig`."""
        found = dict(self.known)
        for pattern, others in self.exceptions.items():
            if re.fullmatch(pattern, backbone):
                found |= others
        return found


@dataclasses.dataclass(frozen=True)
class ConvertedStateDict:
    """A file's tensors under our names.

    Attributes:
        weight_map: names of the framework.
        wrapper: prefix of all names, see `WRAPPERS`.
        tensors: tensors by our names, with PyTorch's axes.
        sources: names in the file that each of ours came from.
        ignored: reasons for ignoring tensors, by their names in the file.
    """

    weight_map: WeightMap
    wrapper: str
    tensors: dict[str, np.ndarray]
    sources: dict[str, list[str]]
    ignored: dict[str, str]

    @property
    def framework(self) -> str:
        """Name of the framework."""
        return self.weight_map.name


def convert_state_dict(
    source: Mapping[str, np.ndarray], weight_maps: Sequence[WeightMap]
) -> ConvertedStateDict:
    """Find the framework, and give every tensor our name or a reason to ignore it.

    Args:
        source: tensors by their names in the file.
        weight_maps: frameworks, in the order in which they are tried.

    Raises:
        WeightsError: for an unknown framework, unknown or doubled names, or a tensor that has to
            be 0 and is not.
    """
    wrapper = _wrapper(list(source))
    inner = {name.removeprefix(wrapper): tensor for name, tensor in source.items()}
    for weight_map in weight_maps:
        if weight_map.fits(list(inner)):
            return _apply(weight_map, inner, wrapper)
    first = ", ".join(list(source)[:5])
    raise WeightsError(
        f"the names of its {len(source)} tensors ({first}, ...) belong to none of the "
        f"frameworks {', '.join(weight_map.name for weight_map in weight_maps)}; rename the "
        "tensors as docs/weights.md lists them"
    )


def _wrapper(names: Sequence[str]) -> str:
    """Return the longest chain of `WRAPPERS` that all names begin with."""
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
            pattern, _, number = rule.target.partition("#")
            target = re.sub(rf"^(?:{rule.pattern})$", pattern, new)
            if int(number or 0) in parts[target]:
                problems.append(f"{name}: another tensor already is {target}")
            moved = _moved(rule, tensor)
            if moved is None:
                problems.append(f"{name}: has the shape {tensor.shape}")
            else:
                parts[target][int(number or 0)] = (wrapper + name, moved)
    if problems:
        raise WeightsError(
            f"{len(problems)} tensors do not belong to a model of {weight_map.name}:\n  "
            + "\n  ".join(problems)
        )
    return ConvertedStateDict(
        weight_map,
        wrapper,
        {target: _joined(found) for target, found in parts.items()},
        {target: [found[number][0] for number in sorted(found)] for target, found in parts.items()},
        ignored,
    )


def _moved(rule: Rule, tensor: np.ndarray) -> np.ndarray | None:
    """Transform a tensor, if it has a shape for it."""
    try:
        return rule.transform(tensor) if rule.transform else tensor
    except (IndexError, ValueError):
        return None


def _joined(found: Mapping[int, tuple[str, np.ndarray]]) -> np.ndarray:
    tensors = [found[number][1] for number in sorted(found)]
    if len(tensors) == 1:
        return tensors[0]
    try:
        return np.concatenate(tensors)
    except (TypeError, ValueError) as error:  # TypeError: dtypes without a common one
        names = ", ".join(found[number][0] for number in sorted(found))
        raise WeightsError(f"the tensors {names} cannot be joined: {error}") from error
