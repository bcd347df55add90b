"""The model card: the facts that embeddings must share to be comparable.

Every checkpoint, export and index carries one. A mismatch is refused, by name.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import msgspec

from fashion_jax.config import ExperimentConfig, ModelConfig
from fashion_jax.errors import FashionJaxError
from fashion_jax.files import StorageError, check_values, parse_json
from fashion_jax.inference.preprocessing import Preprocessing, preprocessing_for
from fashion_jax.inference.weights.origin import WeightsOrigin, weights_hash
from fashion_jax.similar_names import reprs

SCHEMA = 3

# Where the weights come from; the weights' hash already says whether they are the same. Embeddings
# computed in bfloat16 are comparable with those computed in float32.
_NOT_COMPARED = (
    "schema",
    "dataset",
    "step",
    "dataset_options",
    "pretrained",
    "pretrained_sha256",
    "compute_dtype",
)


class ModelCardError(FashionJaxError):
    """A model card that cannot be read, or two that do not match."""


@dataclasses.dataclass(frozen=True)
class ModelCard:
    """Description of a model: from a photo to an embedding, and the comparison of two.

    Attributes:
        backbone: name such as `resnet50`.
        last_stride: stride of the backbone's last stage.
        stem_relu: whether a ResNet's stem has its ReLU.
        stem_pool: padding of a ResNet's pooling after the stem.
        pooling: name such as `average`.
        gem_power: power of the pooling `gem`; 3 (its usual value) for the others.
        neck: name such as `bnneck`.
        normalisation: normalisation of the embedding, such as `l2`.
        metric: similarity of two embeddings, such as `cosine`.
        embedding_width: dimensions of an embedding.
        image_height: height of the network's input, in pixels.
        image_width: width of the network's input, in pixels.
        pixel_mean: subtracted from red, green and blue, in units of 0..255.
        pixel_std: divisor of the channels after that, in units of 0..255.
        weights_hash: SHA-256 of the parameters and statistics.
        dataset: dataset that the weights were trained on; not compared.
        step: training step; not compared.
        stride_in_1x1: whether a ResNet's bottlenecks stride in their first 1x1 convolution.
        dataset_options: options that the dataset was built with, by name; not compared.
        train_sha256: SHA-256 of the content of the training data, see
            `fashion_jax.datasets.trained_on`; empty where it is unknown, or there was none.
        pretrained: name of the file of weights that training started from, without its folder;
            empty for random weights; not compared.
        pretrained_sha256: SHA-256 of that file; not compared.
        compute_dtype: dtype that the network computes in; not compared.
        schema: version of these fields.
    """

    backbone: str
    last_stride: int
    stem_relu: bool
    stem_pool: str
    pooling: str
    gem_power: float
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
    stride_in_1x1: bool = False
    dataset_options: Mapping[str, str] = dataclasses.field(default_factory=dict)
    train_sha256: str = ""
    pretrained: str = ""
    pretrained_sha256: str = ""
    compute_dtype: str = "float32"
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise _other_version(self.schema)

    @property
    def preprocessing(self) -> Preprocessing:
        """Size and pixel scale of the network's input."""
        return Preprocessing(self.image_height, self.image_width, self.pixel_mean, self.pixel_std)

    @property
    def model_config(self) -> ModelConfig:
        """The network that the card describes, without its weights."""
        shared = {field.name for field in dataclasses.fields(ModelConfig)}
        shared &= {field.name for field in dataclasses.fields(self)}
        # `embedding_width` sets the width of linear necks alone, `pretrained` names first weights.
        shared -= {"embedding_width", "pretrained"}
        values = {name: getattr(self, name) for name in shared}
        if self.neck.startswith("linear"):
            values["embedding_width"] = self.embedding_width
        return msgspec.convert(values, ModelConfig)

    def difference(self, other: "ModelCard") -> list[str]:
        """Names of the fields in which embeddings of the two models differ."""
        return [
            field.name
            for field in dataclasses.fields(self)
            if field.name not in _NOT_COMPARED
            and getattr(self, field.name) != getattr(other, field.name)
        ]

    def require_same(
        self, other: "ModelCard", mine: str = "this", others: str = "the other"
    ) -> None:
        """Refuses embeddings that cannot be compared.

        Args:
            other: card to compare with.
            mine: owner of this card, for the message, such as `the catalogue`.
            others: owner of the other card, such as `the model`.

        Raises:
            ModelCardError: with each differing field and both its values.
        """
        names = self.difference(other)
        if names:
            lines = [
                f"  {name}: {mine} has {here}, {others} has {there}"
                for name in names
                for here, there in [reprs(getattr(self, name), getattr(other, name))]
            ]
            raise ModelCardError(
                f"embeddings of two different models cannot be compared ({mine}: "
                f"{self._provenance()}; {others}: {other._provenance()}):\n"
                + "\n".join(lines)
                + "\nEmbed both sides with the same model, or build the index again."
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; `read_card` is the inverse."""
        return dataclasses.asdict(self)

    def _provenance(self) -> str:
        return f"{self.backbone} trained on {self.dataset}, step {self.step}"


def read_card(values: Any, where: str = "the model card") -> ModelCard:
    """Check the plain values of a card.

    Args:
        values: as `ModelCard.to_dict` returns them, or JSON text of them.
        where: place of the card, for messages.

    Raises:
        ModelCardError: not a card, a card of another version, or fields that are missing, unknown
            or of the wrong type.
    """
    try:
        if isinstance(values, str | bytes):
            values = parse_json(values, object, None, where)
        if not isinstance(values, Mapping):
            raise ModelCardError(f"{where} is a {type(values).__name__}, not an object")
        if values.get("schema") != SCHEMA:  # another version has other fields: said first
            raise _other_version(values.get("schema"), where)
        return check_values(values, ModelCard, where)
    except StorageError as error:
        raise ModelCardError(str(error)) from error


def make_card(
    config: ExperimentConfig,
    embedding_width: int,
    variables: Mapping[str, Any],
    *,
    dataset: str,
    step: int = 0,
    dataset_options: Mapping[str, str] | None = None,
    train_sha256: str = "",
    origin: WeightsOrigin | None = None,
) -> ModelCard:
    """Describe a model.

    Args:
        config: its network and preprocessing.
        embedding_width: dimensions of an embedding.
        variables: `params` and `model_state`, without classifier.
        dataset: name and version of the training data.
        step: training step.
        dataset_options: options that the dataset was built with.
        train_sha256: SHA-256 of the content of the training data; by default unknown.
        origin: file of the first weights; by default random weights.
    """
    origin = origin or WeightsOrigin()
    return ModelCard(
        **_described(config),
        embedding_width=embedding_width,
        weights_hash=weights_hash(variables["params"], variables["model_state"]),
        dataset=dataset,
        step=step,
        dataset_options=dict(dataset_options or {}),
        train_sha256=train_sha256,
        pretrained=origin.name,
        pretrained_sha256=origin.sha256,
    )


def require_config(card: ModelCard, config: ExperimentConfig, where: str) -> None:
    """Refuses a config that describes another model than the card next to it.

    Args:
        card: stored with the weights.
        config: stored in the same workdir.
        where: the workdir, for the message.

    Raises:
        ModelCardError: with each differing field and both its values.
    """
    lines = [
        f"  {name}: the checkpoint has {stored}, the config {configured}"
        for name, value in _described(config).items()
        if getattr(card, name) != value
        for stored, configured in [reprs(getattr(card, name), value)]
    ]
    if lines:
        raise ModelCardError(
            f"the config in {where} is not that of its checkpoint:\n"
            + "\n".join(lines)
            + "\nRestore the config, or use another workdir."
        )


def require_train_sha256(card: ModelCard, train_sha256: str, where: str, mend: str = "") -> None:
    """Refuses a description of other training data than the card's.

    Args:
        card: stored with the weights.
        train_sha256: SHA-256 in the description.
        where: the description, for the message.
        mend: what to do about it, for the message.

    Raises:
        ModelCardError: with both SHA-256.
    """
    if card.train_sha256 != train_sha256:
        raise ModelCardError(
            f"{where} does not describe what the checkpoint of step {card.step} was trained on: "
            f"its train_sha256 is {train_sha256!r}, the model card's {card.train_sha256!r}{mend}"
        )


def _other_version(schema: object, where: str = "the model card") -> ModelCardError:
    return ModelCardError(
        f"{where} has schema {schema!r}; this version of fashion-jax reads {SCHEMA}. Write "
        f"it again, or use the version that wrote it"
    )


def _described(config: ExperimentConfig) -> dict[str, Any]:
    """The fields of a card that follow from a config."""
    model, preprocessing = config.model, preprocessing_for(config)
    return {
        "backbone": model.backbone,
        "last_stride": model.last_stride,
        "stem_relu": model.stem_relu,
        "stem_pool": model.stem_pool,
        "stride_in_1x1": model.stride_in_1x1,
        "pooling": model.pooling,
        "gem_power": model.gem_power,
        "neck": model.neck,
        "normalisation": "l2",
        "metric": "cosine",
        "image_height": preprocessing.height,
        "image_width": preprocessing.width,
        "pixel_mean": preprocessing.mean,
        "pixel_std": preprocessing.std,
        "compute_dtype": model.compute_dtype,
    }
