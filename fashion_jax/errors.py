"""Errors that a user can act on."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from fashion_jax.similar_names import told_apart

_SHOWN = 10


class FashionJaxError(Exception):
    """An error that says what is wrong, where, and what to do; printed without a traceback."""


class PreemptedError(FashionJaxError):
    """A run that was asked to end, and has saved where it was."""

    def __init__(self, step: int) -> None:
        """Name the step."""
        super().__init__(
            f"asked to end (SIGTERM), and saved after step {step}; the same command goes on there"
        )


class UnwrittenResultError(FashionJaxError):
    """A result whose picture or report cannot be written.

    Attributes:
        result: the result, which is whole.
    """

    def __init__(self, result: Any, message: str):
        super().__init__(message)
        self.result = result


@contextlib.contextmanager
def keeping(result: Any, what: str) -> Iterator[None]:
    """Keep a result when what is made of it cannot be written.

    Args:
        result: the result; a command prints it all the same.
        what: what is written inside the context, for the message, such as `the picture`.

    Raises:
        UnwrittenResultError: in the place of an `OSError` or a `FashionJaxError`.
    """
    try:
        yield
    except OSError as error:
        place = error.filename or "a file"
        raise UnwrittenResultError(
            result, f"{what} cannot be written to {place}: {error.strerror or error}"
        ) from error
    except FashionJaxError as error:
        raise UnwrittenResultError(result, f"{what} cannot be written: {error}") from error


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
    """List the first of many names for a message; see `told_apart`."""
    shown = ", ".join(told_apart(names[:_SHOWN]))
    return f"{shown}, ... and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else shown
