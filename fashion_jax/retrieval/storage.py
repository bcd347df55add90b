"""Folders that are there whole or not at all, and files that are what they were.

A folder is filled under another name beside its final one and renamed. To change it, new parts are
moved in beside those there, and its manifest, the one file that says which parts count, is
exchanged in one step; a writer killed at any moment leaves the old state or the new one.
"""

import contextlib
import hashlib
import logging
import os
import pathlib
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping

import filelock

from fashion_jax.files import StorageError

MANIFEST = "manifest.json"
PART_PREFIX = "data-"

logger = logging.getLogger(__name__)


def checksums(folder: pathlib.Path) -> dict[str, str]:
    """SHA-256 of every file below a folder, by its relative path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): _checksum(path) for path in files}


def verify(folder: pathlib.Path, expected: Mapping[str, str]) -> None:
    """Checks a folder's files against their checksums.

    Raises:
        StorageError: with the names of all files that are missing or damaged.
    """
    missing = [name for name in expected if not (folder / name).is_file()]
    damaged = [
        name
        for name, checksum in expected.items()
        if name not in missing and _checksum(folder / name) != checksum
    ]
    if missing or damaged:
        raise StorageError(
            f"{folder} is damaged: missing {_names(missing)}; with a wrong checksum "
            f"{_names(damaged)}. Copy it again from where it came from, or build it again"
        )


@contextlib.contextmanager
def staged(target: pathlib.Path) -> Iterator[pathlib.Path]:
    """An empty folder beside `target` to fill; gone afterwards, unless it was renamed.

    Folders that killed writers left there are removed, too: those that nobody holds a lock on.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{target.name}.partial-"
    for left_over in target.parent.glob(f"{prefix}*"):
        _remove_if_unlocked(left_over)
    with _new_locked_folder(prefix, target.parent) as folder:
        try:
            folder.chmod(0o755)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def install_new(staging: pathlib.Path, target: pathlib.Path) -> None:
    """Renames a filled folder to a name that is free, or an empty folder's.

    Raises:
        StorageError: if the name is taken.
    """
    if target.exists() and not _is_empty_folder(target):
        raise StorageError(f"{target} exists already; choose another name, or remove it first")
    sync(staging)
    staging.rename(target)
    _sync_path(target.parent)


def install(staging: pathlib.Path, target: pathlib.Path) -> None:
    """Puts a filled folder with a manifest in the place of `target`, in one step.

    Args:
        staging: holds the manifest and the parts that it names, folders whose names start with
            `PART_PREFIX` and are never used twice.
        target: its old parts are removed at last; files of other names stay.

    Raises:
        StorageError: if `target` is something else than a folder with a manifest.
    """
    if not (target / MANIFEST).is_file():
        install_new(staging, target)
        return
    with locked(target):
        exchange(staging, target, {part.name for part in _parts(staging)})


def exchange(staging: pathlib.Path, target: pathlib.Path, kept: Collection[str]) -> None:
    """Gives `target` the manifest and the parts of a filled folder, in one step.

    Args:
        staging: holds the new manifest, and those of its parts that `target` does not have yet.
        target: a folder with a manifest, which the caller has `locked`.
        kept: names of all parts that the new manifest names; the others are removed at last,
            with what killed writers left.
    """
    sync(staging)
    for part in _parts(staging):
        part.rename(target / part.name)
    _sync_path(target)
    (staging / MANIFEST).replace(target / MANIFEST)
    _sync_path(target)
    for part in _parts(target):
        if part.name not in kept:
            shutil.rmtree(part, ignore_errors=True)


@contextlib.contextmanager
def locked(folder: pathlib.Path) -> Iterator[None]:
    """Waits until nobody else changes a folder, and keeps others from changing it.

    The folder itself is locked, so that a lock leaves no file in it or beside it. The kernel
    releases the lock when the process dies, however it dies. Readers need no lock.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if not filelock.lock_descriptor(descriptor, blocking=False):
            logger.info("waiting for another command that is changing %s", folder)
            filelock.lock_descriptor(descriptor)
        yield
    finally:
        os.close(descriptor)


def sync(folder: pathlib.Path) -> None:
    """Waits until everything below a folder is on the disk."""
    for path in [*folder.rglob("*"), folder]:
        _sync_path(path)


def _sync_path(path: pathlib.Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _new_locked_folder(prefix: str, parent: pathlib.Path) -> Iterator[pathlib.Path]:
    """A new folder with a lock on it; it is another's left-over to nobody."""
    while True:
        folder = pathlib.Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        with contextlib.ExitStack() as stack:
            # Another writer may have taken it for left over before the lock was on it.
            with contextlib.suppress(FileNotFoundError):
                stack.enter_context(locked(folder))
            if folder.exists():
                yield folder
                return


def _parts(folder: pathlib.Path) -> list[pathlib.Path]:
    return sorted(folder.glob(f"{PART_PREFIX}*"))


def _remove_if_unlocked(folder: pathlib.Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            if filelock.lock_descriptor(descriptor, blocking=False):
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(descriptor)


def _is_empty_folder(path: pathlib.Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def _checksum(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _names(names: list[str]) -> str:
    return ", ".join(names) or "nothing"
