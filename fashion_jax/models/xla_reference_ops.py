"""Asks for XLA's own convolutions where layers have a form of their own for CPUs."""

import contextlib
import contextvars
from collections.abc import Iterator

_asked = contextvars.ContextVar("library_forms", default=False)


@contextlib.contextmanager
def library_forms() -> Iterator[None]:
    """Within it, whatever is traced has XLA's convolutions only: operations can be counted."""
    token = _asked.set(True)
    try:
        yield
    finally:
        _asked.reset(token)


def library_forms_asked() -> bool:
    """Whether the caller is within `library_forms`."""
    return _asked.get()
