"""Photos of a catalogue in folders and in object storage."""

import collections
from typing import ClassVar

import fsspec
import numpy as np
import pytest
from fashion_jax.data_builders.catalogue.photos import CataloguePhotos, open_photos
from fashion_jax.data_builders.catalogue.storage import FileAccessError, absolute, read_file
from fsspec.implementations.memory import MemoryFileSystem

from fashion_jax.addresses import AddressError
from fashion_jax.datasets.building.build import build, check
from fashion_jax.datasets.photos import UndecodablePhotoError
from tests.dummy_data import catalogue as dummy_data
from tests.dummy_data.dummy_photos import soft_pattern, write_photo


class Bucket(MemoryFileSystem):
    """Object storage in memory, which counts what it is asked for."""

    protocol = "gs"
    cachable = False
    asked: ClassVar = collections.Counter()

    def cat_file(self, path, start=None, end=None, **kwargs):
        self.asked[path] += 1
        if "forbidden" in path:
            raise PermissionError(path)
        if "expired" in path:
            raise RuntimeError("token has expired")
        return super().cat_file(path, start, end, **kwargs)

    def info(self, path, **kwargs):
        if "expired" in path:
            raise RuntimeError("token has expired")
        return super().info(path, **kwargs)


@pytest.fixture
def bucket(monkeypatch):
    """An empty bucket that answers to `gs://` and `s3://`."""
    monkeypatch.setattr(Bucket, "store", {})
    monkeypatch.setattr(Bucket, "asked", collections.Counter())
    monkeypatch.setattr(fsspec, "filesystem", lambda scheme, **settings: Bucket())
    return Bucket()


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw") / "catalogue"
    dummy_data.write_dummy_data(folder)
    return folder


def upload(catalogue, bucket, place):
    for path in (catalogue / "photos").rglob("*.jpg"):
        name = path.relative_to(catalogue / "photos").as_posix()
        bucket.pipe_file(f"{place}/{name}", path.read_bytes())


def test_a_bucket_gives_the_records_of_a_folder(catalogue, bucket, tmp_path):
    upload(catalogue, bucket, "gs://shop/winter")
    bucket.pipe_file("gs://shop/items.csv", (catalogue / "items.csv").read_bytes())
    places = {"manifest": "gs://shop/items.csv", "photos": "gs://shop/winter/"}
    remote = build("catalogue", tmp_path / "remote", progress=False, **places)
    places = {"manifest": str(catalogue / "items.csv"), "photos": str(catalogue / "photos")}
    local = build("catalogue", tmp_path / "local", progress=False, **places)
    assert remote.counts == local.counts
    assert remote.problems == local.problems
    assert remote.counts["photos"]["missing"] == 1
    assert remote.options["photos"] == "gs://shop/winter"
    files = sorted((tmp_path / "local").rglob("*.array_record*"))
    assert files
    for path in files:
        other = tmp_path / "remote" / path.relative_to(tmp_path / "local")
        assert other.read_bytes() == path.read_bytes()


def test_a_photo_is_asked_for_once(catalogue, bucket):
    upload(catalogue, bucket, "gs://shop")
    check("catalogue", progress=False, manifest=str(catalogue / "items.csv"), photos="gs://shop")
    counts = {path: count for path, count in bucket.asked.items() if path.endswith(".jpg")}
    # Of a photo with two products on it, one may be in another split.
    assert counts.pop(f"gs://shop/{dummy_data.SHARED_PHOTO}") <= 2
    assert set(counts.values()) == {1}
    assert len(counts) == 100


def test_whole_uris_need_no_folder(bucket, tmp_path):
    rows = ["photo,identity,split"]
    for number, split in enumerate(["train", "train", "query", "gallery"]):
        scheme = "gs" if number % 2 else "s3"
        write_photo(tmp_path / "a.jpg", soft_pattern(number, 20, 30))
        bucket.pipe_file(f"{scheme}://b/{number}.jpg", (tmp_path / "a.jpg").read_bytes())
        rows.append(f"{scheme}://b/{number}.jpg,{number // 2},{split}")
    (tmp_path / "items.csv").write_text("\n".join(rows))
    report = check("catalogue", progress=False, manifest=str(tmp_path / "items.csv"))
    assert report.counts["photos"]["usable"] == 4


def test_photos_of_a_folder(tmp_path):
    pixels = soft_pattern(3, 20, 30)
    write_photo(tmp_path / "a" / "b c.jpg", pixels)
    photos = open_photos(str(tmp_path), ["a/b c.jpg", "no.jpg"])
    assert "a/b c.jpg" in photos
    assert "no.jpg" not in photos
    assert "a" not in photos
    assert np.abs(photos.load("a/b c.jpg").astype(int) - pixels).mean() < 3
    for name, kind in (("no.jpg", "missing"), ("a", "unreadable")):
        with pytest.raises(UndecodablePhotoError) as error:
            photos.load(name)
        assert error.value.kind == kind


