"""Lists the packages: `configs` and `data_builders` are installed inside `fashion_jax`."""

from setuptools import find_packages, setup

_INSIDE = find_packages(include=["configs*", "data_builders*"])

setup(
    packages=find_packages(include=["fashion_jax*"]) + [f"fashion_jax.{name}" for name in _INSIDE]
)
