"""Which file a run's weights came from, for its model card."""

import dataclasses
import hashlib

from fashion_jax.config import ModelConfig
from fashion_jax.models.pretrained import resolve


@dataclasses.dataclass(frozen=True)
class WeightsOrigin:
    """A file of weights; both are empty where weights were drawn at random.

    Attributes:
        name: of the file, without its folder.
        sha256: of its bytes.
    """

    name: str = ""
    sha256: str = ""


def weights_origin(config: ModelConfig) -> WeightsOrigin:
    """Returns what `config.pretrained` is.

    Raises:
        PretrainedWeightsError: there is no such file.
    """
    if config.pretrained == "none":
        return WeightsOrigin()
    path = resolve(config)
    with path.open("rb") as file:
        return WeightsOrigin(path.name, hashlib.file_digest(file, "sha256").hexdigest())
