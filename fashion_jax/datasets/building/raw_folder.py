"""The folder of a raw copy: what to say where it is not the right one."""

import pathlib
from collections.abc import Callable

from fashion_jax.errors import FashionJaxError


class LayoutError(FashionJaxError):
    """A folder that is no raw copy of the dataset."""


def no_raw_copy(
    manual_dir: pathlib.Path,
    dataset: str,
    looked_for: str,
    is_copy: Callable[[pathlib.Path], bool],
) -> LayoutError:
    """The error of a folder in which nothing of a dataset was found.

    Args:
        manual_dir: the folder.
        dataset: its name for people.
        looked_for: the files or folders that make a raw copy.
        is_copy: tells a raw copy; a folder just above or below that is one is named.
    """
    state = "holds no raw copy of " + dataset if manual_dir.exists() else "does not exist"
    nearby = _nearby(manual_dir, is_copy)
    hint = f"; did you mean {nearby}?" if nearby else ""
    return LayoutError(f"manual_dir {manual_dir} {state}: looked for {looked_for}{hint}")


def _nearby(
    manual_dir: pathlib.Path, is_copy: Callable[[pathlib.Path], bool]
) -> pathlib.Path | None:
    below = sorted(path for path in manual_dir.glob("*") if path.is_dir())
    above = list(manual_dir.parents)[:2]
    return next((path for path in (*below, *above) if is_copy(path)), None)
