"""Lists of photos in tests: read, refused, and encoded."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fashion_jax.datasets.photo_lists.fields import FIELD
from fashion_jax.datasets.photo_lists.photo_list import read_photo_list
from fashion_jax.datasets.photo_lists.problems import PhotoListError


def read(content, **options):
    data = content if isinstance(content, bytes) else content.encode()
    return read_photo_list(data, "items.csv", **options)


def fields_of(listed):
    names = [name for name in listed.rows.column_names if name.startswith(FIELD)]
    return {name.removeprefix(FIELD): listed.rows[name].to_pylist() for name in names}


def refused(content, **options):
    with pytest.raises(PhotoListError) as error:
        read(content, **options)
    assert str(error.value).startswith("items.csv")
    return str(error.value)


def parquet(columns):
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue().to_pybytes()