@pytest.mark.parametrize(
    ("name", "kind"), [("gone.jpg", "missing"), ("forbidden.jpg", "unreadable")]
)
def test_photos_that_a_bucket_does_not_give(bucket, name, kind):
    photos = CataloguePhotos("gs://shop")
    assert name in photos  # found out by reading it
    with pytest.raises(UndecodablePhotoError) as error:
        photos.load(name)
    assert error.value.kind == kind


def test_a_bucket_gives_no_more_than_the_largest_photo(bucket, monkeypatch):
    monkeypatch.setattr("fashion_jax.data_builders.catalogue.photos.MAX_BYTES", 1000)
    monkeypatch.setattr("fashion_jax.datasets.photos.MAX_BYTES", 1000)
    read = []
    whole = Bucket.cat_file
    monkeypatch.setattr(Bucket, "cat_file", lambda *a, **k: read.append(whole(*a, **k)) or read[-1])
    bucket.pipe_file("gs://shop/video.jpg", b"\xff\xd8\xff" + bytes(100_000))
    with pytest.raises(UndecodablePhotoError) as error:
        CataloguePhotos("gs://shop").load("video.jpg")
    assert error.value.kind == "too_large"
    assert [len(content) for content in read] == [1001]


@pytest.mark.parametrize("refusal", [OSError("416"), RuntimeError("416")])
def test_an_empty_photo_in_a_bucket_that_gives_no_part_of_it(bucket, monkeypatch, refusal):
    def refuse(self, path, start=None, end=None, **kwargs):
        raise refusal

    bucket.pipe_file("gs://shop/empty.jpg", b"")
    bucket.pipe_file("gs://shop/full.jpg", b"x")
    monkeypatch.setattr(Bucket, "cat_file", refuse)
    with pytest.raises(UndecodablePhotoError) as error:
        CataloguePhotos("gs://shop").load("empty.jpg")
    assert error.value.kind == "empty"
    wanted = UndecodablePhotoError if isinstance(refusal, OSError) else FileAccessError
    with pytest.raises(wanted, match="416"):
        CataloguePhotos("gs://shop").load("full.jpg")


def test_credentials_that_run_out_stop_the_build(bucket):
    with pytest.raises(
        FileAccessError, match=r"gs://shop/expired.jpg.*token has expired.*credentials"
    ):
        CataloguePhotos("gs://shop").load("expired.jpg")
    with pytest.raises(FileAccessError, match=r"token has expired.*credentials"):
        open_photos("gs://shop", ["expired.jpg"])


@pytest.mark.parametrize(
    ("root", "photo", "message"),
    [
        ("", "a.jpg", "such as a.jpg, are relative.*--photos"),
        ("nowhere", "a.jpg", "--photos .*nowhere is not a directory; .* holds here/"),
        ("here", "a.jpg", r"looked for .*here/a.jpg and 0 others; .*here holds other.jpg\."),
        ("gs://shop", "a.jpg", "looked for gs://shop/a.jpg"),
    ],
)
def test_not_one_photo(bucket, tmp_path, root, photo, message):
    write_photo(tmp_path / "here" / "other.jpg", soft_pattern(0, 9, 9))
    root = root if "://" in root or not root else str(tmp_path / root)
    with pytest.raises(FileAccessError, match=message):
        open_photos(root, [photo])


def test_storage_that_cannot_be_opened(monkeypatch):
    def not_installed(scheme, **settings):
        raise ImportError("Install s3fs to access S3")

    with pytest.raises(AddressError, match="unknown kind of storage ftpx://"):
        read_file("ftpx://a/b.csv")
    monkeypatch.setattr(fsspec, "filesystem", not_installed)
    with pytest.raises(AddressError, match=r"s3:// needs .*pip install 'fashion-jax\[s3\]'"):
        read_file("s3://a/b.csv")


def test_manifests_that_are_not_there(bucket, tmp_path):
    (tmp_path / "items.csv").write_text("")
    with pytest.raises(FileAccessError, match=r"no file .*item.csv; .* holds items.csv"):
        read_file(str(tmp_path / "item.csv"))
    with pytest.raises(FileAccessError, match="is a folder"):
        read_file(str(tmp_path))
    with pytest.raises(FileAccessError, match=r"no file gs://a/items\.csv$"):
        read_file("gs://a/items.csv")
    with pytest.raises(FileAccessError, match=r"expired\.csv cannot be read: .*token has expired"):
        read_file("gs://a/expired.csv")


def test_paths_are_made_absolute_and_uris_are_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert absolute("items.csv") == str(tmp_path.resolve() / "items.csv")
    assert absolute("gs://a/b/") == "gs://a/b"
    assert absolute("") == ""
