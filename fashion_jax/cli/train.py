"""`fashion-jax train`, `ablation` and `demo`."""

import argparse
import logging
from typing import Any

from fashion_jax.cli.command import Flags, command, print_result

logger = logging.getLogger(__name__)

_TRAIN = """\
Set any field of the config by --config.FIELD=VALUE, for example:
  fashion-jax train --config=street2shop_small --workdir=runs/a \\
      --config.training.epochs=3 --config.optimizer.learning_rate=1e-4"""
_TRAIN_FLAGS: Flags = {
    "--config": {
        "required": True,
        "metavar": "CONFIG",
        "help": "path or name of a shipped config, with :VARIANT where it has variants, such as "
        "street2shop_vit:b16,336",
    },
    "--workdir": {
        "required": True,
        "metavar": "RUN",
        "help": "directory of the run; new, or to resume",
    },
    "--track": {
        "metavar": "TRACKER",
        "help": "log to wandb:PROJECT or mlflow:EXPERIMENT as well",
    },
    "--profile": {
        "metavar": "FIRST:LAST",
        "help": "trace these steps into RUN/profile, for XProf or TensorBoard",
    },
}
_ABLATION = """\
The config file has get_config() and get_sweep(); see configs/ablation_small.py.
Prints mean and standard deviation over seeds. Safe to interrupt; run the same command
again to resume."""
_ABLATION_FLAGS: Flags = {
    "--config": {
        "required": True,
        "metavar": "CONFIG",
        "help": "path or name of a shipped config with get_sweep()",
    },
    "--workdir": {
        "required": True,
        "metavar": "DIR",
        "help": "directory for the runs and ablation.md",
    },
    "--seeds": {
        "type": int,
        "default": 3,
        "metavar": "N",
        "help": "runs of each variant (default: %(default)s)",
    },
}
_DEMO_FLAGS: Flags = {
    "--workdir": {
        "default": "runs/demo",
        "metavar": "RUN",
        "help": "directory of the run (default: %(default)s)",
    },
    "--data_dir": {
        "default": "data",
        "metavar": "DIR",
        "help": "directory of built datasets (default: %(default)s)",
    },
    "--report": {
        "default": "report",
        "metavar": "DIR",
        "help": "directory of index.html (default: %(default)s)",
    },
}


def add(commands: Any) -> None:
    """Add the commands of this file."""
    text = "train a model, or resume the run in the workdir"
    train = command(commands, "train", _train, text, _TRAIN, _TRAIN_FLAGS, json_output=False)
    train.set_defaults(takes_config=True)
    text = "train and evaluate the variants of an experiment over several seeds"
    ablation = command(commands, "ablation", _ablation, text, _ABLATION, _ABLATION_FLAGS)
    ablation.set_defaults(takes_config=True)
    text = "build a dataset of drawn garments, train, index, search and evaluate in a few minutes"
    command(commands, "demo", _demo, text, "", _DEMO_FLAGS)


def _train(flags: argparse.Namespace) -> None:
    from fashion_jax.config import load_config
    from fashion_jax.parallel.joining import join_job
    from fashion_jax.training.loop import train
    from fashion_jax.training.profile import parse_steps
    from fashion_jax.training.trackers import open_tracker

    profile = parse_steps(flags.profile) if flags.profile else None
    join_job()
    config = load_config(flags.config, flags.overrides)
    log = open_tracker(flags.track, config, flags.workdir) if flags.track else None
    train(config, flags.workdir, log=log, profile=profile)


def _ablation(flags: argparse.Namespace) -> None:
    from fashion_jax.config import load_sweep
    from fashion_jax.experiments.ablation import run_ablation
    from fashion_jax.parallel.joining import join_job

    join_job()
    variants = load_sweep(flags.config, flags.overrides)
    print_result(run_ablation(variants, flags.seeds, flags.workdir), flags)


def _demo(flags: argparse.Namespace) -> None:
    from fashion_jax.config import load_config
    from fashion_jax.experiments.demo import run_demo

    config = load_config("demo", {"data.data_dir": flags.data_dir})
    logger.info(
        "draws garments, trains a network on them, searches with it and measures it: about four "
        "minutes on two CPU cores"
    )
    print_result(run_demo(config, flags.workdir, flags.report), flags)
