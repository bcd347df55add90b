"""Vision Transformers: DINOv2's own names, timm's, Hugging Face's, and OpenAI's CLIP."""

import math

import numpy as np

from fashion_jax.inference.weights.weight_map import Rule, WeightMap, ignore

_TOKEN = {"neck": "none", "pooling": "token"}
_MASK = ignore(r"(?:.*\.)?mask_token", "token of masked training")
_TEXT = "text tower"
_PROJECTION = "projection into the joint space of images and texts"


def _with_two_axes_in_front(tensor: np.ndarray) -> np.ndarray:
    return tensor.reshape(1, 1, *tensor.shape)


def _with_an_axis_in_front(tensor: np.ndarray) -> np.ndarray:
    return tensor[None]


def _with_token_position(places: np.ndarray) -> np.ndarray:
    """Add a position of 0 for the class token, if timm has added it to the token itself."""
    count = places.shape[1]  # a square number without the class token's position
    if math.isqrt(count) ** 2 != count:
        return places
    return np.concatenate([np.zeros_like(places[:, :1]), places], 1)


# DINOv2's own code and timm share all names but that of the registers.
DINOV2_OR_TIMM = WeightMap(
    "DINOv2 or timm",
    (r"cls_token", r"patch_embed\.proj\.weight", r"blocks\.0\.attn\.qkv\.weight"),
    (
        _MASK,
        Rule(r"reg(?:ister)?_tokens?", r"backbone.register_tokens"),
        Rule(r"pos_embed", "backbone.pos_embed", transform=_with_token_position),
        Rule(r"head\.(weight|bias)", r"classifier.\1"),
        Rule(r"((?:cls_token|patch_embed|blocks|norm|norm_pre)(?:\..*)?)", r"backbone.\1"),
    ),
    _TOKEN,
)

_HF_LAYER = r"(?:dinov2(?:_with_registers)?\.)?encoder\.layer\.(\d+)\."
_HF_EMBEDDINGS = r"(?:dinov2(?:_with_registers)?\.)?embeddings\."
_BLOCK = r"backbone.blocks.\1."

HF_DINOV2 = WeightMap(
    "Hugging Face's DINOv2",
    (
        rf"{_HF_EMBEDDINGS}cls_token",
        rf"{_HF_LAYER}attention\.attention\.query\.weight",
        rf"{_HF_LAYER}layer_scale1\.lambda1",
    ),
    (
        _MASK,
        ignore(r"classifier\..*", "classifier of class token and patches"),
        Rule(rf"{_HF_EMBEDDINGS}(cls_token|register_tokens)", r"backbone.\1"),
        Rule(rf"{_HF_EMBEDDINGS}position_embeddings", "backbone.pos_embed"),
        Rule(
            rf"{_HF_EMBEDDINGS}patch_embeddings\.projection\.(\w+)", r"backbone.patch_embed.proj.\1"
        ),
        Rule(rf"{_HF_LAYER}attention\.attention\.query\.(\w+)", rf"{_BLOCK}attn.qkv.\2#0"),
        Rule(rf"{_HF_LAYER}attention\.attention\.key\.(\w+)", rf"{_BLOCK}attn.qkv.\2#1"),
        Rule(rf"{_HF_LAYER}attention\.attention\.value\.(\w+)", rf"{_BLOCK}attn.qkv.\2#2"),
        Rule(rf"{_HF_LAYER}attention\.output\.dense\.(\w+)", rf"{_BLOCK}attn.proj.\2"),
        Rule(rf"{_HF_LAYER}layer_scale([12])\.lambda1", rf"{_BLOCK}ls\2.gamma"),
        Rule(rf"{_HF_LAYER}(norm[12]|mlp\.fc[12])\.(\w+)", rf"{_BLOCK}\2.\3"),
        Rule(r"(?:dinov2(?:_with_registers)?\.)?layernorm\.(\w+)", r"backbone.norm.\1"),
    ),
    _TOKEN,
)

_CLIP = r"(?:vision_model\.)?"
_CLIP_LAYER = rf"{_CLIP}encoder\.layers\.(\d+)\."

