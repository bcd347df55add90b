"""JSON with one meaning: what readers understand differently is refused, with the field's name."""

import collections
import functools
import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

# Other readers of JSON know whole numbers of 64 bits, signed or not.
_LOWEST, _HIGHEST = -(2**63), 2**64 - 1


class JsonError(ValueError):
    """A text that is not JSON, or JSON that readers understand differently."""


def decode(content: bytes | str, any_number: bool = False) -> Any:
    """Decode JSON in UTF-8 as plain values.

    Fields that occur twice, halves of surrogate pairs, and numbers beyond 64 bits are refused.

    Args:
        content: the text.
        any_number: accept whole numbers beyond 64 bits, and NaN and infinities, which are not JSON,
            but which Python writes, for a loss that diverged for instance.

    Raises:
        JsonError: says what was found, and in which field.
    """
    try:
        text = content.decode() if isinstance(content, bytes) else content
        values = json.loads(text, object_pairs_hook=functools.partial(_object, any_number))
        check_plain(values, "the text", any_number)
    except JsonError:
        raise
    except (ValueError, RecursionError) as error:
        # After the semicolon, Python suggests raising its limit on digits, which does not help.
        raise JsonError(str(error).partition(";")[0]) from error
    return values


def _object(any_number: bool, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its checked fields."""
    values = dict(pairs)
    if len(values) < len(pairs):
        ((twice, _),) = collections.Counter(name for name, _ in pairs).most_common(1)
        raise JsonError(f"the field {twice!r} occurs twice")
    for name, value in pairs:
        check_plain(name, "a field's name", any_number)
        check_plain(value, f"the field {name!r}", any_number)
    return values


def check_plain(value: Any, where: str, any_number: bool = False) -> None:
    """Check a value without the objects in it, which are checked when they end.

    Args:
        value: text, number, or list of them; others are not looked at.
        where: place of the value, for messages.
        any_number: see `decode`.

    Raises:
        JsonError: says what was found, and where.
    """
    if isinstance(value, list | tuple):
        for each in value:
            check_plain(each, where, any_number)
    elif isinstance(value, str):
        if not value.isascii() and any("\ud800" <= sign <= "\udfff" for sign in value):
            raise JsonError(
                f"{where} holds half a surrogate pair, which UTF-8 cannot encode: {value[:60]!r}"
            )
    elif any_number:
        return
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise JsonError(f"{where} is {value}, not a finite number")
    elif isinstance(value, int) and not _LOWEST <= value <= _HIGHEST:
        raise JsonError(f"{where} is a whole number beyond 64 bits")


def unknown_fields(found: Any, known: Any, place: str = "$") -> Iterator[str]:
    """Find the fields that a typed reading left out.

    Args:
        found: plain values as they were decoded.
        known: plain values of what was read from them.
        place: path of `found`.

    Yields:
        The path of each field of `found` that `known` lacks.
    """
    if isinstance(found, dict) and isinstance(known, Mapping):
        for name, value in found.items():
            if name not in known:
                yield f"{place}.{name}"
            elif isinstance(value, dict | list):
                yield from unknown_fields(value, known[name], f"{place}.{name}")
    elif isinstance(found, list) and isinstance(known, list | tuple):
        for number, (value, other) in enumerate(zip(found, known, strict=False)):
            if isinstance(value, dict | list):
                yield from unknown_fields(value, other, f"{place}[{number}]")


def digest(values: Any) -> str:
    """SHA-256 of plain values, whatever the order of their fields and the layout of their text."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
