"""Stored JSON that is damaged: one kind of answer, which names the file and what to do."""

import dataclasses
import json
import os
import pathlib
import shutil

import pytest

from fashion_jax.config import ConfigError, ExperimentConfig, from_nested_dict, store_config
from fashion_jax.config.experiment import read_stored_config
from fashion_jax.datasets.building.build_report import BuildReport, read_report, write_report
from fashion_jax.datasets.building.tally import Tally
from fashion_jax.datasets.dataset import open_dataset
from fashion_jax.datasets.download.journal import Entry, Journal, read_permanent_failures
from fashion_jax.errors import FashionJaxError
from fashion_jax.experiments.ablation import MINUTES, SHOWN, _stored_result
from fashion_jax.files import StorageError, parse_json, to_json
from fashion_jax.inference.card import read_card
from fashion_jax.inference.checkpoints import StoredCheckpoints
from fashion_jax.inference.export.stored import CARD as CARD_FILE
from fashion_jax.inference.export.stored import read_export
from fashion_jax.losses import Objective
from fashion_jax.retrieval.catalogue.manifest import SCHEMA, Manifest
from fashion_jax.retrieval.catalogue.tuning_file import read_tunings, write_tunings
from fashion_jax.retrieval.embedding_plan import EmbeddingPlan, agree_on_plan, read_plan
from fashion_jax.retrieval.embedding_shards import finish, open_embeddings
from fashion_jax.retrieval.scann_index import SCHEMA as SCANN_SCHEMA
from fashion_jax.retrieval.scann_index import StoredScann, check_files
from fashion_jax.retrieval.scann_settings import ScannSettings
from fashion_jax.retrieval.scann_tuning import Point, Tuning
from fashion_jax.strict_json import JsonError, decode
from fashion_jax.training import loop
from fashion_jax.training.metrics_log import read_metrics
from tests.inference.cards import CARD

NAME = "synthetic_street2shop"
POINT = Point(50, 4, 0.7, 900.0)


def _config(folder):
    store_config(ExperimentConfig(), folder / "config.json")
    return folder / "config.json", lambda: read_stored_config(folder / "config.json")


def _objective(folder):
    config = ExperimentConfig()
    own = dataclasses.replace(Objective.from_config(config), center_learning_rate=0.25)
    loop._claim(folder, config, own)
    (folder / "checkpoints" / "1").mkdir(parents=True)
    return folder / "objective.json", lambda: loop._claim(folder, config, own)


