"""Values of flags and config fields that make no sense: refused by name, with no traceback."""

import pytest

from fashion_jax.addresses import AddressError
from fashion_jax.config import ConfigError, default_config, from_nested_dict
from fashion_jax.config.loading import load_module
from fashion_jax.datasets.dataset import open_dataset


@pytest.mark.parametrize("address", ["zz://bucket/data", "nobody://x/y"])
def test_a_data_dir_in_an_unknown_kind_of_storage(address):
    with pytest.raises(AddressError, match=r"unknown kind of storage .*://; use gs:// or s3://"):
        open_dataset("catalogue", address)


def test_a_data_dir_whose_package_is_not_installed(monkeypatch):
    def refuse(scheme, **settings):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.filesystem", refuse)
    with pytest.raises(AddressError, match=r"s3:// needs .*pip install 'fashion-jax\[s3\]'"):
        open_dataset("catalogue", "s3://bucket/data")


def test_a_config_file_that_ends_the_program_is_an_error(tmp_path):
    (tmp_path / "c.py").write_text("raise SystemExit(0)")
    with pytest.raises(ConfigError, match="line 1: SystemExit: 0"):
        load_module(tmp_path / "c.py")


@pytest.mark.parametrize("pad", [-1, 1001, 10**9])
def test_padding_that_no_memory_holds(pad):
    config = default_config()
    config.augment.pad = pad
    with pytest.raises(ConfigError, match=r"'augment.pad' must be an integer"):
        from_nested_dict(config.to_dict())
