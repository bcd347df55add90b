"""One writer at a time: locks that say who holds them, and since when."""

import contextlib
import datetime
import errno
import logging
import os
import pathlib
import socket
import stat
import time
from collections.abc import Iterator

import filelock

from fashion_jax.errors import FashionJaxError
from fashion_jax.files import reason

logger = logging.getLogger(__name__)

_LONGEST_HOLDER = 200  # bytes
_ATTEMPTS = 5
_SECONDS_BETWEEN_ATTEMPTS = 0.1
_NOT_A_FILE = (errno.EISDIR, errno.ELOOP, errno.ENXIO)  # opening a folder, a link, a socket


class InUseError(FashionJaxError):
    """A folder that another process is writing.

    Attributes:
        found: the holder and what it does, in words.
    """

    def __init__(self, doing: str, holder: str) -> None:
        """Say what the holder is doing, and who it is."""
        self.found = f"another process is {doing}: {holder}"
        super().__init__(
            f"{self.found}. Wait until it has ended, or end it, then run the same command again"
        )


@contextlib.contextmanager
def sole_writer(path: pathlib.Path, doing: str, wait: bool = False) -> Iterator[None]:
    """Hold a lock while something is written; a second writer is told who holds it.

    The kernel releases the lock when the process dies, however it dies; the file that a killed
    process leaves locks nothing. Other hosts respect the lock where the file system passes locks
    on, as NFS, Lustre and GPFS do when they are mounted so. A file system without locks is
    reported in a warning. A lock cannot be taken twice, not by the same process either.

    Args:
        path: file of the lock; made together with its folder, and removed at the end.
        doing: what the holder does, for messages, such as `training the run in runs/a`.
        wait: whether a second writer waits, and says so once in the log; else it is refused.

    Raises:
        InUseError: the lock is held, and `wait` is not set; with the holder's process number, host
            and time.
        FashionJaxError: the file cannot be written, or is not a regular file.
    """
    descriptor = _awaited_file(path, doing) if wait else _locked_file(path, doing)
    try:
        with contextlib.suppress(OSError):  # a full disk: the lock is held all the same
            os.ftruncate(descriptor, 0)
            os.write(descriptor, _this_process().encode())
        yield
    finally:
        _release(path, descriptor)


@contextlib.contextmanager
def lock_if_free(path: pathlib.Path) -> Iterator[bool]:
    """Hold a lock that no process holds, such as that of a killed writer.

    Yields:
        Whether it is held here: `False` if another process holds it, or the file system has no
        locks.
    """
    try:
        descriptor = _open(path)
    except FashionJaxError:
        yield False
        return
    try:
        free = filelock.lock_descriptor(descriptor, blocking=False)
    except OSError:
        free = False
    try:
        yield free
    finally:
        if free:
            _release(path, descriptor)
        else:
            os.close(descriptor)


def _awaited_file(path: pathlib.Path, doing: str) -> int:
    """Open and lock the file as soon as no other process holds it."""
    waiting = False
    while True:
        try:
            return _locked_file(path, doing)
        except InUseError as error:
            if not waiting:
                logger.info("waiting: %s", error.found)
            waiting = True
        time.sleep(_SECONDS_BETWEEN_ATTEMPTS)


def _release(path: pathlib.Path, descriptor: int) -> None:
    try:
        if _is_at(path, descriptor):  # removed while it is held: see `_locked_file`
            with contextlib.suppress(OSError):
                path.unlink()
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int, path: pathlib.Path, doing: str) -> bool:
    """Lock an open file unless it is locked; warn where the file system has no locks."""
    try:
        return filelock.lock_descriptor(descriptor, blocking=False)
    except OSError as error:
        if error.errno == errno.ESTALE:  # its holder has removed it: see `_locked_file`
            return True
        logger.warning(
            "%s cannot be locked (%s): make sure that no second process is %s",
            path,
            reason(error),
            doing,
        )
        return True


def _locked_file(path: pathlib.Path, doing: str) -> int:
    """Open and lock the file; again if its last holder removed it in between."""
    for _ in range(_ATTEMPTS):
        descriptor = _opened_and_locked(path, doing)
        if _is_at(path, descriptor):
            return descriptor
        os.close(descriptor)
    return _opened_and_locked(path, doing)  # some file systems number a file anew at each look


def _opened_and_locked(path: pathlib.Path, doing: str) -> int:
    descriptor = _open(path)
    try:
        if not _try_lock(descriptor, path, doing):
            raise InUseError(doing, _holder(descriptor))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _open(path: pathlib.Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Neither a link's target may be overwritten, nor a pipe's reader awaited.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    except (FileExistsError, NotADirectoryError) as error:
        raise FashionJaxError(f"cannot write to {path.parent}: it is not a folder") from error
    except (OSError, ValueError) as error:
        if getattr(error, "errno", None) in _NOT_A_FILE:
            raise _not_a_file(path) from error
        raise FashionJaxError(f"cannot write to {path}: {reason(error)}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _not_a_file(path)
    return descriptor


def _not_a_file(path: pathlib.Path) -> FashionJaxError:
    return FashionJaxError(
        f"{path} is not a regular file, but the place of a lock; remove it, or move it away"
    )


def _is_at(path: pathlib.Path, descriptor: int) -> bool:
    try:
        held = os.fstat(descriptor)
        # A network file system may list a name for a while after another host has removed it.
        return held.st_nlink > 0 and os.path.samestat(held, os.lstat(path))
    except OSError:
        return False


def _this_process() -> str:
    since = datetime.datetime.now().astimezone().isoformat(" ", "seconds")
    return f"process {os.getpid()} on {socket.gethostname()}, since {since}\n"


def _holder(descriptor: int) -> str:
    text = os.pread(descriptor, _LONGEST_HOLDER, 0).decode("utf-8", "replace").strip()
    return "".join(filter(str.isprintable, text)) or "it began a moment ago"
