"""Loads published weights into an embedder's backbone."""

import logging
import pathlib

from fashion_jax.config import ModelConfig
from fashion_jax.inference.weights.files import read_weights
from fashion_jax.inference.weights.fill import PretrainedWeightsError, fill
from fashion_jax.inference.weights.weight_map import ConvertedStateDict, convert_state_dict
from fashion_jax.inference.weights.weight_maps import WEIGHT_MAPS
from fashion_jax.models.backbones import backbone_spec
from fashion_jax.models.embedder import Embedder

logger = logging.getLogger(__name__)

BACKBONE = "backbone."


def load_pretrained(embedder: Embedder, config: ModelConfig) -> None:
    """Fills the embedder's backbone with the weights that the config asks for, in place.

    `config.pretrained` is `none` (leave it as it is), `package` (the backbone's Python package)
    or the path of a file of any framework in docs/weights.md. Neck and classifier of a whole
    model are left out: they belong to other identities.

    Raises:
        PretrainedWeightsError: there are no such weights, or they do not fit.
        WeightMapError: the names of its tensors belong to no framework that is known.
        WeightsFileError: the file cannot be read.
        TorchFileError: a PyTorch file is broken, or holds more than tensors.
    """
    if config.pretrained == "none":
        return
    path = resolve(config)
    translation = convert_state_dict(read_weights(path).tensors, WEIGHT_MAPS)
    tensors = {
        name.removeprefix(BACKBONE): tensor
        for name, tensor in translation.tensors.items()
        if name.startswith(BACKBONE)
    }
    fill(embedder.backbone, tensors, str(path))
    logger.info("%s", describe(translation, path.name))


def describe(translation: ConvertedStateDict, name: str) -> str:
    """One line: whose names, how many tensors go where, and what is left out."""
    used = [target for target in translation.tensors if target.startswith(BACKBONE)]
    others = sorted(
        source
        for target, sources in translation.sources.items()
        if not target.startswith(BACKBONE)
        for source in sources
    )
    left = len(translation.ignored)
    return (
        f"{name}: names of {translation.framework}; {len(used)} tensors of the backbone, "
        f"{left} ignored by rule" + (f", left out: {', '.join(others)}" if others else "")
    )


def resolve(config: ModelConfig) -> pathlib.Path:
    """Returns the path of the weights that `config.pretrained` names.

    Raises:
        PretrainedWeightsError: no package has weights for this backbone.
    """
    if config.pretrained != "package":
        return pathlib.Path(config.pretrained).expanduser().resolve()
    package_weights = backbone_spec(config.backbone).package_weights
    if package_weights is None:
        raise PretrainedWeightsError(
            f"no Python package has weights for {config.backbone}; set model.pretrained to the "
            "path of a file (see docs/weights.md), or to 'none'"
        )
    return pathlib.Path(package_weights())
