"""Preemption: SIGTERM asks a run to save where it is, and to end."""

import contextlib
import logging
import signal
import threading
from typing import Any

import jax
from jax.experimental import multihost_utils

logger = logging.getLogger(__name__)


class Preemption(contextlib.AbstractContextManager["Preemption"]):
    """The notice that a job is about to be ended.

    A single process takes SIGTERM itself. In a job of several, JAX's distributed runtime does: it
    hears the signal on any host, and agrees with the others on a step that none has passed.
    """

    def __init__(self) -> None:
        """Hear nothing yet."""
        self._noted = threading.Event()
        self._before: Any = None

    def __enter__(self) -> "Preemption":
        """Listen from now on."""
        in_main_thread = threading.current_thread() is threading.main_thread()
        if jax.process_count() == 1 and in_main_thread:  # others may not set handlers
            self._before = signal.signal(signal.SIGTERM, self._note)
        return self

    def __exit__(self, *error: object) -> None:
        """Leave SIGTERM to whoever had it before."""
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)
            self._before = None

    def is_due(self, step: int) -> bool:
        """Whether all hosts have to save after this step and end; to be asked after every step."""
        if jax.process_count() > 1 and multihost_utils.reached_preemption_sync_point(step):
            self._note()
        if self._noted.is_set():  # said here: a handler may have interrupted a message
            logger.info("SIGTERM: saving after step %d; a second one ends at once", step)
        return self._noted.is_set()

    def _note(self, *_: object) -> None:
        self._noted.set()
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
