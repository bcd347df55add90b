"""Names that look the same: a message that shows both says how they differ."""

import re
import unicodedata

import numpy as np
import pytest

from fashion_jax.cli import main
from fashion_jax.config import ConfigError, default_config, differences, from_nested_dict
from fashion_jax.config.loading import choose_variants, set_fields
from fashion_jax.datasets.building.base import choose_splits
from fashion_jax.datasets.building.build import BuildError, builder_class
from fashion_jax.datasets.building.crops import CropOptions
from fashion_jax.datasets.building.list_files import RowError, one_of
from fashion_jax.datasets.building.options import OptionError, given_options
from fashion_jax.datasets.corruptions import CorruptionError, find_corruptions
from fashion_jax.datasets.dataset import DatasetNotFoundError, open_dataset
from fashion_jax.datasets.photo_lists.columns import ListUse, find_columns
from fashion_jax.datasets.photo_lists.problems import PhotoListError
from fashion_jax.errors import FashionJaxError, named
from fashion_jax.inference.export.export import export
from fashion_jax.metrics.protocol import MetricsError, find_protocol
from fashion_jax.models.backbones import UnknownBackboneError, backbone_spec
from fashion_jax.retrieval.catalogue import Item, ItemTable
from fashion_jax.retrieval.catalogue.item_table import group_codes
from fashion_jax.retrieval.catalogue.where import allowed_rows, parse_where
from fashion_jax.retrieval.make_index import make_index
from fashion_jax.retrieval.milvus.settings import MilvusSettings
from fashion_jax.similar_names import did_you_mean, reprs, told_apart

PAIRS = {
    "decomposed": ("cafe\u0301", "café", "U+0301 COMBINING ACUTE ACCENT"),
    "composed": ("é", "e\u0301", "U+00E9 LATIN SMALL LETTER E WITH ACUTE"),
    "no-break blank": ("my\xa0hat", "my hat", "U+0020 SPACE, not U+00A0 NO-BREAK SPACE"),
    "no-break blank behind": ("hats\xa0", "hats", "without U+00A0 NO-BREAK SPACE"),
    "blank behind": ("hats ", "hats", "without U+0020 SPACE"),
    "blank in front": (" hats", "hats", "without U+0020 SPACE"),
    "blank that is wanted": ("hats", "hats ", "with U+0020 SPACE"),
    "line break": ("hats\n", "hats", "without U+000A"),
    "zero width": ("ha\u200bts", "hats", "without U+200B ZERO WIDTH SPACE"),
    "joiner": ("ha\u200dts", "hats", "without U+200D ZERO WIDTH JOINER"),
    "byte order mark": ("\ufeffhats", "hats", "without U+FEFF ZERO WIDTH NO-BREAK SPACE"),
    "soft hyphen": ("ha\xadts", "hats", "without U+00AD SOFT HYPHEN"),
    "variation": ("hats\ufe0f", "hats", "without U+FE0F VARIATION SELECTOR-16"),
    "filler": ("hats\u3164", "hats", "without U+3164 HANGUL FILLER"),
    "Cyrillic a": ("h\u0430ts", "hats", "not U+0430 CYRILLIC SMALL LETTER A"),
    "Cyrillic word": ("\u0441\u043e\u0440", "cop", "U+043E CYRILLIC SMALL LETTER O and 1 more"),
    "Cyrillic yo": ("\u0451", "ë", "not U+0451 CYRILLIC SMALL LETTER IO"),
    "Greek capitals": ("\u039a\u039f", "KO", "not U+039A GREEK CAPITAL LETTER KAPPA"),
    "fullwidth": ("\uff48\uff41\uff54\uff53", "hats", "not U+FF48 FULLWIDTH LATIN SMALL LETTER H"),
    "mathematical": ("\U0001d421ats", "hats", "not U+1D421 MATHEMATICAL BOLD SMALL H"),
    "hyphen": ("t\u2011shirt", "t-shirt", "not U+2011 NON-BREAKING HYPHEN"),
    "apostrophe": ("men\u2019s", "men's", "not U+2019 RIGHT SINGLE QUOTATION MARK"),
    "dotless": ("sk\u0131rts", "skirts", "not U+0131 LATIN SMALL LETTER DOTLESS I"),
    "ligature": ("\ufb01t", "fit", "not U+FB01 LATIN SMALL LIGATURE FI"),
    "zero and O": ("resnet1O1", "resnet101", "U+0030 DIGIT ZERO, not U+004F LATIN CAPITAL"),
    "one and l": ("b1ur", "blur", "U+006C LATIN SMALL LETTER L, not U+0031 DIGIT ONE"),
    "half a pair": ("hats\udcff", "hats", "without U+DCFF"),
    "other accent": ("cafè", "café", "E WITH ACUTE, not U+00E8 LATIN SMALL LETTER E WITH GRAVE"),
}


@pytest.mark.parametrize(("given", "meant", "said"), PAIRS.values(), ids=PAIRS)
def test_a_hint_names_the_characters(given, meant, said):
    hint = did_you_mean(given, ["x", meant, "skirt"])
    assert hint.startswith(f"; did you mean {meant!r} (")
    assert said in hint
    assert hint.endswith(")?")


