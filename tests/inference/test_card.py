import dataclasses
import json

import pytest

from fashion_jax.config import ExperimentConfig, ImageConfig, ModelConfig
from fashion_jax.inference.card import (
    SCHEMA,
    ModelCardError,
    make_card,
    read_card,
    require_config,
    require_train_sha256,
)
from tests.inference.cards import CARD


def text(card):
    return json.dumps(card.to_dict())


def test_json_round_trip():
    assert read_card(text(CARD)) == CARD
    assert read_card(CARD.to_dict()) == CARD
    assert json.loads(text(CARD))["schema"] == SCHEMA


def test_the_same_model_is_accepted():
    assert CARD.difference(CARD) == []
    CARD.require_same(read_card(text(CARD)))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("backbone", "resnet18"),
        ("last_stride", 2),
        ("stem_relu", False),
        ("stride_in_1x1", True),
        ("pooling", "max"),
        ("neck", "none"),
        ("gem_power", 4.0),
        ("normalisation", "none"),
        ("metric", "euclidean"),
        ("embedding_width", 512),
        ("image_height", 320),
        ("image_width", 320),
        ("pixel_mean", (127.0, 127.0, 127.0)),
        ("pixel_std", (128.0, 128.0, 128.0)),
        ("weights_hash", "ffff"),
        ("train_sha256", "ffff"),
    ],
)
def test_each_field_is_refused_by_name_with_both_values(field, value):
    other = dataclasses.replace(CARD, **{field: value})
    assert CARD.difference(other) == [field]
    with pytest.raises(ModelCardError) as error:
        CARD.require_same(other, "the catalogue", "the model")
    expected = f"{field}: the catalogue has {getattr(CARD, field)!r}, the model has {value!r}"
    assert expected in str(error.value)


def test_all_differing_fields_are_named():
    other = dataclasses.replace(CARD, last_stride=2, weights_hash="ffff")
    with pytest.raises(ModelCardError, match=r"(?s)last_stride.*weights_hash"):
        CARD.require_same(other)


def test_where_equal_weights_come_from_does_not_matter():
    CARD.require_same(dataclasses.replace(CARD, dataset="copy", step=0))
    CARD.require_same(dataclasses.replace(CARD, pretrained="a.pth", pretrained_sha256="99"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 1}, f"schema 1; this version of fashion-jax reads {SCHEMA}"),
        ({"schema": 2}, f"schema 2; this version of fashion-jax reads {SCHEMA}"),
        ({"schema": ...}, "schema None"),
        ({"colour": "red"}, r"unknown fields: \$\.colour"),
        ({"metric": ...}, "missing required field `metric`"),
        ({"last_stride": "1"}, r"Expected `int`, got `str` - at `\$.last_stride`"),
        ({"pixel_mean": [1.0]}, r"length 3.*pixel_mean"),
        ({"dataset_options": {"margin": 1}}, r"Expected `str`, got `int`"),
    ],
)
def test_a_card_of_another_kind_is_refused(change, message):
    values = {k: v for k, v in (CARD.to_dict() | change).items() if v is not ...}
    with pytest.raises(ModelCardError, match=message):
        read_card(values)


@pytest.mark.parametrize(
    ("written", "message"),
    [("{", "damaged"), ("[1]", "a list, not an object"), ('{"schema": NaN}', "damaged")],
)
def test_text_that_is_not_a_card_is_refused(written, message):
    with pytest.raises(ModelCardError, match=message):
        read_card(written)


def test_the_network_of_a_card():
    assert CARD.model_config == ModelConfig(backbone="resnet50")
    linear = dataclasses.replace(CARD, neck="linear", embedding_width=64)
    assert (linear.model_config.neck, linear.model_config.embedding_width) == ("linear", 64)


def test_a_config_of_another_model_is_refused_by_name():
    config = ExperimentConfig(model=ModelConfig(backbone="resnet18"))
    card = make_card(config, 512, {"params": {}, "model_state": {}}, dataset="d")
    require_config(card, config, "runs/a")
    other = dataclasses.replace(config, image=ImageConfig(height=64, pixel_mean=(1.0, 2.0, 3.0)))
    with pytest.raises(ModelCardError, match=r"(?s)runs/a.*image_height: the checkpoint has 256"):
        require_config(card, other, "runs/a")


def test_other_training_data_than_the_cards_is_refused():
    card = dataclasses.replace(CARD, train_sha256="ab")
    require_train_sha256(card, "ab", "runs/a/trained_on.json")
    with pytest.raises(ModelCardError, match=r"runs/a/t.* 'cd', the model card's 'ab'; remove it"):
        require_train_sha256(card, "cd", "runs/a/trained_on.json", "; remove it")


def test_what_the_dataset_was_built_with_is_kept_and_does_not_matter():
    other = dataclasses.replace(CARD, dataset_options={"box_reading": "xywh", "margin": "0.1"})
    assert read_card(text(other)) == other
    CARD.require_same(other)
