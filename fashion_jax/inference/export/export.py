"""`fashion-jax export`: writes a model for other programs, and checks that it embeds the same."""

import dataclasses
import json
import pathlib
import shutil
import tempfile

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import safetensors.numpy
from jaxtyping import Array, Float, UInt8

from fashion_jax.addresses import at_addresses
from fashion_jax.errors import FashionJaxError
from fashion_jax.files import writing
from fashion_jax.inference.card import ModelCard
from fashion_jax.inference.embed import embedding_function
from fashion_jax.inference.export.parity import Embed, Parity, check_parity
from fashion_jax.inference.export.stored import CARD, SAFETENSORS, STABLEHLO, read_safetensors
from fashion_jax.inference.model import EmbeddingModel, load_model
from fashion_jax.inference.weights.origin import named_arrays
from fashion_jax.inference.weights.torch_names import to_torch_names
from fashion_jax.similar_names import did_you_mean

FORMATS = ("stablehlo", "safetensors")
PLATFORMS = ("cpu", "cuda", "tpu")
NO_ONNX = (
    "--format onnx is not offered: jax2onnx, the maintained converter, does not convert "
    "ResNets with a free number of photos; docs/export.md says what was tried. Use stablehlo"
)

_STABLEHLO_USAGE = """\
from jax import export   # JAX, with flatbuffers
import numpy as np

with open("model.stablehlo", "rb") as file:
    model = export.deserialize(bytearray(file.read()))
photos = np.zeros((2, {height}, {width}, 3), np.uint8)   # any number of photos of this size
embeddings = model.call(photos)                          # float32, length 1: compare by dot product
"""

_SAFETENSORS_USAGE = """\
from safetensors.torch import load_file

tensors = load_file("model.safetensors")
# The backbone alone, for its reference implementation (BatchNorm's counters are not there):
prefix = "backbone."
backbone = {{name[len(prefix):]: t for name, t in tensors.items() if name.startswith(prefix)}}
# network.load_state_dict(backbone, strict=False)
# Photos: RGB, {height} x {width} pixels, (pixel - {mean}) / {std} with pixels of 0..255.
"""


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


@at_addresses("workdir", "output", must_exist=("workdir",))
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
        hint = did_you_mean(format, FORMATS)
        raise FashionJaxError(
            f"--format is {format!r}; it has to be one of {', '.join(FORMATS)}{hint}"
        )
    folder = pathlib.Path(output) if output else pathlib.Path(workdir) / "export" / format
    if folder.exists():
        raise FashionJaxError(f"{folder.resolve()} exists already; give another --output")
    model = load_model(workdir)
    target = folder.resolve()  # a link may lead to a folder that is missing
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = pathlib.Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        with writing(target):
            parity = _write(model, format, unfinished)
        unfinished.chmod(0o755)
        unfinished.rename(target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return Export(str(folder), format, parity)


def _write(model: EmbeddingModel, format: str, folder: pathlib.Path) -> Parity:
    # On one device: the user of the export may have only one.
    variables = jax.tree.map(jnp.asarray, jax.device_get(model.variables))
    embed = embedding_function(model.config.model, model.card.preprocessing)

    def call(photos: UInt8[Array, "batch height width 3"]) -> Float[Array, "batch features"]:
        return embed(variables, photos)

    if format == "stablehlo":
        exported = write_stablehlo(call, model.card, folder)
    else:
        exported = write_safetensors(model, folder)
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


def write_stablehlo(embed: Embed, card: ModelCard, folder: pathlib.Path) -> Embed:
    """Write a function of photos with its weights; the number of photos is free.

    Returns:
        The function that the file holds.
    """
    height, width = card.image_height, card.image_width
    (batch,) = jax.export.symbolic_shape("batch")
    photos = jax.ShapeDtypeStruct((batch, height, width, 3), np.uint8)
    exported = jax.export.export(jax.jit(embed), platforms=PLATFORMS)(photos)
    path = folder / STABLEHLO
    path.write_bytes(exported.serialize())
    (folder / "usage.py").write_text(_STABLEHLO_USAGE.format(height=height, width=width))
    return jax.export.deserialize(bytearray(path.read_bytes())).call


def write_safetensors(model: EmbeddingModel, folder: pathlib.Path) -> Embed:
    """Write the weights, with the model card in the file's metadata.

    Returns:
        A function that reads the file back and embeds with it.
    """
    arrays = named_arrays(model.variables["params"]) | named_arrays(model.variables["model_state"])
    tensors = to_torch_names(arrays, model.card.backbone)
    path = folder / SAFETENSORS
    card = {"model_card": json.dumps(model.card.to_dict())}
    safetensors.numpy.save_file(tensors, path, metadata=card)
    path.chmod(0o644)  # the library keeps it to the user alone
    preprocessing = dataclasses.asdict(model.card.preprocessing)
    (folder / "usage.py").write_text(_SAFETENSORS_USAGE.format(**preprocessing))
    variables = read_safetensors(path, model.card)
    embed = embedding_function(model.config.model, model.card.preprocessing)
    return jax.jit(lambda photos: embed(variables, photos))