@pytest.mark.parametrize(
    ("given", "meant"),
    [("hat", "hats"), ("HATS", "hats"), ("skrits", "skirts"), ("seed", "a.seed")],
)
def test_a_difference_that_is_seen_is_not_spelled_out(given, meant):
    assert did_you_mean(given, ["x", meant]) == f"; did you mean {meant!r}?"


def test_what_looks_the_same_comes_before_what_is_near():
    assert "'cop' (" in did_you_mean("\u0441\u043ep", ["\u0441\u043es", "cop"])
    assert did_you_mean("shoes", ["hats"]) == ""
    assert did_you_mean("shoes", []) == ""


def test_many_differences_are_cut():
    hint = did_you_mean("b\u0430n\u0430n\u0430", ["banana"])
    assert hint.count("CYRILLIC") == 2
    assert hint.endswith("; ...)?")


LOOK_ALIKES = {
    kind: (given, meant)
    for kind, (given, meant, _) in PAIRS.items()
    if kind not in ("zero and O", "one and l", "other accent", "half a pair")
}


@pytest.mark.parametrize(("one", "other"), LOOK_ALIKES.values(), ids=LOOK_ALIKES)
def test_lists_and_pairs_escape_what_looks_the_same(one, other):
    assert told_apart([one, "plain", other]) == [ascii(one), "plain", ascii(other)]
    assert named([other, one]) == f"{other!a}, {one!a}"
    assert reprs(one, other) == (ascii(one), ascii(other))


@pytest.mark.parametrize(
    "names", [["a", "a"], ["é", "e"], ["Hats", "hats"], ["帽子", "靴"], [1, 2.5, None], []]
)
def test_other_lists_stay_as_they_are(names):
    assert told_apart(names) == list(map(str, names))
    if len(set(names)) == 2:
        assert reprs(*names) == tuple(map(repr, names))


def _columns(text):
    return find_columns(text.split(","), "list.csv", ListUse(("photo",)))


def _field(name, value):
    config = default_config()
    set_fields(config, {name: value})
    return from_nested_dict(config.to_dict())


MESSAGES = {
    "config field": (ConfigError, lambda: _field("tr\u0430ining.seed", "1")),
    "config value": (ConfigError, lambda: _field("model.neck", "bnn\u0435ck")),
    "variant": (ConfigError, lambda: choose_variants("\u0430", {"a": 1, "b": 2})),
    "backbone": (UnknownBackboneError, lambda: backbone_spec("r\u0435snet50")),
    "protocol": (MetricsError, lambda: find_protocol("it\u0435m")),
    "corruption": (CorruptionError, lambda: find_corruptions(["c\u043elour"])),
    "kind of index": (FashionJaxError, lambda: make_index(np.eye(2, dtype="f"), "\u0435xact")),
    "Milvus index": (FashionJaxError, lambda: MilvusSettings("SC\u0410NN")),
    "export": (FashionJaxError, lambda: export("run", "s\u0430fetensors")),
    "split": (FashionJaxError, lambda: choose_splits(["tr\u0430in"])),
    "builder": (BuildError, lambda: builder_class("str\u0435et2shop")),
    "builder option": (OptionError, lambda: given_options(CropOptions, {"longest_sid\u0435": 1})),
    "word": (RowError, lambda: one_of("sh\u043ep", ("street", "shop"), "domain")),
    "column": (PhotoListError, lambda: _columns("photo,s\u0440lit")),
    "short column": (PhotoListError, lambda: _columns("photo,\u0445,y,width,height")),
}


@pytest.mark.parametrize(("error", "make"), MESSAGES.values(), ids=MESSAGES)
def test_messages_of_unknown_names_say_how_they_differ(error, make):
    with pytest.raises(error, match=r"not U\+04\w\w CYRILLIC"):
        make()


def test_an_unknown_command_says_how_it_differs(capsys):
    for words in (["tr\u0430in"], ["data", "ch\u0435ck"]):
        with pytest.raises(SystemExit):
            main(words)
        assert re.search(r"did you mean '\w+' \(with .* CYRILLIC", capsys.readouterr().err)


def test_datasets_of_names_that_look_the_same(tmp_path):
    for name in ("caf\u00e9", "cafe\u0301"):
        (tmp_path / name / "1.0.0").mkdir(parents=True)
    with pytest.raises(DatasetNotFoundError) as caught:
        open_dataset("cafe", tmp_path)
    assert r"only found 'cafe\u0301', 'caf\xe9'; did you mean" in str(caught.value)


def test_fields_of_names_that_look_the_same():
    fields = {"caf\u00e9": 1.0, "cafe\u0301": 2.0}
    items = ItemTable.of([Item("a", "1", "hats", "shop", fields)])
    for refuse in (lambda name: allowed_rows(parse_where(f"{name}=1"), items),
                   lambda name: group_codes(items, name)):  # fmt: skip
        with pytest.raises(FashionJaxError) as caught:
            refuse("caf\u00e9\u200b")
        assert r"'caf\xe9', 'cafe\u0301'" in str(caught.value)
        assert "without U+200B ZERO WIDTH SPACE" in str(caught.value)


def test_two_values_that_look_the_same_are_escaped():
    first = _field("model.backbone", "caf\u00e9")
    second = _field("model.backbone", unicodedata.normalize("NFD", "caf\u00e9"))
    assert differences(first, second) == [r"model.backbone: 'caf\xe9' != 'cafe\u0301'"]
