"""Vision Transformers by name."""

from fashion_jax.models.backbones.spec import BackboneSpec
from fashion_jax.models.backbones.vit import ViT, ViTVariant

# Width, depth and heads (arXiv:2010.11929, table 1; S: arXiv:2012.12877).
_SIZES = {"s": (384, 12, 6), "b": (768, 12, 12), "l": (1024, 24, 16)}

# Inception's scaling of pixels, with which timm's plain ones were trained.
_HALF = (127.5, 127.5, 127.5)
_CLIP_MEAN = (0.48145466 * 255, 0.4578275 * 255, 0.40821073 * 255)
_CLIP_STD = (0.26862954 * 255, 0.26130258 * 255, 0.27577711 * 255)

_PLAIN_SIDE, _DINOV2_SIDE = 224, 518


def _plain(size: str, patch: int) -> BackboneSpec:
    variant = ViTVariant(patch, *_SIZES[size], grid=_PLAIN_SIDE // patch)
    return BackboneSpec(
        ViT, variant, "2010.11929", (_PLAIN_SIDE, _PLAIN_SIDE), mean=_HALF, std=_HALF
    )


def _dinov2(size: str, registers: int) -> BackboneSpec:
    patch = 14
    variant = ViTVariant(
        patch,
        *_SIZES[size],
        grid=_DINOV2_SIDE // patch,
        registers=registers,
        layer_scale=True,
        # DINOv2's own code resamples in these two ways.
        antialias=registers > 0,
        offset=0.0 if registers else 0.1,
    )
    paper = "2309.16588" if registers else "2304.07193"
    return BackboneSpec(ViT, variant, paper, (_DINOV2_SIDE, _DINOV2_SIDE))


def _clip(size: str, patch: int) -> BackboneSpec:
    variant = ViTVariant(
        patch,
        *_SIZES[size],
        grid=_PLAIN_SIDE // patch,
        quick_gelu=True,
        pre_norm=True,
        patch_bias=False,
        epsilon=1e-5,
        antialias=False,
    )
    return BackboneSpec(
        ViT, variant, "2103.00020", (_PLAIN_SIDE, _PLAIN_SIDE), mean=_CLIP_MEAN, std=_CLIP_STD
    )


SPECS = {
    **{f"vit_{size}{patch}": _plain(size, patch) for size in _SIZES for patch in (14, 16)},
    **{f"dinov2_vit_{size}14": _dinov2(size, 0) for size in _SIZES},
    **{f"dinov2_vit_{size}14_reg4": _dinov2(size, 4) for size in _SIZES},
    "clip_vit_b16": _clip("b", 16),
    "clip_vit_l14": _clip("l", 14),
}
