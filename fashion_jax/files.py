"""Files that are whole or not there at all."""

import os
import pathlib
import secrets


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Writes a file under another name, then renames it; missing folders are made.

    Whoever looks at `path` sees the old content or the new, whatever interrupts the writing.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Hosts that share a disk may have equal process numbers.
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}.unfinished")
    try:
        with unfinished.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
