"""Compares the feature maps of our networks with those of timm for the same weights.

    pip install torch torchvision timm
    python benchmarks/parity_with_timm.py

Weights and BatchNorm's statistics are drawn at random, written as safetensors under timm's names,
and read by the code that reads a user's weights. Prints the largest difference of any number,
divided by the largest number.
"""

import pathlib
import tempfile

import jax.numpy as jnp
import numpy as np
import timm
import torch
from flax import nnx
from safetensors.torch import save_file

from fashion_jax.config import ModelConfig
from fashion_jax.inference.weights.pretrained import load_pretrained
from fashion_jax.models.embedder import Embedder

# timm's name, ours, height and width.
NETWORKS = (
    ("resnet34", "resnet34", 96, 64),
    ("resnet101", "resnet101", 96, 64),
    ("seresnet50", "se_resnet50", 96, 64),
    ("seresnext50_32x4d", "se_resnext50_32x4d", 96, 64),
    ("tf_efficientnet_lite1", "efficientnet_lite1", 96, 64),
    ("tf_efficientnet_lite2", "efficientnet_lite2", 96, 64),
    ("vit_small_patch16_224", "vit_s16", 224, 224),
    ("vit_small_patch14_dinov2", "dinov2_vit_s14", 518, 518),
    ("vit_small_patch14_reg4_dinov2", "dinov2_vit_s14_reg4", 518, 518),
    ("vit_base_patch16_clip_quickgelu_224", "clip_vit_b16", 224, 224),
)


def main() -> None:
    """Compare all networks."""
    for theirs, ours, height, width in NETWORKS:
        torch.manual_seed(0)
        model = redrawn(timm.create_model(theirs, pretrained=False).eval())
        photos = torch.randn(2, 3, height, width)
        with torch.inference_mode():
            expected = model.forward_features(photos)
        found = our_features(model, ours, photos.permute(0, 2, 3, 1).numpy())
        difference = compare(expected, found, getattr(model, "num_prefix_tokens", 0))
        print(f"{theirs} and {ours}: {difference:.1e}", flush=True)


def redrawn(model: torch.nn.Module) -> torch.nn.Module:
    """Draws what starts at 0 or 1."""
    with torch.no_grad():
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_(0, 0.1)
            elif name.endswith("running_var"):
                buffer.uniform_(0.7, 1.3)
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
            elif parameter.ndim == 3:  # tokens and places
                parameter.normal_(0, 0.3)
    return model


def our_features(model: torch.nn.Module, backbone: str, photos: np.ndarray) -> object:
    """Write the weights, read them, and embed."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "weights.safetensors"
        save_file({name: part.contiguous() for name, part in model.state_dict().items()}, path)
        config = ModelConfig(backbone=backbone, pretrained=str(path), last_stride=2)
        embedder = Embedder(config, None, nnx.Rngs(0))
        load_pretrained(embedder, config)
    embed = nnx.jit(lambda backbone, photos: backbone(photos, False))
    return embed(embedder.backbone, jnp.asarray(photos))


def compare(expected: torch.Tensor, found: object, prefix: int) -> float:
    """Return the largest relative difference; of a transformer, registers are left out."""
    positions = np.asarray(found.positions)
    if expected.ndim == 4:
        theirs, ours = expected.permute(0, 2, 3, 1).numpy(), positions
    else:
        tokens = expected.numpy()
        theirs = np.concatenate([tokens[:, :1], tokens[:, prefix:]], 1)
        flat = positions.reshape(len(positions), -1, positions.shape[-1])
        ours = np.concatenate([np.asarray(found.token)[:, None], flat], 1)
    return float(np.abs(theirs - ours).max() / np.abs(theirs).max())


if __name__ == "__main__":
    main()
