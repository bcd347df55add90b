"""Counts the functions and files that a reader goes through to follow one piece of work.

    python benchmarks/hops.py

Counts the project's named functions that `fashion-jax index add` of two photos enters, and those
from a config to a traced training step, with the longest chain of calls, and which function opens
which file of the index (by Python's `open`). Bodies of modules and classes, comprehensions,
lambdas, and what libraries generate or wrap around ours do not count.
"""

import collections
import concurrent.futures
import contextlib
import functools
import importlib
import inspect
import pathlib
import pkgutil
import subprocess
import sys
import tempfile
import threading
import traceback
import types
from collections.abc import Iterator

import jax
import numpy as np
from PIL import Image
from tabulate import tabulate

ROOT = pathlib.Path(__file__).resolve().parents[1]
ROOMS = tuple(f"{ROOT / name}/" for name in ("fashion_jax", "data_builders", "configs"))
RECIPE, DATASET = ROOT / "configs" / "street2shop_resnet50.py", "synthetic_street2shop"
FASHION_JAX = sys.executable, "-m", "fashion_jax.cli"
OPTIONS = "train_identities=8 val_identities=2 test_identities=2 distractors=1"
SMALL = (
    f"data.dataset={DATASET} data.workers=0 data.identities_per_batch=4 image.height=32 "
    "image.width=32 model.backbone=resnet18 training.epochs=1"
)
BATCH = {"image": ((16, 32, 32, 3), "uint8"), "erased": ((16, 4), "int32")}
BATCH |= {"identity": ((16,), "int32"), "domain": ((16,), "int8"), "valid": ((16,), "bool")}
Chains = dict[str, list[str]]  # of each function, the longest chain of calls to it


def project() -> types.SimpleNamespace:
    """Everything taken from the package, in one place: only this function follows its changes."""
    from fashion_jax.cli import main
    from fashion_jax.config import load_config
    from fashion_jax.training.learner import make_learner

    # Modules that are imported late would add what runs at their import.
    for top in ("fashion_jax", "fashion_jax.data_builders", "fashion_jax.configs"):
        for module in pkgutil.walk_packages(importlib.import_module(top).__path__, f"{top}."):
            if not module.name.endswith("__main__"):
                with contextlib.suppress(ImportError):  # of an optional library
                    importlib.import_module(module.name)
    return types.SimpleNamespace(main=main, load_config=load_config, make_learner=make_learner)


def main() -> None:
    # Each in its own process: functions cached by another one would not be entered again.
    with concurrent.futures.ProcessPoolExecutor(1, max_tasks_per_child=1) as pool:
        added, opened = pool.submit(add_two_photos).result()
        counted = {"`index add` of two photos": added, **pool.submit(trace_a_step).result()}
    rows = []
    for name, chains in counted.items():
        files = {function.partition(":")[0] for function in chains}
        rows.append([name, len(chains), len(files), len(max(chains.values(), key=len))])
    print(tabulate(rows, ["work", "functions", "files", "longest chain"], "github"), end="\n\n")
    rows = [[*key, times] for key, times in opened.items()]
    print(tabulate(rows, ["file of the index", "opened to read by", "times"], "github"))
    for name, chains in counted.items():
        print(f"\n{name}, the longest chain:", *max(chains.values(), key=len), sep="\n  ")


def add_two_photos() -> tuple[Chains, dict[tuple[str, str], int]]:
    """Functions that `index add` enters, and how often each opens each file of the index."""
    with tempfile.TemporaryDirectory() as folder:
        workdir, data = f"--workdir={folder}/run", f"data_dir={folder}/data"
        options = [f"--option.{field}" for field in OPTIONS.split()]
        config = [f"--config.{field}" for field in SMALL.split()]
        for flags in (
            ["data", "build", f"--dataset={DATASET}", f"--{data}", *options],
            ["train", f"--config={RECIPE}", workdir, f"--config.data.{data}", *config],
            ["index", "build", workdir],
        ):
            subprocess.run([*FASHION_JAX, *flags], check=True, stdout=sys.stderr)
        for photo in (photos := [f"{folder}/{number}.jpg" for number in range(2)]):
            Image.effect_noise((48, 48), 50).convert("RGB").save(photo)
        ours, opened, index = project(), collections.Counter(), f"{folder}/run/index/"

        def audit(event: str, arguments: tuple[object, ...]) -> None:
            if event == "open" and str(arguments[0]).startswith(index) and "r" in str(arguments[1]):
                by = ["a library", *chain_to(sys._getframe(1))][-1]
                opened[str(arguments[0]).rpartition("/")[2], by] += 1

        sys.addaudithook(audit)
        with counting() as added:
            assert ours.main(["index", "add", workdir, "--photos", *photos]) == 0
        return added, dict(opened)


def trace_a_step() -> dict[str, Chains]:
    """Functions from a config to the traced step, and those of the step alone; compiles nothing."""
    ours, batch = project(), {name: jax.ShapeDtypeStruct(*spec) for name, spec in BATCH.items()}
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]).reshape(1, 1), ("data", "model"))
    with counting() as made:
        config = ours.load_config(RECIPE, dict(field.split("=") for field in SMALL.split()))
        learner = ours.make_learner(config, 8, 10, mesh)
    with counting() as step:
        learner.train_step.lower(learner.abstract_state, batch)
    return {"config, learner, one traced training step": made | step, "the traced step alone": step}


@contextlib.contextmanager
def counting() -> Iterator[Chains]:
    """Collect the project's functions that are entered, also in threads started meanwhile."""
    chains: Chains = {}

    def profile(frame: types.FrameType, event: str, _: object) -> None:
        if event == "call" and (function := function_of(frame.f_code)):
            chains[function] = max(chains.get(function, []), chain_to(frame), key=len)

    threading.setprofile(profile)
    sys.setprofile(profile)
    try:
        yield chains
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


def chain_to(frame: types.FrameType) -> list[str]:
    """The project's functions from the outermost one to a frame."""
    codes = [waiting.f_code for waiting, _ in traceback.walk_stack(frame)]
    return [function for code in reversed(codes) if (function := function_of(code))]


@functools.cache
def function_of(code: types.CodeType) -> str | None:
    """`file:qualified name` of a named function of the project."""
    ours = code.co_filename.startswith(ROOMS) and code.co_flags & inspect.CO_OPTIMIZED
    named = ours and not code.co_name.startswith("<")  # <lambda>, <genexpr>, <listcomp>
    return f"{code.co_filename.removeprefix(f'{ROOT}/')}:{code.co_qualname}" if named else None


if __name__ == "__main__":
    main()
