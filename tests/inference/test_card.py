import dataclasses
import json

import pytest

from fashion_jax.inference.card import ModelCard, ModelCardError
from tests.inference.cards import CARD


def test_json_round_trip():
    assert ModelCard.from_json(CARD.to_json()) == CARD
    assert json.loads(CARD.to_json())["schema"] == 1


def test_the_same_model_is_accepted():
    assert CARD.difference(CARD) == []
    CARD.require_same(ModelCard.from_json(CARD.to_json()))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("backbone", "resnet18"),
        ("last_stride", 2),
        ("stem_relu", False),
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


def test_cards_of_older_versions_lack_what_has_a_default():
    values = CARD.to_dict()
    for name in ("dataset_options", "gem_power", "pretrained", "pretrained_sha256"):
        del values[name]
    assert ModelCard.from_dict(values) == CARD


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 2}, "schema 2; this version of fashion-jax reads 1"),
        ({"colour": "red"}, r"unknown fields \['colour'\]"),
        ({"metric": ...}, r"lacks the fields \['metric'\]"),
    ],
)
def test_a_card_of_another_kind_is_refused(change, message):
    values = {k: v for k, v in (CARD.to_dict() | change).items() if v is not ...}
    with pytest.raises(ModelCardError, match=message):
        ModelCard.from_dict(values)


@pytest.mark.parametrize(("text", "message"), [("{", "not JSON"), ("[1]", "a JSON list")])
def test_text_that_is_not_a_card_is_refused(text, message):
    with pytest.raises(ModelCardError, match=message):
        ModelCard.from_json(text)


def test_what_the_dataset_was_built_with_is_kept_and_does_not_matter():
    other = dataclasses.replace(CARD, dataset_options={"box_reading": "xywh", "margin": "0.1"})
    assert ModelCard.from_json(other.to_json()) == other
    CARD.require_same(other)


def test_card_of_before_the_dataset_options():
    values = CARD.to_dict()
    del values["dataset_options"]
    assert ModelCard.from_dict(values) == CARD
