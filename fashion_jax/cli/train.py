"""`fashion-jax train`, `ladder` and `demo`."""

import argparse
import importlib
from typing import Any

from fashion_jax.cli.command import command, print_result


def add(commands: Any) -> None:
    """Adds the commands of this file."""
    _add_train(commands)
    _add_ladder(commands)
    _add_demo(commands)


def _add_train(commands: Any) -> None:
    train = command(
        commands,
        "train",
        _train,
        "train a model, or go on where a run in the workdir stopped",
        "Any field of the config can be set by --config.FIELD=VALUE, for example:\n"
        "  fashion-jax train --config=configs/street2shop_small.py --workdir=runs/a \\\n"
        "      --config.training.epochs=3 --config.optimizer.learning_rate=1e-4",
        json_output=False,
    )
    train.add_argument("--config", required=True, help="a file with get_config(); see configs/")
    train.add_argument("--workdir", required=True, help="where the run's files go")
    train.set_defaults(takes_config=True)


def _add_ladder(commands: Any) -> None:
    ladder = command(
        commands,
        "ladder",
        _ladder,
        "train and measure a ladder of experiments, each of which adds one trick",
        "The config file has get_ladder() beside get_config(); see configs/ladder_small.py.\n"
        "Prints mean and standard deviation over seeds; goes on where it was interrupted.",
    )
    ladder.add_argument("--config", required=True, help="a file with get_ladder()")
    ladder.add_argument("--workdir", required=True, help="where the runs' folders go")
    ladder.add_argument("--seeds", type=int, default=3, help="runs of each rung (default: 3)")
    ladder.set_defaults(takes_config=True)


def _add_demo(commands: Any) -> None:
    demo = command(
        commands,
        "demo",
        _demo,
        "build, train, evaluate, index and search drawn garments in a few minutes",
        json_output=False,
    )
    demo.add_argument(
        "--workdir", default="runs/demo", help="the run's folder (default: %(default)s)"
    )
    demo.add_argument("--data_dir", default="data", help="for the dataset (default: %(default)s)")
    demo.add_argument("--report", default="report", help="for index.html (default: %(default)s)")


def _train(flags: argparse.Namespace) -> None:
    from fashion_jax.config import load_config
    from fashion_jax.parallel.hosts import join_job
    from fashion_jax.training.loop import train

    join_job()
    train(load_config(flags.config, flags.overrides), flags.workdir)


def _ladder(flags: argparse.Namespace) -> None:
    from fashion_jax.config import load_ladder
    from fashion_jax.experiments.ablation import run_ladder
    from fashion_jax.parallel.hosts import join_job

    join_job()
    rungs = load_ladder(flags.config, flags.overrides)
    print_result(run_ladder(rungs, flags.seeds, flags.workdir), flags)


def _demo(flags: argparse.Namespace) -> None:
    from fashion_jax.config import from_nested_dict
    from fashion_jax.experiments.demo import run_demo, with_data_dir

    demo = importlib.import_module("fashion_jax.configs.demo")
    config = with_data_dir(from_nested_dict(demo.get_config().to_dict()), flags.data_dir)
    run_demo(config, flags.workdir, flags.report)
