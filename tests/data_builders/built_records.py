"""Reads records of built datasets back without the code under test, and without TFDS."""

import collections

import numpy as np
from array_record.python.array_record_module import ArrayRecordReader
from tensorflow_datasets.proto import tf_example_pb2

from fashion_jax.datasets.photos import decode_photo
from fashion_jax.datasets.records import SPLITS

StoredRecord = collections.namedtuple(
    "StoredRecord", "image identity domain category photo_id camera"
)


def read_split(directory, split):
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


def read_all(data_dir, dataset):
    """Record of all splits."""
    return {split: read_split(data_dir / dataset / "1.0.0", split) for split in SPLITS}


def everything(records):
    return [record for split in records.values() for record in split]


def identities(records, *splits):
    return {record.identity for split in splits for record in records[split]}
