"""`data check` and `data build`: from a dataset's name or builder to its report."""

import contextlib
import io
import json
import os
import pathlib
import re
import shutil
from collections.abc import Iterator, Sequence
from importlib import metadata
from typing import Any

from fashion_jax.addresses import address_of, is_address, working_copy
from fashion_jax.datasets.building.beam_pass import BeamPass
from fashion_jax.datasets.building.build_report import BuildReport, read_report
from fashion_jax.datasets.dataset import BuiltDataset
from fashion_jax.errors import FashionJaxError
from fashion_jax.files import require_utf8, to_json
from fashion_jax.locks import sole_writer
from fashion_jax.similar_names import did_you_mean, reprs

DATASETS = "fashion_jax.datasets"  # group of entry points
_OCTAL = re.compile(r"\\(\d{3})")  # a blank in Linux's list of mounts

Builder = str | type[Any]  # name of an entry point, or a subclass of RetrievalBuilder


class BuildError(FashionJaxError):
    """A dataset that cannot be built as requested."""


def available_datasets() -> tuple[str, ...]:
    """List the names of all installed builders, including those of other packages."""
    return tuple(sorted(metadata.entry_points(group=DATASETS).names))


def builder_class(dataset: Builder) -> Any:
    """Find the builder of a dataset among the entry points `fashion_jax.datasets`.

    Args:
        dataset: name of an entry point; or a builder class, which is returned unchanged.

    Raises:
        BuildError: if it is not installed; with the nearest known name.
    """
    if not isinstance(dataset, str):
        return dataset
    names = available_datasets()
    if dataset not in names:
        hint = did_you_mean(dataset, names, cutoff=0.4)
        raise BuildError(f"unknown dataset {dataset!r}; known are {', '.join(names)}{hint}")
    (entry,) = metadata.entry_points(group=DATASETS, name=dataset)
    return entry.load()


def check(
    dataset: Builder,
    manual_dir: str | os.PathLike[str] | None = None,
    splits: Sequence[str] | None = None,
    threads: int | None = None,
    progress: bool = True,
    contact_sheet: str | os.PathLike[str] | None = None,
    **options: Any,
) -> BuildReport:
    """Read a raw copy, decode every photo once, and count; write no records.

    Args:
        dataset: name of a builder, or a subclass of `RetrievalBuilder`.
        manual_dir: directory of the raw copy; `None` for a dataset without one.
        splits: splits to check; by default all.
        threads: number of decoding threads; by default one per core.
        progress: whether to show a progress bar.
        contact_sheet: PNG file for some photos, their boxes and crops; `None` for none.
        **options: options of the builder, such as `longest_side`.

    Raises:
        FashionJaxError: if the directory is not a raw copy, or its lists cannot be read.
    """
    builder = builder_class(dataset)(
        manual_dir=manual_dir, splits=splits, threads=threads, progress=progress, **options
    )
    return builder.check(contact_sheet)


def build(
    dataset: Builder,
    data_dir: str | os.PathLike[str],
    manual_dir: str | os.PathLike[str] | None = None,
    splits: Sequence[str] | None = None,
    overwrite: bool = False,
    threads: int | None = None,
    progress: bool = True,
    beam: Sequence[str] | None = None,
    **options: Any,
) -> BuildReport:
    """Build a dataset into `<data_dir>/<name>/<version>/`, with a report next to the data.

    The directory appears only when the build is complete; leftovers of an interrupted build are
    removed. An existing dataset built with the same options is left unchanged. With `overwrite` it
    stays until the new one is complete; if the exchange is interrupted, the next build of the
    dataset puts it back.

    Args:
        dataset: name of a builder, or a subclass of `RetrievalBuilder`.
        data_dir: directory of built datasets, also gs:// or s3://.
        manual_dir: directory of the raw copy; `None` for a dataset without one.
        splits: splits to build; by default all.
        overwrite: whether to replace an existing dataset.
        threads: number of decoding threads; by default one per core.
        progress: whether to show a progress bar.
        beam: process the photos with Apache Beam and these pipeline options, such as
            `runner=FlinkRunner`; the records are the same. () for Beam's defaults; by default,
            threads of this process do it.
        **options: options of the builder, such as `longest_side`.

    Returns:
        Report of this build, or the stored one of the existing dataset.

    Raises:
        FashionJaxError: if the directory is not a raw copy, its lists cannot be read, a split has
            no usable photo, or the existing dataset was built with other options or is damaged;
            `InUseError` if another process is building it.
    """
    cls = builder_class(dataset)
    name = cls.name
    if is_address(data_dir):
        with working_copy(f"{os.fspath(data_dir).rstrip('/')}/{name}") as own:
            place = own.parent
            return build(
                cls, place, manual_dir, splits, overwrite, threads, progress, beam, **options
            )
    root = pathlib.Path(data_dir).expanduser().resolve()
    with _sole_build(root, name) as staging, _beam_pass(staging, beam) as passed:
        builder = cls(
            data_dir=staging,
            manual_dir=manual_dir,
            splits=splits,
            threads=threads,
            progress=progress,
            beam=passed,
            **options,
        )
        final = root / name / str(builder.version)
        if final.exists() and not overwrite:
            return _stored_report(final, builder.option_values(), manual_dir)
        _refuse_mount_point(final)
        _prepare(builder)
        _publish(staging / name / str(builder.version), final, _aside(final.parent))
    return read_report(final)


