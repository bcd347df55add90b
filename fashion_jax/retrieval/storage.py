"""Folders that are replaced or changed atomically, and checksums of their files.

A new folder is filled under a temporary name next to its final one, then renamed. To change a
folder, new data folders are moved into it; then its manifest, the one file that names the data
folders in use, is replaced. A writer killed at any moment leaves the old state or the new one.
"""

import contextlib
import glob
import hashlib
import os
import pathlib
import re
import secrets
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager

import numpy as np
from jaxtyping import Float32

from fashion_jax.files import MEND, StorageError, require_utf8, writing
from fashion_jax.locks import lock_if_free, sole_writer

MANIFEST = "manifest.json"
DATA_PREFIX = "data-"
_DATA_FOLDERS = f"{DATA_PREFIX}*"
_LEFT_OVER = re.compile(rf"{DATA_PREFIX}[0-9a-f]{{16}}|\..*\.partial-.*|lost\+found")
LOCK = ".change.lock"
_LOCK_SUFFIX = ".lock"


def checksums(folder: pathlib.Path, names: Iterable[str] | None = None) -> dict[str, str]:
    """SHA-256 of files below a folder, by relative path.

    Args:
        folder: the folder.
        names: relative paths of the files; missing ones are left out. By default all files.
    """
    if names is None:
        names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*"))]
    found = {}
    for name in names:
        if (folder / name).is_file():
            with (folder / name).open("rb") as file:
                found[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def verify(folder: pathlib.Path, expected: Mapping[str, str]) -> None:
    """Check a folder's files against their checksums.

    Raises:
        StorageError: with the names of all files that are missing or damaged.
    """
    found = checksums(folder, expected)
    missing = [name for name in expected if name not in found]
    damaged = [name for name, checksum in found.items() if checksum != expected[name]]
    if missing or damaged:
        raise StorageError(
            f"{folder} is damaged: missing {', '.join(missing) or 'nothing'}; with a wrong "
            f"checksum {', '.join(damaged) or 'nothing'}. Copy it again from its source, or build "
            f"it again"
        )


def load_embeddings(path: pathlib.Path) -> Float32[np.ndarray, "rows dimensions"]:
    """Map stored embeddings into memory.

    Raises:
        StorageError: the file holds something else, or is damaged.
    """
    try:
        stored = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise StorageError(f"{path} is damaged ({error}). {MEND}") from error
    if not isinstance(stored, np.ndarray) or stored.dtype != np.float32 or stored.ndim != 2:
        found = f"{getattr(stored, 'dtype', 'files')} {list(getattr(stored, 'shape', []))}"
        raise StorageError(
            f"{path} is damaged: it holds {found}, not float32 [rows, dimensions]. {MEND}"
        )
    return stored


@contextlib.contextmanager
def staged(target: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yield an empty folder at `target`, which is removed at the end unless it was renamed.

    It is where renaming works: inside a folder that is there, which may be a mount point or lie in
    a folder that is read-only. Otherwise, it is next to `target`, or to the folder that a link
    leads to.

    Each is locked by a file next to it, for other hosts as well. Those of killed writers, whose
    locks are free, are removed.
    """
    target = target.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    place = target if target.is_dir() else target.parent
    prefix = _staging_prefix(target)
    for folder in {place, target.parent}:
        for left_over in folder.glob(f"{glob.escape(prefix)}*"):
            _remove_if_unlocked(left_over)
    folder = place / f"{prefix}{secrets.token_hex(4)}"
    # Locked before it exists; others may hold the lock for a moment, to see whether it is free.
    with sole_writer(_lock_of(folder), f"writing {target}", wait=True):
        try:
            folder.mkdir()
            with writing(target):
                yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _may_be_there(path: pathlib.Path) -> bool:
    """Whether a new folder may hold this: locks, and what killed writers and file systems leave."""
    if path.name.startswith(".") and path.name.endswith(_LOCK_SUFFIX):
        return path.is_file()
    return bool(_LEFT_OVER.fullmatch(path.name)) and path.is_dir()


def new_data_folder(staging: pathlib.Path) -> pathlib.Path:
    """Make a data folder under a name that was never used before."""
    folder = staging / f"{DATA_PREFIX}{secrets.token_hex(8)}"
    folder.mkdir()
    return folder


def require_place(target: pathlib.Path) -> None:
    """Refuse what `install` would refuse, before the content is made, which may take hours.

    Raises:
        StorageError: the name is taken by something without a manifest, or is not UTF-8.
    """
    require_utf8(target)
    if not (target / MANIFEST).is_file():
        require_free(target)


def require_free(target: pathlib.Path) -> None:
    """Refuse a name that is taken by anything but an empty folder.

    Raises:
        StorageError: if it is taken.
    """
    if target.exists() and not (target.is_dir() and all(map(_may_be_there, target.iterdir()))):
        raise StorageError(f"{target} exists already; choose another name, or remove it first")


def install_new(staging: pathlib.Path, target: pathlib.Path) -> None:
    """Rename a filled folder to a name that is free or belongs to an empty folder.

    Raises:
        StorageError: if the name is taken.
    """
    require_free(target)
    _sync(*staging.rglob("*"), staging)
    target = target.resolve()
    if staging.parent == target:  # the description last: it makes the folder what it is
        for path in sorted(staging.iterdir(), key=lambda path: path.suffix == ".json"):
            path.rename(target / path.name)
    else:
        staging.rename(target)
    _sync(target.parent)


def install(staging: pathlib.Path, target: pathlib.Path) -> None:
    """Replace `target` by a filled folder in one step; a missing target is created.

    Args:
        staging: filled folder with a manifest, and the data folders that it names.
        target: folder to replace. Its old data folders are removed last; its other files stay.

    Raises:
        StorageError: if `target` exists and is not a folder with a manifest.
    """
    if not (target / MANIFEST).is_file():
        install_new(staging, target)
        return
    with locked(target):
        replace_manifest(staging, target, {path.name for path in staging.glob(_DATA_FOLDERS)})


def replace_manifest(staging: pathlib.Path, target: pathlib.Path, in_use: Collection[str]) -> None:
    """Move new data folders into `target`, then replace its manifest in one step.

    Args:
        staging: folder with the new manifest and those of its data folders that are new.
        target: folder with a manifest, `locked` by the caller.
        in_use: names of all data folders in the new manifest. All others are removed last,
            including those of killed writers.
    """
    _sync(*staging.rglob("*"), staging)
    for new in sorted(staging.glob(_DATA_FOLDERS)):
        new.rename(target / new.name)
    _sync(target)
    (staging / MANIFEST).replace(target / MANIFEST)
    _sync(target)
    for old in sorted(target.glob(_DATA_FOLDERS)):
        if old.name not in in_use:
            shutil.rmtree(old, ignore_errors=True)


def discard(folder: pathlib.Path, target: pathlib.Path) -> None:
    """Remove a folder inside of `target` in one step.

    What a killed process leaves of it is removed by the next change of `target`.
    """
    target = target.resolve()
    gone = target / f"{_staging_prefix(target)}{secrets.token_hex(4)}"
    folder.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def locked(folder: pathlib.Path) -> AbstractContextManager[None]:
    """Lock a folder against other writers; waits until no other writer holds the lock.

    A file is locked, because network file systems keep locks of folders from other hosts. Readers
    need no lock.
    """
    return sole_writer(folder / LOCK, f"changing {folder}", wait=True)


def _sync(*paths: pathlib.Path) -> None:
    """Wait until files and folders are on the disk."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _staging_prefix(target: pathlib.Path) -> str:
    return f".{target.name}.partial-"


def _lock_of(staging: pathlib.Path) -> pathlib.Path:
    return staging.with_name(f"{staging.name}{_LOCK_SUFFIX}")


def _remove_if_unlocked(left_over: pathlib.Path) -> None:
    """Remove a staging folder, or the lock of one, unless its writer is alive."""
    folder = left_over.with_name(left_over.name.removesuffix(_LOCK_SUFFIX))
    with lock_if_free(_lock_of(folder)) as free:
        if free:
            shutil.rmtree(folder, ignore_errors=True)
