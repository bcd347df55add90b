"""Origin of a run's initial weights, for its model card."""

import dataclasses
import hashlib
import pathlib

from fashion_jax.config import ModelConfig
from fashion_jax.inference.weights import WeightsError
from fashion_jax.inference.weights.pretrained import pretrained_path


@dataclasses.dataclass(frozen=True)
class WeightsOrigin:
    """A file of weights; both fields are empty for weights drawn at random.

    Attributes:
        name: name of the file, without its folder.
        sha256: SHA-256 of its bytes.
    """

    name: str = ""
    sha256: str = ""


def weights_origin(config: ModelConfig) -> WeightsOrigin:
    """Return the origin of the weights that `config.pretrained` names.

    Raises:
        WeightsError: for a backbone without packaged weights, or a missing file.
    """
    if config.pretrained == "none":
        return WeightsOrigin()
    return file_origin(pretrained_path(config))


def file_origin(path: pathlib.Path) -> WeightsOrigin:
    """Return a file's name and checksum.

    Raises:
        WeightsError: for a missing file.
    """
    if not path.is_file():
        raise WeightsError(f"no file {path}; give the path of a .safetensors or PyTorch file")
    with path.open("rb") as file:
        return WeightsOrigin(path.name, hashlib.file_digest(file, "sha256").hexdigest())
