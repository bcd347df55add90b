"""`fashion-jax plan` and `doctor`: before hours are spent."""

import argparse
import sys
from typing import Any

from fashion_jax.cli.command import Flags, command, print_result

_EPILOG = """\
Compiles the run's own step for the chips and prints memory, operations, bytes, collectives, and
least times at published rates. Needs no accelerator; a large network takes minutes.

  fashion-jax plan --config=street2shop_resnet50 --topology v5e:4x4 \\
      --identities 33000 --steps_per_epoch 700 --price 1.2 \\
      --config.data.identities_per_batch=512

TPU topologies (v5e, v5p, v6e) need libtpu: pip install 'fashion-jax[tpu]'. GPUs are
reckoned from the operations alone: gpu:h100x8."""

_FLAGS: Flags = {
    "--config": {
        "required": True,
        "metavar": "CONFIG",
        "help": "path or name of a shipped config; fields by --config.FIELD=VALUE",
    },
    "--topology": {
        "required": True,
        "metavar": "CHIPS",
        "help": "chips that work together, such as v5e:4x4, v5p:2x2x4 or gpu:h100x8",
    },
    "--identities": {
        "type": int,
        "metavar": "N",
        "help": "training products (default: those of the built datasets)",
    },
    "--steps_per_epoch": {
        "type": int,
        "metavar": "N",
        "help": "steps in an epoch (default: those of the built datasets)",
    },
    "--price": {"type": float, "metavar": "X", "help": "price of a chip for an hour"},
}


_DOCTOR = """\
Started on all hosts of a job, it checks all of them, and compares their packages, config, data
and clocks. The exit status is 2 if there is a problem."""

_DOCTOR_FLAGS: Flags = {
    "--config": {
        "metavar": "CONFIG",
        "help": "config of the run, to look at its data (default: data is not looked at)",
    },
    "--workdir": {
        "metavar": "RUN",
        "help": "directory of the run, to look at its disk (default: the present one)",
    },
}


def add(commands: Any) -> None:
    """Add the commands of this file."""
    text = "memory, time and money of a run on TPUs or GPUs, before they are booked"
    plan = command(commands, "plan", _plan, text, _EPILOG, _FLAGS)
    plan.set_defaults(takes_config=True)
    text = "check this machine, or all hosts of a job, before a long run"
    doctor = command(commands, "doctor", _doctor, text, _DOCTOR, _DOCTOR_FLAGS)
    doctor.set_defaults(takes_config=True)


def _plan(flags: argparse.Namespace) -> None:
    import jax

    from fashion_jax.config import load_config
    from fashion_jax.experiments.pod_plan import plan_run

    jax.config.update("jax_platforms", "cpu")  # libtpu would look for chips here, and complain
    config = load_config(flags.config, flags.overrides)
    parts = flags.topology, flags.identities, flags.steps_per_epoch, flags.price
    print_result(plan_run(config, *parts), flags)


def _doctor(flags: argparse.Namespace) -> None:
    from fashion_jax.config import load_config
    from fashion_jax.experiments.doctor import diagnose
    from fashion_jax.parallel.joining import join_job

    join_job()
    config = load_config(flags.config, flags.overrides) if flags.config else None
    result = diagnose(config, flags.workdir)
    print_result(result, flags)
    if not result.is_well:
        sys.exit(2)
