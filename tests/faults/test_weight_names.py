"""Names and shapes of strangers' tensors: an answer, or an error that names the tensor."""

import ml_dtypes
import numpy as np
import pytest
from flax import nnx

from fashion_jax.inference.weights import WeightsError, matching
from fashion_jax.inference.weights.fill import require_fit
from fashion_jax.inference.weights.inspection import inspect_weights
from fashion_jax.inference.weights.weight_map import convert_state_dict
from fashion_jax.inference.weights.weight_maps import WEIGHT_MAPS
from fashion_jax.inference.weights.whole_model import model_config_of, num_identities
from fashion_jax.models.embedder import Embedder
from fashion_jax.models.numerics import ZeroRngs
from tests.inference.weights.torch_files import Entry, archive_of
from tests.models.backbones.tiny import TINY


def zeros(*shape: int, dtype: object = np.float32) -> np.ndarray:
    return np.zeros(shape, dtype)


OURS = {"backbone.conv1.weight": zeros(2, 2), "classifier.weight": zeros(2, 2)}
DINO = {
    "cls_token": zeros(1, 1, 2),
    "patch_embed.proj.weight": zeros(2),
    "blocks.0.attn.qkv.weight": zeros(2),
}
QUERY = "encoder.layer.0.attention.attention.query.weight"
KEY = QUERY.replace("query", "key")
HUGGING_FACE = {
    "embeddings.cls_token": zeros(1, 1, 2),
    "encoder.layer.0.layer_scale1.lambda1": zeros(2),
}
FAST_REID = {"backbone.conv1.weight": zeros(2), "heads.bottleneck.1.running_mean": zeros(2)}
SQUEEZED = {"base.layer0.conv1.weight": zeros(2, 2), "bottleneck.running_mean": zeros(2)}
MODELS = {
    "a # in a name": OURS | {"backbone.a#x.weight": zeros(2)},
    "a # and a number": OURS | {"backbone.a.weight": zeros(2), "backbone.a.weight#1": zeros(2)},
    "a classifier of one number": OURS | {"classifier.weight": zeros()},
    "a classifier of no columns": OURS | {"classifier.weight": zeros(2**40, 0)},
    "a classifier of three axes": OURS | {"classifier.weight": zeros(2, 2, 2)},
    "a neck of one number": OURS | {"bottleneck.linear.weight": zeros()},
    "a neck of no columns": OURS | {"bottleneck.linear.weight": zeros(2**40, 0)},
    "places of no axes": DINO | {"pos_embed": zeros()},
    "places of one axis": DINO | {"pos_embed": zeros(4)},
    "a reduction of 3x3": FAST_REID | {"heads.bottleneck.0.weight": zeros(2, 2, 3, 3)},
    "a reduction of no axes": FAST_REID | {"heads.bottleneck.0.weight": zeros()},
    "an SE block of no axes": SQUEEZED | {"base.layer2.0.conv2.weight": zeros()},
    "an SE block of an unknown layer": SQUEEZED | {"base.layer2.0.se_module.fc3.weight": zeros(2)},
    "dtypes without a common one": HUGGING_FACE
    | {QUERY: zeros(2, 2, dtype=np.float16), KEY: zeros(2, 2, dtype=ml_dtypes.bfloat16)},
    "parts of other ranks": HUGGING_FACE | {QUERY: zeros(2, 2), KEY: zeros(2)},
    "parts of no axes": HUGGING_FACE | {QUERY: zeros(), KEY: zeros()},
    "only a prefix": {"model.": zeros(2)},
    "only dots": {"..": zeros(2)},
}


def load(tensors: dict[str, np.ndarray]) -> None:
    """Do what a conversion does before it takes memory for the network."""
    converted = convert_state_dict(tensors, WEIGHT_MAPS)
    config = model_config_of(converted, {"backbone": "tiny"})
    classes = num_identities(converted.tensors)
    network = nnx.eval_shape(lambda: Embedder(config, classes, ZeroRngs(0)))
    require_fit(network, converted.tensors, "here")


@pytest.mark.parametrize("case", MODELS)
def test_strange_models_are_refused(case):
    with pytest.raises(WeightsError):
        load(MODELS[case])


def test_a_number_in_a_name_does_not_join_tensors():
    found = convert_state_dict(MODELS["a # and a number"], WEIGHT_MAPS).tensors
    assert found["backbone.a.weight"].shape == (2,)


def test_a_strange_model_is_inspected(tmp_path, monkeypatch):
    monkeypatch.setattr(matching, "BACKBONES", {"tiny": TINY})
    entry = Entry(zeros(1), shape=(), strides=())
    odd = archive_of({"backbone.conv1.weight": entry, "classifier.weight": entry})
    (tmp_path / "a.pth").write_bytes(odd)
    found = inspect_weights(tmp_path / "a.pth")
    assert found.identities is None
    assert "classifier.weight has the shape ()" in found.to_table()
