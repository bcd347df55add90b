"""Stored JSON that is changed with its own checksum made right again: only its facts are wrong."""

import json
import pathlib
from collections.abc import Callable
from typing import Any

from fashion_jax.files import to_json


def change_json(path: pathlib.Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Apply `change`, which alters the values or returns others, to a sealed file."""
    values = json.loads(path.read_bytes())
    schema = values.pop("schema")
    del values["content_sha256"]
    changed = change(values)
    path.write_bytes(to_json(values if changed is None else changed, schema))