def _metrics(folder):
    line = {"step": 1, "epoch": 0.5, "loss/total": float("nan"), "loss/a": float("-inf")}
    (folder / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    return folder / "metrics.jsonl", lambda: read_metrics(folder)


def _report(folder):
    tally = Tally(["query", "gallery"], ["hats"])
    tally.add_photo("q0", "hats", "usable")
    tally.add_record("query", "hats", ("hats", 0))
    made = BuildReport.from_tally(tally, dataset="d", version="1", manual_dir=None, options={})
    write_report(made, folder)
    return folder / "build_report.json", lambda: read_report(folder)


def _manifest(folder):
    (folder / "manifest.json").write_bytes(to_json(Manifest("auto", CARD, ()), SCHEMA))
    return folder / "manifest.json", lambda: Manifest.read(folder)


def _tuning(folder):
    _manifest(folder)
    write_tunings(folder, {"data-1": Tuning(20, 4, 0.99, 5, 20, [POINT], POINT, 120.5, [])})
    return folder / "tuning.json", lambda: read_tunings(folder)


def _plan(folder):
    agree_on_plan(folder, EmbeddingPlan("d", "1", "gallery", 0, "0", 2, CARD))
    return folder / "plan.json", lambda: read_plan(folder)


def _embeddings(folder):
    _plan(folder)
    finish(folder, read_plan(folder))
    return folder / "manifest.json", lambda: open_embeddings(folder)


def _scann(folder):
    stored = StoredScann(20, 4, ScannSettings(hashed=False), {})
    (folder / "scann_index.json").write_bytes(to_json(stored, SCANN_SCHEMA))
    return folder / "scann_index.json", lambda: check_files(folder)


def _result(folder):
    result = dict.fromkeys((*SHOWN, MINUTES), 0.5)
    (folder / "result.json").write_bytes(to_json(result))
    return folder / "result.json", lambda: _stored_result(folder)


def _card(folder):
    (folder / CARD_FILE).write_bytes(to_json(CARD.to_dict()))
    return folder / CARD_FILE, lambda: read_card((folder / CARD_FILE).read_bytes(), CARD_FILE)


def _checkpoint_metrics(folder):
    path = folder / "7" / "metrics" / "metrics"
    path.parent.mkdir(parents=True)
    path.write_text('{"val/instance/mAP": 0.5}')
    return path, lambda: StoredCheckpoints(folder).close()


READERS = {
    "config": _config,
    "objective": _objective,
    "metrics": _metrics,
    "build report": _report,
    "catalogue": _manifest,
    "tuning": _tuning,
    "plan": _plan,
    "embeddings": _embeddings,
    "ScaNN": _scann,
    "result of a run": _result,
    "model card": _card,
    "metrics of a checkpoint": _checkpoint_metrics,
}


def _with_field(text):
    """Put a further field into the outermost object."""
    return lambda content: content.replace(b"{", b"{" + text.encode() + b", ", 1)


def _again(content):
    """The first field twice, with the same value."""
    name, value = next(iter(json.loads(content).items()))
    return _with_field(f"{json.dumps(name)}: {json.dumps(value)}")(content)


def _without_first(content):
    values = json.loads(content)
    del values[next(name for name in values if name not in ("schema", "content_sha256"))]
    return json.dumps(values).encode() + b"\n"


def _each_null(content):
    return json.dumps(dict.fromkeys(json.loads(content))).encode() + b"\n"


def _always(damaged):
    return lambda _: damaged


DAMAGES = {
    "blank": _always(b" \n \n"),
    "half": lambda content: content[: len(content) // 2] + b"\n",
    "zeros": lambda content: b"\0" * (len(content) - 1) + b"\n",
    "Latin-1": _always(b'{"\xe9": 1}\n'),
    "UTF-16": lambda content: content.decode().encode("utf-16") + b"\n",
    "UTF-32": lambda content: content.decode().encode("utf-32") + b"\n",
    "a byte order mark": lambda content: b"\xef\xbb\xbf" + content,
    "an overlong NUL": _always(b'{"a\xc0\x80": 1}\n'),
    "deep lists": _always(b"[" * 100_000 + b"\n"),
    "deep and closed": _always(b"[" * 100_000 + b"]" * 100_000 + b"\n"),
    "deep objects": _always(b'{"a": ' * 100_000 + b"\n"),
    "a deep field": _with_field('"zz": ' + "[" * 90_000 + "]" * 90_000),
    "a field of 900 levels": _with_field('"zz": ' + "[" * 900 + "]" * 900),
    "5,000 digits": _with_field('"zz": ' + "9" * 5000),
    "100,000 digits": _with_field('"zz": ' + "9" * 100_000),
    "65 bits": _with_field('"zz": 18446744073709551616'),
    "1e999": _with_field('"zz": 1e999'),
    "NaN in a list": _with_field('"zz": [[1, NaN]]'),
    "infinity": _with_field('"zz": -Infinity'),
    "half a pair": _with_field('"zz": "\\ud800"'),
    "half a pair in a name": _with_field('"\\udfff": 1'),
    "an unknown field": _with_field('"zz": "1"'),
    "an empty name": _with_field('"": "1"'),
    "a field twice": _again,
    "a field less": _without_first,
    "nothing but null": _each_null,
    "a list": _always(b"[]\n"),
    "a list of objects": lambda content: b"[" + content.strip() + b"]\n",
    "null": _always(b"null\n"),
    "a number": _always(b"7\n"),
    "a text": _always(b'"a"\n'),
    "twice the file": lambda content: content.strip() + b" " + content,
    "a comma too many": lambda content: content.strip()[:-1] + b",}\n",
    "a comment": lambda content: b"// changed by hand" + content,
    "single quotes": lambda content: content.replace(b'"', b"'"),
}
HARMLESS = {  # sections and metrics are optional, and any objective may be the user's own
    ("config", "a field less"),
    ("metrics", "1e999"),
    ("metrics", "infinity"),
    *(
        (reader, damage)
        for reader in ("result of a run", "metrics of a checkpoint")
        for damage in ("65 bits", "1e999", "infinity")
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("reader", READERS)
def test_damaged_content_is_named(reader, damage, tmp_path):
    path, read = READERS[reader](tmp_path)
    read()  # whole
    content = path.read_bytes()
    damaged = DAMAGES[damage](content)
    assert damaged != content
    path.write_bytes(damaged)
    if (reader, damage) in HARMLESS:
        read()
        return
    with pytest.raises(FashionJaxError) as caught:
        read()
    assert path.name in str(caught.value) or path.stem in str(caught.value)
    assert len(str(caught.value)) < 4_000


def _folder(path):
    path.mkdir()


PLACES = {
    "a folder": _folder,
    "a pipe": os.mkfifo,
    "a device": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("reader", sorted(READERS.keys() - {"model card"}))
def test_what_is_no_file_is_named(reader, place, tmp_path):
    path, read = READERS[reader](tmp_path)
    path.unlink()
    PLACES[place](path)
    with pytest.raises(FashionJaxError, match=path.name):
        read()


@pytest.mark.parametrize("place", PLACES)
def test_a_model_card_that_is_no_file_is_named(place, tmp_path):
    PLACES[place](tmp_path / CARD_FILE)
    with pytest.raises(FashionJaxError, match=CARD_FILE):
        read_export(tmp_path)


@pytest.mark.parametrize("reader", ["catalogue", "tuning", "plan", "embeddings", "ScaNN"])
def test_a_bit_of_every_byte_of_a_file_with_a_checksum_counts(reader, tmp_path):
    path, read = READERS[reader](tmp_path)
    content = path.read_bytes()
    unnoticed = []
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        try:
            read()
        except FashionJaxError:
            continue
        unnoticed.append(place)
    assert unnoticed == []
    path.write_bytes(content)
    read()


def test_another_layout_and_order_of_fields_are_the_same_file(tmp_path):
    path, read = _manifest(tmp_path)
    whole = read()
    values = json.loads(path.read_text())
    path.write_text(json.dumps(dict(reversed(values.items())), separators=(",", ":")))
    assert read() == whole


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "b": 2, "a": 1}', "the field 'a' occurs twice"),
        ('{"x": [{"b": 1, "b": 1}]}', "the field 'b' occurs twice"),
        ('{"x": {"a": [1, [NaN]]}}', "the field 'a' is nan, not a finite number"),
        ('{"a": 1e999}', "the field 'a' is inf"),
        ('{"a": -1e999}', "the field 'a' is -inf"),
        ("[1e999]", "the text is inf"),
        ("Infinity", "the text is inf"),
        ('{"a": 18446744073709551616}', "the field 'a' is a whole number beyond 64 bits"),
        ('{"a": -9223372036854775809}', "the field 'a' is a whole number beyond 64 bits"),
        ('{"a": ["\\udc00"]}', "the field 'a' holds half a surrogate pair"),
        ('{"a": 1} {}', "Extra data"),
        ("9" * 5000, "Exceeds the limit .4300 digits. .* has 5000 digits$"),
        (b"\xff", "can't decode byte 0xff in position 0"),
        ("[" * 100_000, "recursion"),
        ("", "Expecting value"),
    ],
)
def test_what_readers_understand_differently_is_refused(text, message):
    with pytest.raises(JsonError, match=message):
        decode(text)


@pytest.mark.parametrize(
    "value",
    [None, True, 0, -(2**63), 2**64 - 1, 1.5, 5e-324, 1.7976931348623157e308, "", "\U0001f457 é\0",
     [], [[]], {}, {"": {"a": [1, {"a": 1}]}}],
)  # fmt: skip
def test_what_has_one_meaning_is_read(value):
    assert decode(json.dumps(value)) == value  # escaped
    assert decode(json.dumps(value, ensure_ascii=False).encode()) == value


def test_numbers_that_are_not_json_are_read_where_they_are_expected():
    found = decode('{"a": NaN, "b": [-Infinity], "c": 1' + "0" * 400 + "}", any_number=True)
    assert (found["a"] != found["a"], found["b"], found["c"]) == (True, [float("-inf")], 10**400)


@dataclasses.dataclass(frozen=True)
class Inner:
    a: int
    b: str = ""


@dataclasses.dataclass(frozen=True)
class Outer:
    inner: list[Inner]
    named: dict[str, Inner]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"inner": [{"a": 1, "c": 2}], "named": {}}', r"unknown fields: \$\.inner\[0\]\.c"),
        ('{"inner": [], "named": {"x": {"a": 1, "B": ""}}}', r"unknown fields: \$\.named\.x\.B"),
        ('{"inner": [], "named": {}, "more": {}}', r"unknown fields: \$\.more"),
        ('{"inner": [{"a": 1}, {}], "named": {}}', r"missing required field `a` - at `\$\.inner"),
        ('{"inner": [{"a": 1.0}], "named": {}}', r"Expected `int`, got `float` - at `\$\.inner"),
        ('{"inner": [{"a": true}], "named": {}}', r"Expected `int`, got `bool`"),
        ('{"inner": {}, "named": {}}', r"Expected `array`, got `object` - at `\$\.inner`"),
        ('{"inner": []}', "missing required field `named`"),
    ],
)
def test_fields_are_named_by_their_path(text, message):
    with pytest.raises(StorageError, match=rf"^here is damaged \(.*{message}.*\)\. Copy it again"):
        parse_json(text, Outer, None, "here")


