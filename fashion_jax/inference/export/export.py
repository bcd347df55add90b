"""`fashion-jax export`: writes a model for other programs, and checks that it embeds the same."""

import json
import pathlib
import shutil
import tempfile
from typing import Any

import jax

from fashion_jax.errors import FashionJaxError
from fashion_jax.inference.export.embed_function import embed_function
from fashion_jax.inference.export.parity import Embed, Parity, check_parity, embeddings_of
from fashion_jax.inference.export.safetensors import write_safetensors
from fashion_jax.inference.export.stablehlo import write_stablehlo
from fashion_jax.inference.trained_model import TrainedModel, load_trained_model

FORMATS = ("stablehlo", "safetensors")
NO_ONNX = (
    "--format onnx is not offered: jax2onnx, the converter that is kept up, does not convert "
    "ResNets with a free number of photos; docs/export.md says what was tried. Use stablehlo"
)


def export(
    workdir: str | pathlib.Path, format: str, output: str | pathlib.Path | None = None
) -> str:
    """Exports a run's best model; the folder is there whole or not at all.

    It holds the model, `model_card.json`, `parity.json` and `usage.py`.

    Args:
        workdir: of the run.
        format: one of `FORMATS`.
        output: folder to write; by default `export/FORMAT` in the workdir.

    Returns:
        What was written and how it compares with the model, for people.

    Raises:
        ParityError: what was exported does not embed as the model does; nothing is kept.
        FashionJaxError: there is no run, or the folder exists already.
    """
    if format == "onnx":
        raise FashionJaxError(NO_ONNX)
    if format not in FORMATS:
        raise FashionJaxError(f"--format is {format!r}; it has to be one of {', '.join(FORMATS)}")
    folder = pathlib.Path(output) if output else pathlib.Path(workdir) / "export" / format
    if folder.exists():
        raise FashionJaxError(f"{folder.resolve()} exists already; give another --output")
    model = load_trained_model(workdir)
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = pathlib.Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        parity = _write(model, format, unfinished)
        unfinished.chmod(0o755)
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return (
        f"wrote {folder}; embeddings of {parity.photos} photos differ from the model's by at most "
        f"{parity.largest_difference:.2g} (smallest cosine {parity.smallest_cosine:.7f})"
    )


def _write(model: TrainedModel, format: str, folder: pathlib.Path) -> Parity:
    function = embed_function(model)
    writers: dict[str, Any] = {
        "stablehlo": lambda: write_stablehlo(function, folder),
        "safetensors": lambda: write_safetensors(model, folder),
    }
    exported: Embed = writers[format]()
    size = function.preprocessing
    parity = check_parity(
        embeddings_of(jax.jit(function.call)),
        embeddings_of(exported),
        size.height,
        size.width,
        function.compute_dtype,
    )
    (folder / "model_card.json").write_text(model.card.to_json() + "\n")
    report = {
        "format": format,
        **parity.to_json(),
        "platform": jax.default_backend(),
        "jax": jax.__version__,
    }
    (folder / "parity.json").write_text(json.dumps(report, indent=2) + "\n")
    return parity
