import pytest

from data_builders.street2shop.dummy_data import write_dummy_data
from fashion_jax.data.build import build
from tests.data_builders.built_records import read_all, read_split


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
    return read_all(built[0], "street2shop")


@pytest.fixture
def read_records():
    """Reads a split of street2shop in a data_dir."""
    return lambda data_dir, split: read_split(data_dir / "street2shop" / "1.0.0", split)