@pytest.mark.parametrize("damage", sorted(DAMAGES))
def test_a_journal_passes_over_what_it_cannot_read(damage, tmp_path):
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.write(Entry("1", "http://a.com/1", 1, reason="http_404", permanent=True))
    line = path.read_bytes()
    torn = DAMAGES[damage](line.replace(b'"1"', b'"2"'))
    path.write_bytes(line + torn.rstrip(b"\n") + b"\n" + line.replace(b'"1"', b'"3"'))
    found = read_permanent_failures(path)
    assert found.keys() - {"2"} == {"1", "3"}


@pytest.mark.parametrize(
    "values",
    [{"image": []}, {"image": None}, {"image": {3: 1}}, {"image": {"width": []}},
     {"optimizer": {"learning_rate": float("inf")}}, {"optimizer": {"learning_rate": 10**400}},
     {"loss": {"triplet_weight": float("nan")}}, {"training": {"seed": 1e999}},
     {"image": {"pixel_mean": [1.0, float("-inf"), 2.0]}}],
    ids=repr,
)  # fmt: skip
def test_a_config_of_wrong_types_is_refused(values):
    with pytest.raises(ConfigError):
        from_nested_dict(values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"photos": {"expected": 1}}, "found"),
        ({"photos": {"expected": -1, "found": 0}}, "`int` >= 0"),
        ({"boxes": {"clippef": 1}}, "unknown kinds clippef"),
        ({"splits": {"query": {"photos": 1}}}, "identities"),
        ({"categories": {"hats": None}}, "hats|categories"),
        ({"problems": {"a": "b"}}, "problems"),
        ({"options": None}, "options"),
        ({"queries_without_match": "3"}, "queries_without_match"),
    ],
)
def test_a_build_report_of_wrong_fields_is_refused(change, message, tmp_path):
    path, read = _report(tmp_path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(StorageError, match=rf"(?s)build_report\.json.*({message}).*--overwrite"):
        read()


@pytest.fixture
def dataset(tiny_data_dir, tmp_path) -> pathlib.Path:
    """A built dataset that may be damaged."""
    shutil.copytree(tiny_data_dir, tmp_path / "data")
    return tmp_path / "data"


def _other_name(old, new):
    return lambda content: content.replace(old, new, 1)


@pytest.mark.parametrize("name", ["dataset_info.json", "features.json"])
def test_a_damaged_description_of_a_dataset_is_named(dataset, name):
    path = dataset / NAME / "1.0.0" / name
    content = path.read_bytes()
    damages = dict(DAMAGES)
    for optional in ("an unknown field", "an empty name"):
        del damages[optional]  # TFDS may know more fields
    if name == "features.json":
        damages = {**damages, "another feature": _other_name(b'"identity"', b'"identitz"')}
        damages["another connector"] = _other_name(b"Text", b"Tezt")
        del damages["a field less"]
    else:
        damages["another split"] = _other_name(b'"gallery"', b'"gallerz"')
        damages["another version"] = _other_name(b'"1.0.0"', b'"1.0.1"')
        damages["a text for a length"] = _other_name(b'Lengths": [', b'Lengths": ["x",')
        del damages["a field less"]
    for damage, change in damages.items():
        path.write_bytes(change(content))
        said = "nothing"
        try:
            open_dataset(NAME, dataset)
        except FashionJaxError as error:
            said = str(error)
        assert name in said, damage
        assert "--overwrite" in said, damage
    path.write_bytes(content)
    open_dataset(NAME, dataset)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(FashionJaxError, match=f"{name} is a pipe"):
        open_dataset(NAME, dataset)


@pytest.mark.parametrize("version", ["1..0", "²", ".", "1.", "latest"])
def test_folders_that_are_no_versions_are_passed_over(dataset, version):
    (dataset / NAME / version).mkdir(exist_ok=True)
    assert open_dataset(NAME, dataset).version == "1.0.0"
