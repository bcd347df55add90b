"""`fashion-jax train`, `ablation` and `demo`."""

import argparse
from typing import Any

from fashion_jax.cli.command import command, print_result

_CONFIG_HELP = (
    "path or name of a shipped config, with :VARIANT where it has variants, "
    "such as street2shop_vit:b16,336"
)


def add(commands: Any) -> None:
    """Adds the commands of this file."""
    _add_train(commands)
    _add_ablation(commands)
    _add_demo(commands)


def _add_train(commands: Any) -> None:
    train = command(
        commands,
        "train",
        _train,
        "train a model, or go on where a run in the workdir stopped",
        "Any field of the config can be set by --config.FIELD=VALUE, for example:\n"
        "  fashion-jax train --config=street2shop_small --workdir=runs/a \\\n"
        "      --config.training.epochs=3 --config.optimizer.learning_rate=1e-4",
        json_output=False,
    )
    train.add_argument("--config", required=True, help=_CONFIG_HELP)
    train.add_argument("--workdir", required=True, help="where the run's files go")
    train.set_defaults(takes_config=True)


def _add_ablation(commands: Any) -> None:
    ablation = command(
        commands,
        "ablation",
        _ablation,
        "train and evaluate the variants of an experiment over several seeds",
        "The config file has get_sweep() beside get_config(); see configs/ablation_small.py.\n"
        "Prints mean and standard deviation over seeds. Safe to interrupt; run the same command\n"
        "again to resume.",
    )
    ablation.add_argument(
        "--config", required=True, help="path or name of a shipped config with get_sweep()"
    )
    ablation.add_argument("--workdir", required=True, help="directory for the runs")
    ablation.add_argument("--seeds", type=int, default=3, help="runs of each variant (default: 3)")
    ablation.set_defaults(takes_config=True)


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


def _ablation(flags: argparse.Namespace) -> None:
    from fashion_jax.config import load_sweep
    from fashion_jax.experiments.ablation import run_ladder
    from fashion_jax.parallel.hosts import join_job

    join_job()
    experiments = load_sweep(flags.config, flags.overrides)
    print_result(run_ladder(experiments, flags.seeds, flags.workdir), flags)


def _demo(flags: argparse.Namespace) -> None:
    from fashion_jax.config import load_config
    from fashion_jax.experiments.demo import run_demo, with_data_dir

    config = with_data_dir(load_config("demo"), flags.data_dir)
    run_demo(config, flags.workdir, flags.report)
