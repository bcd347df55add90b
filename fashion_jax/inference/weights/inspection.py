"""What a file of weights holds, and which network fits it."""

import collections
import dataclasses
import pathlib

import numpy as np
import tabulate

from fashion_jax.errors import FashionJaxError
from fashion_jax.inference.weights.files import read_weights
from fashion_jax.inference.weights.fill import FLOATS
from fashion_jax.inference.weights.matching import fitting_backbones, nearest_backbone
from fashion_jax.inference.weights.weight_map import ConvertedStateDict, convert_state_dict
from fashion_jax.inference.weights.weight_maps import WEIGHT_MAPS
from fashion_jax.inference.weights.whole_model import num_identities

LARGEST = 5


@dataclasses.dataclass(frozen=True)
class Inspection:
    """What was found.

    Attributes:
        file: its name.
        format: `safetensors` or `PyTorch`.
        key: under which the tensors lay; empty for a state dict alone.
        tensors: how many there are.
        numbers: how many numbers they hold together.
        dtypes: tensors of each kind.
        largest: names and shapes of the largest tensors.
        problems: what would keep the weights from being loaded.
        framework: the framework; empty where it is not known.
        wrapper: what stands before all names.
        parts: tensors of backbone, pool, bottleneck and classifier.
        ignored: tensors that are ignored, by reason.
        identities: that the classifier tells apart.
        fits: our backbones that the tensors fill one to one.
        nearest: where none fits, the nearest and how many tensors disagree.
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
        """For people."""
        rows = [
            ("file", f"{self.file} ({self.format}{f', key {self.key!r}' if self.key else ''})"),
            ("tensors", f"{self.tensors:,} with {self.numbers:,} numbers; {_counts(self.dtypes)}"),
            ("largest", "\n".join(f"{name} {shape}" for name, shape in self.largest.items())),
            ("names of", self.framework or "no framework that is known"),
            ("before all names", self.wrapper or "nothing"),
            ("parts", _counts(self.parts) or "none"),
            ("identities", "no classifier" if self.identities is None else f"{self.identities:,}"),
            ("ignored", _counts(self.ignored) or "nothing"),
            ("fits", ", ".join(self.fits) or f"no backbone{self.nearest and '; ' + self.nearest}"),
            ("problems", "\n".join(self.problems) or "none"),
        ]
        return tabulate.tabulate(rows, tablefmt="plain")


def inspect_weights(path: str | pathlib.Path) -> Inspection:
    """Reads a file and says what is in it; nothing in it is run.

    Raises:
        WeightsFileError: it cannot be read.
        TorchFileError: a PyTorch file is broken, or holds more than tensors.
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
        translation = convert_state_dict(tensors, WEIGHT_MAPS)
    except FashionJaxError as error:
        return dataclasses.replace(found, problems=[*found.problems, str(error)])
    return _with_translation(found, translation)


def _with_translation(found: Inspection, translation: ConvertedStateDict) -> Inspection:
    tensors = translation.tensors
    fits = fitting_backbones(tensors)
    nearest = ""
    if not fits:
        name, differences = nearest_backbone(tensors)
        nearest = f"the nearest is {name}, with which {differences} tensors disagree"
    return dataclasses.replace(
        found,
        framework=translation.framework,
        wrapper=translation.wrapper,
        parts=dict(collections.Counter(name.split(".")[0] for name in tensors)),
        ignored=dict(collections.Counter(translation.ignored.values())),
        identities=num_identities(tensors),
        fits=fits,
        nearest=nearest,
    )


def _problems(tensors: dict[str, np.ndarray]) -> list[str]:
    wild = [
        name
        for name, tensor in tensors.items()
        if tensor.dtype in FLOATS and not np.isfinite(tensor).all()
    ]
    return [f"{len(wild)} tensors are not finite: {', '.join(wild[:LARGEST])}"] if wild else []


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{number:,} {name}" for name, number in counts.items())
