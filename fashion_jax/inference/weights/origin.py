"""Which file a run's weights came from, for its model card."""

import dataclasses
import hashlib
import pathlib

from fashion_jax.config import ModelConfig
from fashion_jax.inference.weights.files import WeightsFileError
from fashion_jax.inference.weights.pretrained import resolve


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
        PretrainedWeightsError: no package has weights for the backbone.
        WeightsFileError: there is no such file.
    """
    if config.pretrained == "none":
        return WeightsOrigin()
    return file_origin(resolve(config))


def file_origin(path: pathlib.Path) -> WeightsOrigin:
    """Returns a file's name and checksum.

    Raises:
        WeightsFileError: there is no such file.
    """
    if not path.is_file():
        raise WeightsFileError(f"there is no file {path}")
    with path.open("rb") as file:
        return WeightsOrigin(path.name, hashlib.file_digest(file, "sha256").hexdigest())
