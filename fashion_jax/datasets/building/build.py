"""`data check` and `data build`: from a dataset's name to its report."""

import contextlib
import difflib
import io
import os
import pathlib
import shutil
from collections.abc import Iterator, Sequence
from importlib import metadata
from typing import Any

import filelock

from fashion_jax.datasets.building.build_report import BuildReport, read_report
from fashion_jax.errors import FashionJaxError

DATASETS = "fashion_jax.datasets"  # group of entry points


class BuildError(FashionJaxError):
    """A dataset that cannot be built as asked for."""


def available_datasets() -> tuple[str, ...]:
    """Names of all datasets whose builder is installed, those of other packages included."""
    return tuple(sorted(metadata.entry_points(group=DATASETS).names))


def builder_class(dataset: str) -> Any:
    """Finds the TFDS builder of a dataset among the entry points `fashion_jax.datasets`.

    Raises:
        BuildError: not installed; the nearest right name is given.
    """
    names = available_datasets()
    if dataset not in names:
        near = difflib.get_close_matches(dataset, names, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}? " if near else ""
        raise BuildError(f"no dataset named {dataset!r}; {hint}there are {', '.join(names)}")
    (entry,) = metadata.entry_points(group=DATASETS, name=dataset)
    return entry.load()


def check(
    dataset: str,
    manual_dir: str | os.PathLike[str] | None = None,
    splits: Sequence[str] | None = None,
    threads: int | None = None,
    progress: bool = True,
    contact_sheet: str | os.PathLike[str] | None = None,
    **options: Any,
) -> BuildReport:
    """Reads a raw copy, decodes every photo once, and counts; writes no records.

    Args:
        dataset: name of a builder.
        manual_dir: folder of the raw copy; `None` for a dataset that has none.
        splits: to look at; by default all.
        threads: decoding threads; by default one a core.
        progress: whether to show a progress bar.
        contact_sheet: a PNG file that shows some photos, their boxes and what is cut out; `None`
            for none.
        **options: of the builder, such as `longest_side`.

    Raises:
        FashionJaxError: wrong folder, lists that cannot be read, a split without any photo.
    """
    builder = builder_class(dataset)(
        manual_dir=manual_dir, splits=splits, threads=threads, progress=progress, **options
    )
    return builder.check(contact_sheet)


def build(
    dataset: str,
    data_dir: str | os.PathLike[str],
    manual_dir: str | os.PathLike[str] | None = None,
    splits: Sequence[str] | None = None,
    overwrite: bool = False,
    threads: int | None = None,
    progress: bool = True,
    **options: Any,
) -> BuildReport:
    """Builds a dataset into `<data_dir>/<dataset>/<version>/`, the report beside the data.

    The folder appears when all is done, never before. What an earlier, interrupted build left is
    cleaned away. A dataset that is there already, built with the same options, is left as it is.

    Args:
        dataset: name of a builder.
        data_dir: folder of all built datasets.
        manual_dir: folder of the raw copy; `None` for a dataset that has none.
        splits: to build; by default all.
        overwrite: replace a dataset that is there already.
        threads: decoding threads; by default one a core.
        progress: whether to show a progress bar.
        **options: of the builder, such as `longest_side`.

    Returns:
        The report of this build, or the stored one of the dataset that is there.

    Raises:
        FashionJaxError: wrong folder, lists that cannot be read, a split without any photo, or a
            dataset of other options is there.
    """
    cls = builder_class(dataset)
    root = pathlib.Path(data_dir).expanduser().resolve()
    with _sole_build(root, dataset) as staging:
        builder = cls(
            data_dir=staging,
            manual_dir=manual_dir,
            splits=splits,
            threads=threads,
            progress=progress,
            **options,
        )
        final = root / dataset / str(builder.version)
        if final.exists() and not overwrite:
            return _stored_report(final, builder.option_values(), manual_dir)
        _prepare(builder)
        _publish(staging / dataset / str(builder.version), final, staging / "replaced")
    return read_report(final)


@contextlib.contextmanager
def _sole_build(root: pathlib.Path, dataset: str) -> Iterator[pathlib.Path]:
    """Yields the path of a directory to build in, to one process at a time."""
    staging = root / f".{dataset}.building"
    try:
        root.mkdir(parents=True, exist_ok=True)
        held = filelock.FileLock(root / f".{dataset}.lock", blocking=False).acquire()
    except filelock.Timeout as error:
        raise BuildError(f"another process is building {dataset} in {root}") from error
    except OSError as error:
        raise BuildError(f"cannot write to data_dir {root}: {error}") from error
    with held:
        _remove(staging)
        try:
            yield staging
        finally:
            _remove(staging)


def _remove(folder: pathlib.Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _stored_report(
    final: pathlib.Path, options: dict[str, Any], manual_dir: str | os.PathLike[str] | None
) -> BuildReport:
    try:
        report = read_report(final)
    except FashionJaxError as error:
        raise BuildError(f"{error}; pass --overwrite to build the dataset again") from error
    wanted, found = dict(options), dict(report.options)
    if manual_dir is not None:
        wanted["manual_dir"] = str(pathlib.Path(manual_dir).expanduser().resolve())
        found["manual_dir"] = report.manual_dir
    differing = [
        f"{name} {found.get(name)!r} instead of {wanted.get(name)!r}"
        for name in sorted({*wanted, *found})
        if wanted.get(name) != found.get(name)
    ]
    if differing:
        raise BuildError(
            f"{final} was built with {'; '.join(differing)}: pass --overwrite to replace it, "
            "or choose another data_dir"
        )
    return report


def _prepare(builder: Any) -> None:
    import tensorflow_datasets as tfds

    config = tfds.download.DownloadConfig(try_download_gcs=False)
    with contextlib.redirect_stdout(io.StringIO()):  # TFDS announces sizes that it does not know
        builder.download_and_prepare(download_config=config)


def _publish(built: pathlib.Path, final: pathlib.Path, replaced: pathlib.Path) -> None:
    final.parent.mkdir(parents=True, exist_ok=True)
    if final.exists():
        final.rename(replaced)
    built.rename(final)
