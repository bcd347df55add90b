"""Published weights for an embedder's backbone."""

import logging
import pathlib
from collections.abc import Mapping

from fashion_jax.config import ModelConfig
from fashion_jax.inference.weights import WeightsError
from fashion_jax.inference.weights.files import read_state_dict
from fashion_jax.inference.weights.fill import fill_network
from fashion_jax.inference.weights.weight_map import ConvertedStateDict
from fashion_jax.models.backbones import backbone_spec
from fashion_jax.models.embedder import Embedder

logger = logging.getLogger(__name__)

BACKBONE = "backbone."
# Settings of a backbone that change its features, but not the shapes of its weights.
_QUIRKS = ("stem_relu", "stem_pool", "stride_in_1x1")


def load_pretrained(embedder: Embedder, config: ModelConfig) -> None:
    """Load the weights that the config names into the embedder's backbone, in place.

    `config.pretrained` is `none` (keep the initial weights), `package` (those in the backbone's
    Python package) or the path of a file of any framework in docs/weights.md. Neck and classifier
    of a whole model are left out: they belong to other identities. A warning names the settings in
    which the file's network differs from the config's.

    Raises:
        WeightsError: for weights that are missing, cannot be read, have unknown names or do not
            fit the backbone.
    """
    if config.pretrained == "none":
        return
    path = pretrained_path(config)
    converted = read_state_dict(path)
    tensors = {
        name.removeprefix(BACKBONE): tensor
        for name, tensor in converted.tensors.items()
        if name.startswith(BACKBONE)
    }
    fill_network(embedder.backbone, tensors, str(path))
    logger.info("%s: %s", path.name, _summary(converted))
    _warn_of_quirks(converted.weight_map.settings(config.backbone), config, path.name)


def pretrained_path(config: ModelConfig) -> pathlib.Path:
    """Return the path of the weights that `config.pretrained` names.

    Raises:
        WeightsError: for `package` and a backbone without packaged weights.
    """
    if config.pretrained != "package":
        return pathlib.Path(config.pretrained).expanduser().resolve()
    package_weights = backbone_spec(config.backbone).package_weights
    if package_weights is None:
        raise WeightsError(
            f"model.pretrained is 'package', but no Python package has weights for "
            f"{config.backbone}; set it to the path of a file (see docs/weights.md), or to 'none'"
        )
    return pathlib.Path(package_weights())


def _warn_of_quirks(settings: Mapping[str, object], config: ModelConfig, file: str) -> None:
    others = [
        f"model.{name}={settings[name]}"
        for name in _QUIRKS
        if name in settings and settings[name] != getattr(config, name)
    ]
    if others:
        logger.warning(
            "%s: its network was trained with %s; without, the same weights give other features",
            file,
            ", ".join(others),
        )


def _summary(converted: ConvertedStateDict) -> str:
    """Name the framework, the number of tensors used, and those left out."""
    used = sum(target.startswith(BACKBONE) for target in converted.tensors)
    others = sorted(
        source
        for target, sources in converted.sources.items()
        if not target.startswith(BACKBONE)
        for source in sources
    )
    return (
        f"weights of {converted.framework}; {used} tensors of the backbone, "
        f"{len(converted.ignored)} ignored by rule"
        + (f", left out: {', '.join(others)}" if others else "")
    )
