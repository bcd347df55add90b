"""StableHLO by `jax.export`: for programs that have JAX and nothing of ours."""

import pathlib

import jax
import numpy as np
from jax import export

from fashion_jax.inference.export.embed_function import EmbedFunction
from fashion_jax.inference.export.parity import Embed

FILE = "model.stablehlo"
PLATFORMS = ("cpu", "cuda", "tpu")

USAGE = """\
from jax import export   # JAX, with flatbuffers
import numpy as np

with open("model.stablehlo", "rb") as file:
    model = export.deserialize(bytearray(file.read()))
photos = np.zeros((2, {height}, {width}, 3), np.uint8)   # any number of photos of this size
embeddings = model.call(photos)                          # float32, length 1: compare by dot product
"""


def write_stablehlo(function: EmbedFunction, folder: pathlib.Path) -> Embed:
    """Writes the model with its weights; the number of photos is free.

    Returns:
        What reads the file and embeds by it.
    """
    size = function.preprocessing
    (batch,) = export.symbolic_shape("batch")
    photos = jax.ShapeDtypeStruct((batch, size.height, size.width, 3), np.uint8)
    exported = export.export(jax.jit(function.call), platforms=PLATFORMS)(photos)
    path = folder / FILE
    path.write_bytes(exported.serialize())
    (folder / "usage.py").write_text(USAGE.format(height=size.height, width=size.width))
    return export.deserialize(bytearray(path.read_bytes())).call
