"""Facts that a catalogue or a folder of embeddings stores twice are compared on reading."""

import contextlib
import dataclasses
import io
import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from array_record.python.array_record_module import ArrayRecordWriter

from fashion_jax.errors import FashionJaxError
from fashion_jax.files import StorageError, read_json, to_json
from fashion_jax.retrieval import storage
from fashion_jax.retrieval.catalogue import Catalogue, Item
from fashion_jax.retrieval.catalogue.changes import add_photos, compact, remove_photos
from fashion_jax.retrieval.catalogue.contents import Contents
from fashion_jax.retrieval.catalogue.info import catalogue_info
from fashion_jax.retrieval.catalogue.manifest import Manifest
from fashion_jax.retrieval.embedding_plan import EmbeddingPlan, agree_on_plan
from fashion_jax.retrieval.embedding_shards import (
    SCHEMA,
    ShardFile,
    finish,
    open_embeddings,
    shard_files,
    write_shard,
)
from fashion_jax.retrieval.exact import ExactIndex
from tests.datasets.fakes import FakeSplit
from tests.inference import cards
from tests.retrieval.unit_vectors import clustered
from tests.stored_json import change_json

WIDTH = 8
CARD = dataclasses.replace(cards.CARD, embedding_width=WIDTH)
JPEG = b"\xff\xd8\xff"