@contextlib.contextmanager
def _beam_pass(staging: pathlib.Path, options: Sequence[str] | None) -> Iterator[BeamPass | None]:
    """Yield a pass of Beam, whose results are removed at the end.

    They lie where its workers can write: for a build at an address, there.
    """
    if options is None:
        yield None
        return
    there = address_of(staging.parent)
    passed = BeamPass(f"{there or staging}/.processed", options)
    passed.clear()  # of a build that was killed
    try:
        yield passed
    finally:
        passed.clear()


@contextlib.contextmanager
def _sole_build(root: pathlib.Path, dataset: str) -> Iterator[pathlib.Path]:
    """Yield the path of a directory to build in, to one process at a time.

    It is inside the dataset's own folder, from where a version can be renamed to its place even if
    that folder is a mount point or a link to another disk.
    """
    require_utf8(root)
    own = root / dataset
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BuildError(f"cannot write to data_dir {root}: {error}") from error
    with sole_writer(root / f".{dataset}.lock", f"building {dataset} in {root}"):
        is_new = not own.exists()
        own.resolve().mkdir(parents=True, exist_ok=True)
        staging, aside = own / ".building", _aside(own)
        _put_back(aside, own)
        _remove(staging)
        try:
            yield staging
        finally:
            _put_back(aside, own)
            _remove(staging)
            if is_new:
                with contextlib.suppress(OSError):  # the dataset is in it
                    own.rmdir()


def _aside(own: pathlib.Path) -> pathlib.Path:
    return own / ".replaced"


def _refuse_mount_point(final: pathlib.Path) -> None:
    """Refuse before the build what no rename could replace after it."""
    mounts = pathlib.Path("/proc/self/mountinfo")  # knows bind mounts of the same disk as well
    lines = mounts.read_text(errors="replace").splitlines() if mounts.exists() else []
    places = {_OCTAL.sub(lambda found: chr(int(found[1], 8)), line.split()[4]) for line in lines}
    if os.path.ismount(final) or os.fspath(final.resolve()) in places:
        raise BuildError(
            f"{final} is a mount point, which cannot be replaced: mount {final.parent} instead"
        )


def _remove(folder: pathlib.Path) -> None:
    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
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
    wanted = json.loads(to_json(wanted))  # as the report holds them
    differing = [
        f"{name} {' instead of '.join(reprs(found.get(name), wanted.get(name)))}"
        for name in sorted({*wanted, *found})
        if wanted.get(name) != found.get(name)
    ]
    if differing:
        raise BuildError(
            f"{final} was built with {'; '.join(differing)}: pass --overwrite to replace it, "
            "or choose another data_dir"
        )
    BuiltDataset(final.parent.name, str(final)).check()
    return report


def _prepare(builder: Any) -> None:
    import tensorflow_datasets as tfds

    config = tfds.download.DownloadConfig(try_download_gcs=False)
    with contextlib.redirect_stdout(io.StringIO()):  # TFDS announces sizes it does not know
        builder.download_and_prepare(download_config=config)


def _publish(built: pathlib.Path, final: pathlib.Path, aside: pathlib.Path) -> None:
    """Put a built dataset in its place; the one that is there lies aside until then."""
    if final.exists():
        aside.mkdir()
        final.rename(aside / final.name)
    built.rename(final)
    _remove(aside)


def _put_back(aside: pathlib.Path, place: pathlib.Path) -> None:
    """Put back what an interrupted `_publish` left aside, unless the new dataset has its place."""
    if not aside.exists():
        return
    for old in aside.iterdir():
        if not (place / old.name).exists():
            old.rename(place / old.name)
    _remove(aside)
