"""`fashion-jax train`, `ablation` and `demo`."""

import argparse
from typing import Any

from fashion_jax.cli.command import command, print_result

_CONFIG_HELP = (
    "path or name of a shipped config, with :VARIANT where it has variants, "
    "such as street2shop_vit:b16,336"
)


def add(commands: Any) -> None:
    """Add the commands of this file."""
    _add_train(commands)
    _add_ablation(commands)
    _add_demo(commands)


def _add_train(commands: Any) -> None:
    train = command(
        commands,
        "train",
        _train,
        "train a model, or resume the run in the workdir",
        "Set any field of the config by --config.FIELD=VALUE, for example:\n"
        "  fashion-jax train --config=street2shop_small --workdir=runs/a \\\n"
        "      --config.training.epochs=3 --config.optimizer.learning_rate=1e-4",
        json_output=False,
    )
    train.add_argument("--config", required=True, metavar="CONFIG", help=_CONFIG_HELP)
    train.add_argument(
        "--workdir", required=True, metavar="RUN", help="directory of the run; new, or to resume"
    )
    train.set_defaults(takes_config=True)


def _add_ablation(commands: Any) -> None:
    ablation = command(
        commands,
        "ablation",
        _ablation,
        "train and evaluate the variants of an experiment over several seeds",
        "The config file has get_config() and get_sweep(); see configs/ablation_small.py.\n"
        "Prints mean and standard deviation over seeds. Safe to interrupt; run the same command\n"
        "again to resume.",
    )
    ablation.add_argument(
        "--config",
        required=True,
        metavar="CONFIG",
        help="path or name of a shipped config with get_sweep()",
    )
    ablation.add_argument(
        "--workdir", required=True, metavar="DIR", help="directory for the runs and ablation.md"
    )
    ablation.add_argument(
        "--seeds",
        type=int,
        default=3,
        metavar="N",
        help="runs of each variant (default: %(default)s)",
    )
    ablation.set_defaults(takes_config=True)


def _add_demo(commands: Any) -> None:
    demo = command(
        commands,
        "demo",
        _demo,
        "build a dataset of drawn garments, train, index, search and evaluate in a few minutes",
    )
    demo.add_argument(
        "--workdir",
        default="runs/demo",
        metavar="RUN",
        help="directory of the run (default: %(default)s)",
    )
    demo.add_argument(
        "--data_dir",
        default="data",
        metavar="DIR",
        help="directory of built datasets (default: %(default)s)",
    )
    demo.add_argument(
        "--report",
        default="report",
        metavar="DIR",
        help="directory of index.html (default: %(default)s)",
    )


def _train(flags: argparse.Namespace) -> None:
    from fashion_jax.config import load_config
    from fashion_jax.parallel.hosts import join_job
    from fashion_jax.training.loop import train

    join_job()
    train(load_config(flags.config, flags.overrides), flags.workdir)


def _ablation(flags: argparse.Namespace) -> None:
    from fashion_jax.config import load_sweep
    from fashion_jax.experiments.ablation import run_ablation
    from fashion_jax.parallel.hosts import join_job

    join_job()
    variants = load_sweep(flags.config, flags.overrides)
    print_result(run_ablation(variants, flags.seeds, flags.workdir), flags)


def _demo(flags: argparse.Namespace) -> None:
    from fashion_jax.config import load_config
    from fashion_jax.experiments.demo import run_demo, with_data_dir

    config = with_data_dir(load_config("demo"), flags.data_dir)
    print_result(run_demo(config, flags.workdir, flags.report), flags)