HF_CLIP = WeightMap(
    "Hugging Face's CLIP",
    (rf"{_CLIP}embeddings\.class_embedding", rf"{_CLIP}pre_layrnorm\.weight"),
    (
        ignore(r"(?:text_model|text_projection)\..*|logit_scale", _TEXT),
        ignore(r"visual_projection\.weight", _PROJECTION),
        ignore(r".*position_ids", "indices of positions"),
        Rule(
            rf"{_CLIP}embeddings\.class_embedding",
            "backbone.cls_token",
            transform=_with_two_axes_in_front,
        ),
        Rule(
            rf"{_CLIP}embeddings\.position_embedding\.weight",
            "backbone.pos_embed",
            transform=_with_an_axis_in_front,
        ),
        Rule(rf"{_CLIP}embeddings\.patch_embedding\.weight", "backbone.patch_embed.proj.weight"),
        Rule(rf"{_CLIP}pre_layrnorm\.(\w+)", r"backbone.norm_pre.\1"),
        Rule(rf"{_CLIP}post_layernorm\.(\w+)", r"backbone.norm.\1"),
        Rule(rf"{_CLIP_LAYER}self_attn\.q_proj\.(\w+)", rf"{_BLOCK}attn.qkv.\2#0"),
        Rule(rf"{_CLIP_LAYER}self_attn\.k_proj\.(\w+)", rf"{_BLOCK}attn.qkv.\2#1"),
        Rule(rf"{_CLIP_LAYER}self_attn\.v_proj\.(\w+)", rf"{_BLOCK}attn.qkv.\2#2"),
        Rule(rf"{_CLIP_LAYER}self_attn\.out_proj\.(\w+)", rf"{_BLOCK}attn.proj.\2"),
        Rule(rf"{_CLIP_LAYER}layer_norm([12])\.(\w+)", rf"{_BLOCK}norm\2.\3"),
        Rule(rf"{_CLIP_LAYER}mlp\.(fc[12])\.(\w+)", rf"{_BLOCK}mlp.\2.\3"),
    ),
    _TOKEN,
)

_OPENAI_LAYER = r"visual\.transformer\.resblocks\.(\d+)\."

OPENAI_CLIP = WeightMap(
    "OpenAI's CLIP",
    (r"visual\.class_embedding", r"visual\.ln_pre\.weight"),
    (
        ignore(
            r"(?:transformer|token_embedding|ln_final)\..*|positional_embedding|text_projection"
            r"|logit_scale|input_resolution|context_length|vocab_size",
            _TEXT,
        ),
        ignore(r"visual\.proj", _PROJECTION),
        Rule(r"visual\.class_embedding", "backbone.cls_token", transform=_with_two_axes_in_front),
        Rule(
            r"visual\.positional_embedding",
            "backbone.pos_embed",
            transform=_with_an_axis_in_front,
        ),
        Rule(r"visual\.conv1\.weight", "backbone.patch_embed.proj.weight"),
        Rule(r"visual\.ln_pre\.(\w+)", r"backbone.norm_pre.\1"),
        Rule(r"visual\.ln_post\.(\w+)", r"backbone.norm.\1"),
        Rule(rf"{_OPENAI_LAYER}attn\.in_proj_(\w+)", rf"{_BLOCK}attn.qkv.\2"),
        Rule(rf"{_OPENAI_LAYER}attn\.out_proj\.(\w+)", rf"{_BLOCK}attn.proj.\2"),
        Rule(rf"{_OPENAI_LAYER}ln_([12])\.(\w+)", rf"{_BLOCK}norm\2.\3"),
        Rule(rf"{_OPENAI_LAYER}mlp\.c_fc\.(\w+)", rf"{_BLOCK}mlp.fc1.\2"),
        Rule(rf"{_OPENAI_LAYER}mlp\.c_proj\.(\w+)", rf"{_BLOCK}mlp.fc2.\2"),
    ),
    _TOKEN,
)

WEIGHT_MAPS = (DINOV2_OR_TIMM, HF_DINOV2, HF_CLIP, OPENAI_CLIP)
