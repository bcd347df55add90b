"""Lists the packages; everything else about the distribution is in pyproject.toml."""

from setuptools import find_packages, setup

# Installed inside fashion_jax, so that the distribution takes one name in site-packages.
inner = find_packages(include=["configs*", "data_builders*"])

setup(packages=find_packages(include=["fashion_jax*"]) + [f"fashion_jax.{name}" for name in inner])
