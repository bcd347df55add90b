"""The model card: what embeddings must have in common to be compared.

Every checkpoint and every index carries one. What does not match is refused, by name.
"""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from fashion_jax.errors import FashionJaxError

SCHEMA = 1

# Where the weights come from; the weights' hash already says whether they are the same.
_PROVENANCE = ("dataset", "step", "dataset_options", "pretrained", "pretrained_sha256")


class ModelCardError(FashionJaxError):
    """A model card that cannot be read, or two that do not match."""


@dataclasses.dataclass(frozen=True)
class ModelCard:
    """How a photo becomes an embedding, and how two embeddings are compared.

    Attributes:
        backbone: such as `resnet50`.
        last_stride: stride of the backbone's last stage.
        stem_relu: whether a ResNet's stem has its ReLU.
        pooling: such as `average`.
        neck: such as `bnneck`.
        normalisation: of the embedding, such as `l2`.
        metric: such as `cosine`.
        embedding_width: dimensions of an embedding.
        image_height: of a photo as the network sees it, in pixels.
        image_width: see `image_height`.
        pixel_mean: subtracted from red, green and blue, in units of 0..255.
        pixel_std: what they are divided by then.
        weights_hash: of the parameters and statistics; equal for equal weights only.
        dataset: that the weights were trained on; not compared.
        step: of training; not compared.
        dataset_options: what the dataset was built with, such as `box_reading`, by name; empty
            where that is not known; not compared.
        stem_pool: how a ResNet's pooling after the stem begins.
        gem_power: of the pooling `gem`; 3 (its usual value) where it is not used.
        pretrained: name of the file whose weights training started from, without its folder;
            empty where they were drawn at random; not compared.
        pretrained_sha256: of that file; not compared.
    """

    backbone: str
    last_stride: int
    stem_relu: bool
    pooling: str
    neck: str
    normalisation: str
    metric: str
    embedding_width: int
    image_height: int
    image_width: int
    pixel_mean: tuple[float, float, float]
    pixel_std: tuple[float, float, float]
    weights_hash: str
    dataset: str
    step: int
    dataset_options: Mapping[str, str] = dataclasses.field(default_factory=dict)
    stem_pool: str = "padded"
    gem_power: float = 3.0
    pretrained: str = ""
    pretrained_sha256: str = ""

    def difference(self, other: "ModelCard") -> list[str]:
        """Names of the fields in which embeddings of the two models differ."""
        return [
            field.name
            for field in dataclasses.fields(self)
            if field.name not in _PROVENANCE
            and getattr(self, field.name) != getattr(other, field.name)
        ]

    def require_same(
        self, other: "ModelCard", mine: str = "this", others: str = "the other"
    ) -> None:
        """Refuses embeddings that cannot be compared.

        Args:
            other: the card to compare with.
            mine: what this card belongs to, for the message, such as `the catalogue`.
            others: what the other card belongs to, such as `the model`.

        Raises:
            ModelCardError: with each differing field and both its values.
        """
        names = self.difference(other)
        if names:
            lines = [
                f"  {name}: {mine} has {getattr(self, name)!r}, "
                f"{others} has {getattr(other, name)!r}"
                for name in names
            ]
            raise ModelCardError(
                f"embeddings of two different models cannot be compared ({mine}: "
                f"{self._provenance()}; {others}: {other._provenance()}):\n"
                + "\n".join(lines)
                + "\nEmbed both sides with the same model, or build the index again."
            )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, with the version of its schema."""
        return {"schema": SCHEMA, **dataclasses.asdict(self)}

    def to_json(self) -> str:
        """As text; `from_json` reads it."""
        return json.dumps(self.to_dict(), indent=2)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "ModelCard":
        """The inverse of `to_dict`.

        Raises:
            ModelCardError: if the schema is of another version, or fields are missing or unknown.
        """
        if values.get("schema") != SCHEMA:
            raise ModelCardError(
                f"the model card has schema {values.get('schema')!r}; this version of fashion-jax "
                f"reads {SCHEMA}. Write it again, or use the version that wrote it"
            )
        given = {name: value for name, value in values.items() if name != "schema"}
        known = {field.name for field in dataclasses.fields(cls)}
        # Cards of older versions lack what has a default.
        needed = {
            field.name
            for field in dataclasses.fields(cls)
            if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        }
        if not needed <= given.keys() <= known:
            raise ModelCardError(
                f"the model card lacks the fields {sorted(needed - given.keys())} and has the "
                f"unknown fields {sorted(given.keys() - known)}; write it again"
            )
        tuples = {name: tuple(given[name]) for name in ("pixel_mean", "pixel_std")}
        return cls(**{**given, **tuples})

    @classmethod
    def from_json(cls, text: str) -> "ModelCard":
        """The inverse of `to_json`.

        Raises:
            ModelCardError: if the text is not a model card.
        """
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise ModelCardError(f"the model card is not JSON: {error}") from error
        if not isinstance(values, dict):
            raise ModelCardError(f"the model card is a JSON {type(values).__name__}, not an object")
        return cls.from_dict(values)

    def _provenance(self) -> str:
        return f"{self.backbone} trained on {self.dataset}, step {self.step}"
