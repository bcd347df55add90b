import collections

import numpy as np
import pytest
from array_record.python.array_record_module import ArrayRecordReader
from tensorflow_datasets.proto import tf_example_pb2

from data_builders.street2shop.dummy_data import write_dummy_data
from fashion_jax.data.build import build
from fashion_jax.data.photos import decode_photo

StoredRecord = collections.namedtuple(
    "StoredRecord", "image identity domain category photo_id camera"
)


def read_split(directory, split):
    """Reads records back without the code under test, and without TFDS."""
    records = []
    for path in sorted(directory.glob(f"*-{split}.array_record-*")):
        reader = ArrayRecordReader(str(path))
        records += [parse_record(data) for data in reader.read_all()]
        reader.close()
    return records


def parse_record(data):
    feature = tf_example_pb2.Example.FromString(data).features.feature
    return StoredRecord(
        image=decode_photo(feature["image"].bytes_list.value[0]),
        identity=feature["identity"].int64_list.value[0],
        domain=("street", "shop")[feature["domain"].int64_list.value[0]],
        category=feature["category"].bytes_list.value[0].decode(),
        photo_id=feature["photo_id"].bytes_list.value[0].decode(),
        camera=np.int32(feature["camera"].int64_list.value[0]),
    )


@pytest.fixture(scope="session")
def raw(tmp_path_factory):
    """A tiny raw copy of Street2Shop with the known defects."""
    folder = tmp_path_factory.mktemp("raw") / "street2shop"
    write_dummy_data(folder)
    return folder


@pytest.fixture(scope="session")
def built(raw, tmp_path_factory):
    """The data_dir that it was built into, and the report."""
    data_dir = tmp_path_factory.mktemp("data")
    report = build("street2shop", data_dir, raw, progress=False)
    return data_dir, report


@pytest.fixture(scope="session")
def records(built):
    """Records of all splits."""
    directory = built[0] / "street2shop" / "1.0.0"
    splits = ("train", "query", "gallery", "val_query", "val_gallery")
    return {split: read_split(directory, split) for split in splits}


@pytest.fixture
def read_records():
    """Reads a split of street2shop in a data_dir."""
    return lambda data_dir, split: read_split(data_dir / "street2shop" / "1.0.0", split)
