"""The same records give the same bytes."""

import os
from collections.abc import Iterable, Iterator
from typing import Any

from tensorflow_datasets.core.writer import ExampleWriter
from tensorflow_datasets.proto import tf_example_pb2

KeyBytes = tuple[int, bytes]


class CanonicalWriter(ExampleWriter):
    """Writes an example's features in the order of their names.

    Protocol buffers serialize maps in an order that changes from process to process, so that two
    builds of the same photos would differ.
    """

    def write(self, path: str | os.PathLike[str], examples: Iterable[KeyBytes]) -> Any:
        """Writes one shard."""
        return super().write(path, _canonical(examples))


def _canonical(examples: Iterable[KeyBytes]) -> Iterator[KeyBytes]:
    for key, serialized in examples:
        example = tf_example_pb2.Example.FromString(serialized)
        yield key, example.SerializeToString(deterministic=True)
