"""Contents of a file of weights, and the networks that they fit."""

import collections
import dataclasses
import pathlib

import numpy as np
import tabulate

from fashion_jax.inference.weights import WeightsError
from fashion_jax.inference.weights.files import read_weights
from fashion_jax.inference.weights.fill import FLOATS
from fashion_jax.inference.weights.matching import fitting_backbones, nearest_backbone
from fashion_jax.inference.weights.weight_map import ConvertedStateDict, convert_state_dict
from fashion_jax.inference.weights.weight_maps import WEIGHT_MAPS
from fashion_jax.inference.weights.whole_model import num_identities

LARGEST = 5


@dataclasses.dataclass(frozen=True)
class Inspection:
    """Summary of a file of weights.

    Attributes:
        file: name of the file.
        format: `safetensors` or `PyTorch`.
        key: key of the tensors in a training checkpoint; empty for a state dict alone.
        tensors: number of tensors.
        numbers: number of their elements, all together.
        dtypes: number of tensors by dtype.
        largest: shapes of the largest tensors by name.
        problems: reasons why the weights cannot be loaded.
        framework: name of the framework; empty if unknown.
        wrapper: prefix of all names, see `WRAPPERS`.
        parts: number of tensors of backbone, pool, bottleneck and classifier.
        ignored: number of ignored tensors by reason.
        identities: number of the classifier's identities; `None` without classifier.
        fits: our backbones that the tensors fill one to one.
        nearest: if none fits, the nearest one and the number of tensors that differ.
    """

    file: str
    format: str
    key: str
    tensors: int
    numbers: int
    dtypes: dict[str, int]
    largest: dict[str, tuple[int, ...]]
    problems: list[str]
    framework: str = ""
    wrapper: str = ""
    parts: dict[str, int] = dataclasses.field(default_factory=dict)
    ignored: dict[str, int] = dataclasses.field(default_factory=dict)
    identities: int | None = None
    fits: list[str] = dataclasses.field(default_factory=list)
    nearest: str = ""

    def to_table(self) -> str:
        """Format the summary for people."""
        rows = [
            ("file", f"{self.file} ({self.format}{f', key {self.key!r}' if self.key else ''})"),
            ("tensors", f"{self.tensors:,} with {self.numbers:,} numbers; {_counts(self.dtypes)}"),
            ("largest", "\n".join(f"{name} {shape}" for name, shape in self.largest.items())),
            ("framework", self.framework or "unknown"),
            ("prefix", self.wrapper or "none"),
            ("parts", _counts(self.parts) or "none"),
            (
                "identities",
                "no classifier" if self.identities is None else f"{self.identities:,}",
            ),
            ("ignored", _counts(self.ignored) or "none"),
            ("fits", ", ".join(self.fits) or f"no backbone{self.nearest and '; ' + self.nearest}"),
            ("problems", "\n".join(self.problems) or "none"),
        ]
        return tabulate.tabulate(rows, tablefmt="plain")


def inspect_weights(path: str | pathlib.Path) -> Inspection:
    """Read a file and summarise it, without running any code in it.

    Raises:
        WeightsError: for a file that cannot be read, or a PyTorch file with more than tensors.
    """
    file = read_weights(pathlib.Path(path))
    tensors = file.tensors
    largest = sorted(tensors, key=lambda name: -tensors[name].size)[:LARGEST]
    found = Inspection(
        file=file.path.name,
        format=file.format,
        key=file.key,
        tensors=len(tensors),
        numbers=sum(tensor.size for tensor in tensors.values()),
        dtypes=dict(collections.Counter(str(tensor.dtype) for tensor in tensors.values())),
        largest={name: tensors[name].shape for name in largest},
        problems=_problems(tensors),
    )
    try:
        return _with_names(found, convert_state_dict(tensors, WEIGHT_MAPS))
    except WeightsError as error:
        return dataclasses.replace(found, problems=[*found.problems, str(error)])


def _with_names(found: Inspection, converted: ConvertedStateDict) -> Inspection:
    """Add the facts that the names of the tensors tell."""
    tensors = converted.tensors
    fits = fitting_backbones(tensors)
    nearest = ""
    if not fits:
        name, differences = nearest_backbone(tensors)
        nearest = f"the nearest is {name}, from which {differences} tensors differ"
    return dataclasses.replace(
        found,
        framework=converted.framework,
        wrapper=converted.wrapper,
        parts=dict(collections.Counter(name.split(".")[0] for name in tensors)),
        ignored=dict(collections.Counter(converted.ignored.values())),
        identities=num_identities(tensors),
        fits=fits,
        nearest=nearest,
    )


def _problems(tensors: dict[str, np.ndarray]) -> list[str]:
    names = [
        name
        for name, tensor in tensors.items()
        if tensor.dtype in FLOATS and not np.isfinite(tensor).all()
    ]
    return [f"{len(names)} tensors are not finite: {', '.join(names[:LARGEST])}"] if names else []


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{number:,} {name}" for name, number in counts.items())
