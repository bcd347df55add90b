"""Errors that a user can act on."""

import contextlib
from collections.abc import Iterator, Sequence

_SHOWN = 10


class FashionJaxError(Exception):
    """An error that says what is wrong, where, and what to do; printed without a traceback."""


@contextlib.contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Name the extra of `pyproject.toml` that an import inside the context belongs to.

    Raises:
        FashionJaxError: if a package is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise FashionJaxError(
            f"the package {error.name} is not installed; install it with: "
            f"pip install 'fashion-jax[{extra}]'"
        ) from error


def named(names: Sequence[object]) -> str:
    """List the first of many names for a message."""
    shown = ", ".join(map(str, names[:_SHOWN]))
    return f"{shown}, ... and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else shown
