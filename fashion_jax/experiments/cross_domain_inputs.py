"""Runs and datasets opened for a matrix train × test; what is missing is said all at once."""

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


class CrossDomainError(FashionJaxError):
    """Runs, checkpoints or datasets that are missing or do not fit together."""


@dataclasses.dataclass(frozen=True)
class OpenedRun:
    """A run that has a checkpoint, and the test data for it.

    Attributes:
        name: its folder's, or its whole path where two folders have the same.
        workdir: as it was given.
        config: of the run.
        datasets: opened, by their names.
    """

    name: str
    workdir: str
    config: ExperimentConfig
    datasets: Mapping[str, BuiltDataset]


def open_runs(
    workdirs: Sequence[str], datasets: Sequence[str], data_dir: str | None
) -> list[OpenedRun]:
    """Opens runs and datasets, but loads no weights and no photos yet.

    Args:
        workdirs: of the runs; one that is named twice is opened once.
        datasets: names of built datasets; the same.
        data_dir: where the datasets lie; by default where each run's config says.

    Raises:
        CrossDomainError: with all runs, checkpoints and datasets that are missing or do not fit.
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
        problems.append("it takes at least one run and one dataset: --runs=A,B --datasets=C,D")
    if problems:
        lines = "\n".join(f"  - {problem}" for problem in problems)
        raise CrossDomainError(f"nothing was embedded yet; problems: {len(problems)}\n{lines}")
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
    """Goes on after an error, which is kept."""
    try:
        yield
    except FashionJaxError as error:
        problems.append(str(error))


def _config(workdir: str) -> ExperimentConfig:
    """The config of a run that has a checkpoint."""
    config = read_run_config(workdir)
    checkpoints = StoredCheckpoints(pathlib.Path(workdir) / "checkpoints")
    with contextlib.closing(checkpoints):
        checkpoints.best_step()
    return config


def _test(name: str, folder: str) -> BuiltDataset:
    """A dataset with something to find in it."""
    built = open_test(name, folder)
    query, gallery = (built.split(split) for split in TEST_SPLITS)
    if not np.isin(query.identity, gallery.identity).any():
        raise FashionJaxError(
            f"{name} in {built.directory}: none of the {len(query)} queries shows a product that "
            f"is among the {len(gallery)} gallery photos; build it again"
        )
    return built


def _different_builds(built: Mapping[tuple[str, str], BuiltDataset]) -> list[str]:
    """Datasets that lie in several folders and are not the same in all of them."""
    problems = []
    first: dict[str, BuiltDataset] = {}
    for (_, name), dataset in built.items():
        other = first.setdefault(name, dataset)
        if not _same(dataset, other):
            problems.append(
                f"the runs' data folders have different builds of {name}, which cannot share a "
                f"column: {other.directory} and {dataset.directory}; choose with --data_dir"
            )
    return problems


def _same(one: BuiltDataset, other: BuiltDataset) -> bool:
    """Whether two builds have the same test photos, cut and encoded in the same way."""
    if one.directory == other.directory:
        return True
    return one.version == other.version and all(
        np.array_equal(one.split(name).photo_id, other.split(name).photo_id)
        and np.array_equal(one.split(name).identity, other.split(name).identity)
        and one.split(name).image_bytes(0) == other.split(name).image_bytes(0)
        for name in TEST_SPLITS
    )


def _without_repeats(workdirs: Sequence[str]) -> list[str]:
    """The first of all names of the same folder."""
    found: dict[pathlib.Path, str] = {}
    for workdir in workdirs:
        found.setdefault(pathlib.Path(workdir).resolve(), workdir)
    return list(found.values())


def _names(workdirs: Sequence[str]) -> dict[str, str]:
    """Short names by workdir."""
    short = {workdir: pathlib.Path(workdir).resolve().name for workdir in workdirs}
    counts = collections.Counter(short.values())
    return {
        workdir: name if counts[name] == 1 else str(pathlib.Path(workdir))
        for workdir, name in short.items()
    }
