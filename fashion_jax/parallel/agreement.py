"""Checks that all hosts of a job have the same versions, config and data."""

import json
import platform
from collections.abc import Mapping
from importlib import metadata

import jax
import numpy as np
from jax.experimental import multihost_utils

from fashion_jax.errors import FashionJaxError

PACKAGES = ("fashion-jax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy")


class DisagreementError(FashionJaxError):
    """Hosts of one job that differ in what they have to have in common."""


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that compute and read."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # such as a checkout on the path
            found[name] = "not installed"
    return found


def gather_texts(text: str) -> list[str]:
    """Return the text of each process, in the order of their numbers; all have to call this."""
    if jax.process_count() == 1:
        return [text]
    own = np.frombuffer(text.encode(), np.uint8)
    lengths = multihost_utils.process_allgather(np.array([len(own)])).reshape(-1)
    padded = np.zeros(int(lengths.max()), np.uint8)
    padded[: len(own)] = own
    rows = multihost_utils.process_allgather(padded).reshape(len(lengths), -1)
    return [row[:size].tobytes().decode() for row, size in zip(rows, lengths, strict=True)]


def require_agreement(values: Mapping[str, str]) -> None:
    """Refuse hosts that differ; all have to call this.

    Args:
        values: what has to be the same, by a name for the message.

    Raises:
        DisagreementError: with each name and value that differ, and the hosts.
    """
    differences = find_differences([json.loads(text) for text in gather_texts(json.dumps(values))])
    if differences:
        said = "; ".join(differences)
        raise DisagreementError(
            f"the hosts of this job differ: {said}. Give all of them the same, and start again"
        )


def find_differences(hosts: list[dict[str, str]]) -> list[str]:
    """Describe what differs between hosts, by name.

    Examples:
        >>> find_differences([{"jax": "0.10.2"}, {"jax": "0.10.2"}, {"jax": "0.9.0"}])
        ["jax is '0.10.2' on 0, 1 and '0.9.0' on 2"]
    """
    found = []
    for name in {name: None for host in hosts for name in host}:
        places: dict[str, list[str]] = {}
        for number, host in enumerate(hosts):
            places.setdefault(host.get(name, "missing"), []).append(str(number))
        if len(places) > 1:
            parts = [f"{value!r} on {', '.join(each)}" for value, each in places.items()]
            found.append(f"{name} is {' and '.join(parts)}")
    return found
