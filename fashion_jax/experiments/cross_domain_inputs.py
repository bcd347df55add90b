"""Opens runs and datasets for a cross-dataset evaluation; lists all problems at once."""

import collections
import contextlib
import dataclasses
import pathlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from fashion_jax.config import ExperimentConfig
from fashion_jax.datasets.dataset import BuiltDataset
from fashion_jax.errors import FashionJaxError
from fashion_jax.evaluation.embedded import TEST_SPLITS, open_test
from fashion_jax.inference.checkpoints import StoredCheckpoints
from fashion_jax.inference.model import read_run_config


@dataclasses.dataclass(frozen=True)
class OpenedRun:
    """A run with a checkpoint, and its test data.

    Attributes:
        name: name of the run's folder, or its whole path if two folders share the name.
        workdir: directory of the run, as given.
        config: config of the run.
        datasets: opened datasets, by name.
    """

    name: str
    workdir: str
    config: ExperimentConfig
    datasets: Mapping[str, BuiltDataset]


def open_runs(
    workdirs: Sequence[str], datasets: Sequence[str], data_dir: str | None
) -> list[OpenedRun]:
    """Open runs and datasets without loading weights or photos.

    Args:
        workdirs: directories of the runs; repeated ones are opened once.
        datasets: names of built datasets; repeated ones are opened once.
        data_dir: directory of built datasets; by default that of each run.

    Raises:
        FashionJaxError: runs, checkpoints or datasets are missing or do not fit together; all of
            them are listed.
    """
    problems: list[str] = []
    configs: dict[str, ExperimentConfig] = {}
    for workdir in _without_repeats(workdirs):
        with _noted(problems):
            configs[workdir] = _config(workdir)
    folders = [data_dir] if data_dir else [config.data.data_dir for config in configs.values()]
    built: dict[tuple[str, str], BuiltDataset] = {}
    for folder in dict.fromkeys(folders):
        for name in dict.fromkeys(datasets):
            with _noted(problems):
                built[folder, name] = _test(name, folder)
    problems += _different_builds(built)
    if not workdirs or not datasets:
        problems.append("name at least one run and one dataset: --runs A B --datasets C D")
    if problems:
        lines = "\n".join(f"  - {problem}" for problem in problems)
        raise FashionJaxError(f"nothing was embedded yet; problems: {len(problems)}\n{lines}")
    names = _names(list(configs))
    return [
        OpenedRun(
            names[workdir],
            workdir,
            config,
            {name: built[data_dir or config.data.data_dir, name] for name in datasets},
        )
        for workdir, config in configs.items()
    ]


@contextlib.contextmanager
def _noted(problems: list[str]) -> Iterator[None]:
    """Collect an error instead of raising it."""
    try:
        yield
    except FashionJaxError as error:
        problems.append(str(error))


def _config(workdir: str) -> ExperimentConfig:
    """Read the config of a run with a checkpoint."""
    config = read_run_config(workdir)
    checkpoints = StoredCheckpoints(pathlib.Path(workdir) / "checkpoints")
    with contextlib.closing(checkpoints):
        checkpoints.best_step()
    return config


def _test(name: str, folder: str) -> BuiltDataset:
    """Open a dataset in which queries have matches."""
    built = open_test(name, folder)
    query, gallery = (built.split(split) for split in TEST_SPLITS)
    if not np.isin(query.identity, gallery.identity).any():
        raise FashionJaxError(
            f"{name} in {built.directory}: none of the {len(query)} queries shows a product of the "
            f"{len(gallery)} gallery photos; build it again"
        )
    return built


def _different_builds(built: Mapping[tuple[str, str], BuiltDataset]) -> list[str]:
    """List datasets whose builds in several folders differ."""
    problems = []
    first: dict[str, BuiltDataset] = {}
    for (_, name), dataset in built.items():
        other = first.setdefault(name, dataset)
        if not _same(dataset, other):
            problems.append(
                f"the runs' data directories have different builds of {name}, which cannot share "
                f"a column: {other.directory} and {dataset.directory}; choose one by --data_dir"
            )
    return problems


def _same(one: BuiltDataset, other: BuiltDataset) -> bool:
    """Return whether two builds have the same test photos, cropped and encoded alike."""
    if one.directory == other.directory:
        return True
    return one.version == other.version and all(
        np.array_equal(one.split(name).photo_id, other.split(name).photo_id)
        and np.array_equal(one.split(name).identity, other.split(name).identity)
        and one.split(name).image_bytes(0) == other.split(name).image_bytes(0)
        for name in TEST_SPLITS
    )


def _without_repeats(workdirs: Sequence[str]) -> list[str]:
    """Keep the first of all paths to the same folder."""
    found: dict[pathlib.Path, str] = {}
    for workdir in workdirs:
        found.setdefault(pathlib.Path(workdir).resolve(), workdir)
    return list(found.values())


def _names(workdirs: Sequence[str]) -> dict[str, str]:
    """Return short names by workdir."""
    short = {workdir: pathlib.Path(workdir).resolve().name for workdir in workdirs}
    counts = collections.Counter(short.values())
    return {
        workdir: name if counts[name] == 1 else str(pathlib.Path(workdir))
        for workdir, name in short.items()
    }
