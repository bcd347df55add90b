"""StableHLO by `jax.export`: for programs with JAX but without fashion-jax."""

import pathlib

import jax
import numpy as np
from jax import export

from fashion_jax.inference.card import ModelCard
from fashion_jax.inference.export.parity import Embed
from fashion_jax.inference.export.stored import STABLEHLO

PLATFORMS = ("cpu", "cuda", "tpu")

USAGE = """\
from jax import export   # JAX, with flatbuffers
import numpy as np

with open("model.stablehlo", "rb") as file:
    model = export.deserialize(bytearray(file.read()))
photos = np.zeros((2, {height}, {width}, 3), np.uint8)   # any number of photos of this size
embeddings = model.call(photos)                          # float32, length 1: compare by dot product
"""


def write_stablehlo(embed: Embed, card: ModelCard, folder: pathlib.Path) -> Embed:
    """Write a function of photos with its weights; the number of photos is free.

    Returns:
        The function that the file holds.
    """
    height, width = card.image_height, card.image_width
    (batch,) = export.symbolic_shape("batch")
    photos = jax.ShapeDtypeStruct((batch, height, width, 3), np.uint8)
    exported = export.export(jax.jit(embed), platforms=PLATFORMS)(photos)
    path = folder / STABLEHLO
    path.write_bytes(exported.serialize())
    (folder / "usage.py").write_text(USAGE.format(height=height, width=width))
    return export.deserialize(bytearray(path.read_bytes())).call