def photos(name, count):
    items = [Item(f"{name} {number}", str(number // 2), "hats", "shop") for number in range(count)]
    return clustered(count, WIDTH, 3), items, [JPEG] * count


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A catalogue of two segments, with removed photos in both."""
    folder = tmp_path_factory.mktemp("built") / "index"
    Catalogue.write(folder, *photos("first", 12), CARD, "exact")
    add_photos(folder, *photos("second", 5), CARD)
    remove_photos(folder, ["first 3", "first 7", "second 4"])
    return folder


@pytest.fixture
def index(built, tmp_path):
    shutil.copytree(built, tmp_path / "index")
    return tmp_path / "index"


def unnoticed(index, bits):
    """Bytes and bits of the manifest that can change without an error."""
    path, found = index / "manifest.json", []
    content = path.read_bytes()
    for place in range(len(content)):
        for bit in bits(place):
            changed = bytearray(content)
            changed[place] ^= 1 << bit
            path.write_bytes(changed)
            try:
                Manifest.read(index)
            except FashionJaxError:
                continue
            found.append((place, bit))
    return found


@pytest.mark.slow
def test_a_bit_of_every_byte_of_a_manifest_counts(index):
    assert unnoticed(index, lambda place: [place % 8]) == []


@pytest.mark.exhaustive
def test_every_bit_of_a_manifest_counts(index):
    assert unnoticed(index, lambda place: range(8)) == []


def of_segment(name, value):
    """Set a field of the first segment."""

    def change(manifest):
        manifest["segments"][0][name] = value(manifest["segments"][0][name])

    return change


def without(name):
    return lambda files: {key: value for key, value in files.items() if key != name}


MANIFESTS = {
    "a row less": (of_segment("rows", lambda rows: rows - 1), "12 rows"),
    "a row more": (of_segment("rows", lambda rows: rows + 1), "12 rows"),
    "one row": (of_segment("rows", lambda _: 1), "rows of data-|12 rows"),
    "no row": (of_segment("rows", lambda _: 0), "`int` >= 1"),
    "rows beyond int32": (of_segment("rows", lambda _: 2**31), "`int` <= 2147483647"),
    "rows as a text": (of_segment("rows", str), r"Expected `int`, got `str` - at `\$\.segments"),
    "rows as a float": (of_segment("rows", float), r"Expected `int`, got `float`"),
    "an index that is not there": (of_segment("index", lambda _: "scann"), "scann_index.json"),
    "no embeddings": (of_segment("files", without("embeddings.npy")), "embeddings.npy"),
    "no items": (of_segment("items", lambda i: {**i, "files": {}}), "items.parquet"),
    "items of the second segment": (
        lambda m: m["segments"][0].update(items=m["segments"][1]["items"]), "more than once"),
    "items elsewhere": (of_segment("items", lambda i: {**i, "data": "../other"}), "matching regex"),
    "no thumbnails": (of_segment("files", without("thumbnails.array_record")), "thumbnails"),
    "no files": (of_segment("files", lambda _: {}), "embeddings.npy, thumbnails"),
    "a file elsewhere": (of_segment("files", lambda f: {**f, "../x": "0"}), r"\.\./x"),
    "a file more": (of_segment("files", lambda f: {**f, "a\0": "0"}), "belong here"),
    "a checksum of null": (
        of_segment("files", lambda f: {**f, "embeddings.npy": None}), "got `null`"),
    "another checksum": (
        of_segment("items", lambda i: {**i, "files": {"items.parquet": "0"}}), "items.parquet"),
    "a folder elsewhere": (of_segment("data", lambda _: "../other"), "matching regex"),
    "a folder that is not there": (of_segment("data", lambda _: "data-x"), "rows of|missing"),
    "a segment twice": (lambda m: m["segments"].append(m["segments"][0]), "more than once"),
    "a segment less": (lambda m: m["segments"].__delitem__(-1), "removed.json is damaged"),
    "no segments": (lambda m: m["segments"].clear(), "removed.json is damaged"),
    "a photo less removed": (lambda m: m["removed"].update(photos=2), "counts 2"),
    "a photo more removed": (lambda m: m["removed"].update(photos=4), "counts 4"),
    "nothing removed": (lambda m: m["removed"].update(photos=0), "`int` >= 1"),
    "removed from nowhere": (lambda m: m["removed"].update(files={}), "removed.json"),
    "removed in a segment": (lambda m: m["removed"].update(data=m["segments"][0]["data"]),
                             "more than once"),
    "another width": (lambda m: m["card"].update(embedding_width=7), "embeddings.npy is damaged"),
    "an unknown field": (lambda m: m.update(more=1), r"unknown fields: \$\.more"),
    "an unknown field of a segment": (lambda m: m["segments"][1].update(more=1),
                                      r"\$\.segments\[1\]\.more"),
    "an unknown kind": (lambda m: m.update(kind="hnsw"), "kind"),
}  # fmt: skip


def whole(index):
    """All that the commands read."""
    catalogue_info(index)
    catalogue = Catalogue.open(index)
    return len(catalogue), catalogue.items


@pytest.mark.parametrize("fact", MANIFESTS)
def test_a_manifest_that_contradicts_its_data_is_refused(index, fact):
    change, message = MANIFESTS[fact]
    change_json(index / "manifest.json", change)
    with pytest.raises(StorageError, match=message):
        whole(index)
    with pytest.raises(StorageError, match=message):
        Catalogue.open(index)
    before = (index / "manifest.json").read_bytes()
    with pytest.raises(StorageError):
        compact(index)
    assert (index / "manifest.json").read_bytes() == before


def seal(index):
    """Make the checksums of all files right again."""

    def change(manifest):
        segments = manifest["segments"]
        items = [segment["items"] for segment in segments]
        for entry in [*segments, *items, manifest["removed"]]:
            entry["files"] = storage.checksums(index / entry["data"], entry["files"])

    change_json(index / "manifest.json", change)


def of_first(change):
    """Change the removed rows of the first segment."""

    def apply(removed):
        name = min(removed["rows"], key=lambda name: -len(removed["rows"][name]))
        removed["rows"][name] = change(removed["rows"][name])

    return apply


REMOVED = {
    "a row beyond": of_first(lambda rows: [rows[0], 12]),
    "a row far beyond": of_first(lambda rows: [rows[0], 2**31 - 1]),
    "a row that no integer holds": of_first(lambda rows: [rows[0], 2**64 - 1]),
    "a negative row": of_first(lambda rows: [-1, rows[1]]),
    "a row twice": of_first(lambda rows: [rows[0], rows[0]]),
    "out of order": of_first(lambda rows: rows[::-1]),
    "a row less": of_first(lambda rows: rows[:1]),
    "a row more": of_first(lambda rows: [*rows, 11]),
    "none": of_first(lambda rows: []),
    "null": of_first(lambda rows: None),
    "a float": of_first(lambda rows: [3.0, 7]),
    "a text": of_first(lambda rows: ["3", 7]),
    "nested": of_first(lambda rows: [rows]),
    "of an unknown segment": lambda removed: removed["rows"].update({"data-x": [1]}),
    "none of an unknown segment": lambda removed: removed["rows"].update({"data-x": []}),
    "of another segment": lambda removed: {"rows": dict(zip(
        removed["rows"], list(removed["rows"].values())[::-1], strict=True))},
    "no segment": lambda removed: {"rows": {}},
}  # fmt: skip


@pytest.mark.parametrize("fact", sorted(REMOVED.keys() - {"of another segment"}))
def test_removed_rows_that_contradict_the_manifest_are_refused(index, fact):
    entry = json.loads((index / "manifest.json").read_bytes())["removed"]
    change_json(index / entry["data"] / "removed.json", REMOVED[fact])
    seal(index)
    with pytest.raises(StorageError, match=r"removed\.json is damaged"):
        Contents(index)


def npy(change):
    def apply(path):
        np.save(path, change(np.load(path)), allow_pickle=True)

    return apply


def archive():
    encoded = io.BytesIO()
    np.savez(encoded, a=np.ones(3))
    return encoded.getvalue()


def text(change):
    return lambda path: path.write_bytes(change(path.read_bytes()))


def parquet(change):
    def apply(path):
        table = pq.read_table(path)
        pq.write_table(change(table), path)

    return apply


def array_record(*records):
    def apply(path):
        path.unlink()
        with contextlib.closing(ArrayRecordWriter(str(path), "group_size:1")) as writer:
            for record in records:
                writer.write(record)

    return apply


FILES = {
    "embeddings.npy": {
        "a row less": npy(lambda a: a[:-1]),
        "a row more": npy(lambda a: np.concatenate([a, a[:1]])),
        "no rows": npy(lambda a: a[:0]),
        "a dimension less": npy(lambda a: a[:, :-1]),
        "transposed": npy(lambda a: a.T.copy()),
        "one row": npy(lambda a: a[0]),
        "three axes": npy(lambda a: a[None]),
        "float64": npy(lambda a: a.astype(np.float64)),
        "float16": npy(lambda a: a.astype(np.float16)),
        "integers": npy(lambda a: a.astype(np.int32)),
        "other byte order": npy(lambda a: a.astype(">f4")),
        "objects": npy(lambda a: np.array([{"a": 1}], object)),
        "texts": npy(lambda a: np.array(["a"])),
        "an archive": lambda path: path.write_bytes(archive()),
        "a pickle": lambda path: path.write_bytes(b"\x80\x04N."),
        "10**12 rows": text(lambda b: b.replace(b"(12, 8)", b"(" + b"9" * 12 + b", 8)")),
        "a wrong header": text(lambda b: b.replace(b"descr", b"descs")),
        "code in the header": text(lambda b: b.replace(b"False", b"exit()")),
        "cut": text(lambda b: b[:-1]),
        "half": text(lambda b: b[: len(b) // 2]),
        "empty": text(lambda b: b""),
    },
    "items.parquet": {
        "a row less": parquet(lambda t: t.slice(1)),
        "a row more": parquet(lambda t: pa.concat_tables([t, t.slice(0, 1)])),
        "no row": parquet(lambda t: t.slice(0, 0)),
        "empty": text(lambda b: b""),
        "no Parquet": text(lambda b: b"abc\n" * 12),
        "half": text(lambda b: b[: len(b) // 2]),
        "cut": text(lambda b: b[:-1]),
        "a column less": parquet(lambda t: t.drop_columns(["domain"])),
        "an unknown column": parquet(lambda t: t.append_column("colour", t["domain"])),
        "a column twice": parquet(lambda t: t.append_column("domain", t["domain"])),
        "a product that is a number": parquet(
            lambda t: t.set_column(1, "product", pa.array(range(len(t))))),
        "no product": parquet(lambda t: t.set_column(1, "product", pa.nulls(len(t), pa.string()))),
        "a field of a type that no field has": parquet(
            lambda t: t.append_column("field:x", pa.array(range(len(t)), pa.int32()))),
    },
    "thumbnails.array_record": {
        "a record less": array_record(*[JPEG] * 11),
        "a record more": array_record(*[JPEG] * 13),
        "none": array_record(),
        "empty": text(lambda b: b""),
        "text": text(lambda b: b"hello" * 1000),
        "half": text(lambda b: b[: len(b) // 2]),
        "zeros": text(lambda b: b"\0" * 65536),
    },
}  # fmt: skip


@pytest.mark.parametrize(("name", "damage"), [(n, d) for n, each in FILES.items() for d in each])
def test_data_that_contradicts_the_manifest_is_refused(index, name, damage):
    segment = json.loads((index / "manifest.json").read_bytes())["segments"][0]
    entry = segment["items"] if name == "items.parquet" else segment
    FILES[name][damage](index / entry["data"] / name)
    seal(index)
    for read in (Catalogue.open, catalogue_info):
        with pytest.raises(StorageError, match=name):
            read(index)


@pytest.mark.scann
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(rows=19), "19 rows|20 rows, its scann_index.json says 19|19, 8"),
        (lambda d: d.update(rows=21), "21, 8|says 21"),
        (lambda d: d.update(rows=0), "`int` >= 1"),
        (lambda d: d.update(dimensions=9), "20, 9"),
        (lambda d: d["files"].update({"../x": "0"}), "not in the index's folder"),
        (lambda d: d["files"].update({"/etc/hostname": "0"}), "not in the index's folder"),
        (lambda d: d["settings"].update(hashed=True, reorder=0), "reorder is 0"),
        (lambda d: d["settings"].update(hashed=True, leaves=21), "leaves is 21"),
        (lambda d: d["settings"].update(more=1), "settings.more"),
    ],
)
def test_a_scann_index_that_contradicts_its_segment_is_refused(tmp_path, change, message):
    folder = tmp_path / "index"
    Catalogue.write(folder, *photos("first", 20), CARD, "scann")
    data = folder / json.loads((folder / "manifest.json").read_bytes())["segments"][0]["data"]
    change_json(data / "scann" / "scann_index.json", change)
    change_json(
        folder / "manifest.json",
        lambda m: m["segments"][0].update(files=storage.checksums(data, m["segments"][0]["files"])),
    )
    for read in (Catalogue.open, catalogue_info):
        with pytest.raises(StorageError, match=message):
            read(folder)


@pytest.mark.parametrize("damage", sorted(FILES["embeddings.npy"].keys() - {"a row less",
    "a row more", "a dimension less", "transposed", "no rows"}))  # fmt: skip
def test_an_exact_index_of_something_else_is_refused(tmp_path, damage):
    ExactIndex(photos("first", 12)[0]).save(tmp_path / "index")
    path = tmp_path / "index" / "embeddings.npy"
    FILES["embeddings.npy"][damage](path)
    checksum = storage.checksums(path.parent, [path.name])
    change_json(path.parent / "exact_index.json", lambda d: d.update(files=checksum))
    with pytest.raises(StorageError, match=r"embeddings\.npy is damaged"):
        ExactIndex.load(tmp_path / "index")


@pytest.mark.parametrize(
    "files", [{}, {"embeddings.npy": "0", "x": "0"}, {"../embeddings.npy": "0"}]
)
def test_an_exact_index_of_other_files_is_refused(tmp_path, files):
    ExactIndex(photos("first", 12)[0]).save(tmp_path / "index")
    change_json(tmp_path / "index" / "exact_index.json", lambda d: d.update(files=files))
    with pytest.raises(StorageError, match=r"exact_index\.json is damaged"):
        ExactIndex.load(tmp_path / "index")


SPLIT = FakeSplit("gallery", 3)  # 12 photos
PLAN = EmbeddingPlan("d", "1", "gallery", 12, "0", 5, CARD)


@pytest.fixture
def embedded(tmp_path):
    agree_on_plan(tmp_path, PLAN)
    vectors = clustered(12, WIDTH, 3)
    for number, rows in enumerate(PLAN.shards):
        write_shard(tmp_path, PLAN, number, SPLIT, vectors[rows.start : rows.stop])
    assert finish(tmp_path, PLAN)
    assert [len(shard.items) for shard in open_embeddings(tmp_path).shards()] == [5, 5, 2]
    return tmp_path


SHARDS = {
    "a shard less": lambda m: m["shards"].__delitem__(-1),
    "no shards": lambda m: m["shards"].clear(),
    "a shard twice": lambda m: m["shards"].append(m["shards"][0]),
    "a shard in place of another": lambda m: m["shards"].__setitem__(1, m["shards"][0]),
    "another order": lambda m: m["shards"].reverse(),
    "another first row": lambda m: m["shards"][1].update(rows=[4, 10]),
    "another last row": lambda m: m["shards"][2].update(rows=[10, 13]),
    "rows backwards": lambda m: m["shards"][0].update(rows=[5, 0]),
    "another file": lambda m: m["shards"][0].update(file="shard-00001.parquet"),
    "a file elsewhere": lambda m: m["shards"][0].update(file="../shard-00001.parquet"),
    "another plan": lambda m: m["shards"][0].update(plan="0" * 64),
    "a photo less": lambda m: m["plan"].update(photos=11),
    "a photo more": lambda m: m["plan"].update(photos=13),
    "no photos": lambda m: m["plan"].update(photos=0),
    "other shards": lambda m: m["plan"].update(photos_per_shard=4),
    "shards without photos": lambda m: m["plan"].update(photos_per_shard=0),
    "more shards than files": lambda m: m["plan"].update(photos=2**50, photos_per_shard=1),
    "a negative number": lambda m: m["plan"].update(photos=-1),
    "another model": lambda m: m["plan"]["card"].update(weights_hash="0"),
}


@pytest.mark.parametrize("fact", SHARDS)
def test_shards_that_are_not_those_of_the_plan_are_refused(embedded, fact):
    change_json(embedded / "manifest.json", SHARDS[fact])
    with pytest.raises(FashionJaxError, match=r"manifest\.json"):
        open_embeddings(embedded)


@pytest.mark.parametrize(
    "change",
    [
        {"file": "shard-00001.parquet"},
        {"rows": [0, 4]},
        {"rows": [1, 6]},
        {"plan": "0" * 64},
        {"bytes": 1},
    ],
    ids=str,
)
def test_a_shard_that_is_described_as_another_is_made_again(embedded, change):
    change_json(embedded / "shard-00000.json", lambda entry: entry.update(change))
    missing = [entry is None for entry in shard_files(embedded, PLAN)]
    assert missing == [True, False, False]
    assert not finish(embedded, PLAN)


def column(name, values):
    def change(table):
        number = table.column_names.index(name)
        return table.set_column(number, name, values(table[name]))

    return change


TABLES = {
    "no column": (lambda t: t.drop_columns(["camera"]), "columns"),
    "a column more": (lambda t: t.append_column("more", t["row"]), "columns"),
    "other order": (lambda t: t.select(t.column_names[::-1]), "columns"),
    "float64": (column("embedding", lambda c: c.cast(pa.list_(pa.float64(), WIDTH))), "columns"),
    "another width": (column("embedding", lambda c: pa.array([[1.0] * 7] * len(c),
                                                            pa.list_(pa.float32(), 7))), "columns"),
    "a list of any length": (column("embedding", lambda c: c.cast(pa.list_(pa.float32()))),
                             "columns"),
    "int32": (column("identity", lambda c: c.cast(pa.int32())), "columns"),
    "numbers as names": (column("photo_id", lambda c: pa.array(range(len(c)))), "columns"),
    "a row less": (lambda t: t.slice(1), "rows are not 0 to 4"),
    "a row twice": (lambda t: pa.concat_tables([t, t.slice(0, 1)]), "rows are not 0 to 4"),
    "no rows": (lambda t: t.slice(0, 0), "rows are not 0 to 4"),
    "rows in another order": (lambda t: t.take(list(range(len(t)))[::-1]), "rows are not 0 to 4"),
    "a missing name": (column("photo_id", lambda c: pa.array([None, *c.to_pylist()[1:]],
                                                             pa.string())), "missing"),
    "a missing row": (column("row", lambda c: pa.array([None, 1, 2, 3, 4], pa.int64())), "missing"),
    "a missing embedding": (column("embedding", lambda c: pa.array(
        [None, *c.to_pylist()[1:]], c.type)), "missing"),
    "a missing number": (column("embedding", lambda c: pa.array(
        [[None] * WIDTH, *c.to_pylist()[1:]], c.type)), "missing"),
    "an unknown domain": (column("domain", lambda c: pa.array(["SHOP"] * len(c))), "domains: SHOP"),
}  # fmt: skip


def rewrite(folder, content):
    """Put other content into the first shard, with all checksums right again."""
    (folder / "shard-00000.parquet").write_bytes(content)
    sha256 = storage.checksums(folder, ["shard-00000.parquet"])["shard-00000.parquet"]
    new = {"bytes": len(content), "sha256": sha256}
    change_json(folder / "manifest.json", lambda m: m["shards"][0].update(new))


@pytest.mark.parametrize("fact", TABLES)
def test_a_shard_of_another_form_is_refused(embedded, fact):
    change, message = TABLES[fact]
    encoded = io.BytesIO()
    pq.write_table(change(pq.read_table(embedded / "shard-00000.parquet")), encoded)
    rewrite(embedded, encoded.getvalue())
    stored = open_embeddings(embedded)
    with pytest.raises(StorageError, match=rf"shard-00000\.parquet is .*{message}.*--repair"):
        stored.embeddings()


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" * 100, b"{}", b"\0" * 4096], ids=repr)
def test_a_shard_that_is_no_table_is_refused(embedded, content):
    rewrite(embedded, content)
    with pytest.raises(StorageError, match=r"shard-00000\.parquet is missing or damaged: .*--rep"):
        next(open_embeddings(embedded).shards())


def test_descriptions_of_shards_are_read_back(embedded):
    entry = read_json(embedded / "shard-00002.json", ShardFile, SCHEMA, "a shard")
    assert (entry.file, entry.rows, entry.plan) == ("shard-00002.parquet", (10, 12), PLAN.digest())
    assert to_json(entry, SCHEMA) == (embedded / "shard-00002.json").read_bytes()
