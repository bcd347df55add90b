"""`fashion-jax export`: writes a model for other programs, and checks that it embeds the same."""

import dataclasses
import json
import pathlib
import shutil
import tempfile
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8

from fashion_jax.errors import FashionJaxError
from fashion_jax.inference.embed import embedding_function
from fashion_jax.inference.export.parity import Embed, Parity, check_parity
from fashion_jax.inference.export.safetensors import write_safetensors
from fashion_jax.inference.export.stablehlo import write_stablehlo
from fashion_jax.inference.export.stored import CARD
from fashion_jax.inference.model import EmbeddingModel, load_model

FORMATS = ("stablehlo", "safetensors")
NO_ONNX = (
    "--format onnx is not offered: jax2onnx, the maintained converter, does not convert "
    "ResNets with a free number of photos; docs/export.md says what was tried. Use stablehlo"
)


@dataclasses.dataclass(frozen=True)
class Export:
    """An exported model.

    Attributes:
        directory: folder that was written.
        format: one of `FORMATS`.
        parity: comparison of its embeddings with the model's.
    """

    directory: str
    format: str
    parity: Parity

    def to_table(self) -> str:
        """One line for people."""
        return (
            f"wrote {self.directory}; embeddings of {self.parity.photos} photos differ from the "
            f"model's by at most {self.parity.largest_difference:.2g} (smallest cosine "
            f"{self.parity.smallest_cosine:.7f})"
        )


def export(
    workdir: str | pathlib.Path, format: str, output: str | pathlib.Path | None = None
) -> Export:
    """Export a run's best model; the folder is complete or absent.

    It holds the model, `model_card.json`, `parity.json` and `usage.py`.

    Args:
        workdir: directory of the run.
        format: one of `FORMATS`.
        output: folder to write; by default `export/FORMAT` in the workdir.

    Raises:
        ParityError: the export does not embed like the model; nothing is kept.
        FashionJaxError: `workdir` holds no run, or the folder exists already.
    """
    if format == "onnx":
        raise FashionJaxError(NO_ONNX)
    if format not in FORMATS:
        raise FashionJaxError(f"--format is {format!r}; it has to be one of {', '.join(FORMATS)}")
    folder = pathlib.Path(output) if output else pathlib.Path(workdir) / "export" / format
    if folder.exists():
        raise FashionJaxError(f"{folder.resolve()} exists already; give another --output")
    model = load_model(workdir)
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = pathlib.Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        parity = _write(model, format, unfinished)
        unfinished.chmod(0o755)
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return Export(str(folder), format, parity)


def _write(model: EmbeddingModel, format: str, folder: pathlib.Path) -> Parity:
    # On one device: the user of the export may have only one.
    variables = jax.tree.map(jnp.asarray, jax.device_get(model.variables))
    embed = embedding_function(model.config.model, model.card.preprocessing)

    def call(photos: UInt8[Array, "batch height width 3"]) -> Float[Array, "batch features"]:
        return embed(variables, photos)

    writers: dict[str, Callable[[], Embed]] = {
        "stablehlo": lambda: write_stablehlo(call, model.card, folder),
        "safetensors": lambda: write_safetensors(model, folder),
    }
    exported = writers[format]()
    parity = check_parity(jax.jit(call), exported, model.card)
    (folder / CARD).write_text(json.dumps(model.card.to_dict(), indent=2) + "\n")
    report = {
        "format": format,
        **dataclasses.asdict(parity),
        "platform": jax.default_backend(),
        "jax": jax.__version__,
    }
    (folder / "parity.json").write_text(json.dumps(report, indent=2) + "\n")
    return parity
