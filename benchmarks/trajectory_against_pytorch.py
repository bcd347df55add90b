"""Compares the training trajectory with that of PyTorch.

    python benchmarks/trajectory_against_pytorch.py [--network resnet18] [--dtype both]
        [--plot trajectory.png]

Runs the whole recipe, here and in an independent implementation in plain PyTorch
(`pytorch_recipe.py`): from the same weights, on the same batches of drawn photos, through a warm-up
and two drops of the learning rate. Prints the largest relative difference of each term of the loss.
In float64 none may exceed 1e-6, or the exit status is 1. In float32 rounding errors grow from step
to step: the differences after the first step, and those between float32 and float64 of either
implementation, are printed as well. Needs the extra `benchmarks`, and matplotlib for the picture.
"""

import argparse
import dataclasses
import pathlib
import sys
from collections.abc import Iterable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
from pytorch_recipe import Trainer
from tqdm import tqdm
from trajectory_tables import (
    TERMS,
    relative_differences,
    share_of_flipped,
    table_of_tensors,
    table_of_terms,
)

from fashion_jax.config import (
    DataConfig,
    ExperimentConfig,
    ImageConfig,
    MeshConfig,
    ModelConfig,
    OptimizerConfig,
)
from fashion_jax.inference.weights.origin import named_arrays
from fashion_jax.inference.weights.torch_names import to_torch_names
from fashion_jax.parallel.hosts import global_batch
from fashion_jax.parallel.mesh import make_mesh
from fashion_jax.training.learner import Learner, make_learner
from fashion_jax.training.state import TrainState
from fashion_jax.versions import enable_x64

NETWORKS = ("resnet18", "resnet50", "efficientnet_lite0")
# Small: XLA's convolutions in float64 on a CPU are plain loops, some seconds per step.
HEIGHT, WIDTH = 32, 32
IDENTITIES, PER_BATCH, PHOTOS = 12, 4, 4
# Two steps an epoch: full rate from step 19 on, a tenth from step 35, a hundredth from step 45.
STEPS_PER_EPOCH, WARMUP_EPOCHS, MILESTONES = 2, 10, (18, 23)
TOLERANCE = 1e-6
OURS, THEIRS = "fashion-jax", "PyTorch"

Arrays = dict[str, np.ndarray]
Batch = dict[str, np.ndarray]
Run = tuple[str, str]  # implementation and dtype


@dataclasses.dataclass(frozen=True)
class Start:
    """Initial state of both, in float32.

    Attributes:
                state: state of our training.

        tensors: the network's weights and statistics under PyTorch's names.
        centers: centers of the center loss.
    """

    state: TrainState
    tensors: Arrays
    centers: np.ndarray


@dataclasses.dataclass(frozen=True)
class Trajectory:
    """Record of a run.

    Attributes:
        terms: each term's value at each step, and the learning rate.
        gradient: Adam's mean of gradients after the first step, a tenth of the gradient with decay.
        first: weights, statistics and centers after the first step.
        last: the same after the last step.
    """

    terms: Arrays
    gradient: Arrays
    first: Arrays
    last: Arrays


def main() -> None:
    """Run, print tables, draw, and judge float64."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--network", choices=NETWORKS, default="resnet18")
    parser.add_argument("--dtype", choices=("float64", "float32", "both"), default="both")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", type=pathlib.Path)
    arguments = parser.parse_args()
    dtypes = ("float64", "float32") if arguments.dtype == "both" else (arguments.dtype,)
    runs = trajectories(arguments, dtypes)
    for one, other in compared(dtypes):
        print_differences(one, other, runs)
    if arguments.plot:
        from trajectory_picture import draw

        draw(arguments.plot, {run: found.terms for run, found in runs.items()}, arguments.network)
    if "float64" in dtypes:
        judge(runs[OURS, "float64"], runs[THEIRS, "float64"])


def print_differences(one: Run, other: Run, runs: Mapping[Run, Trajectory]) -> None:
    """The terms over the steps; then gradients and weights after the first step."""
    ours, theirs = runs[one], runs[other]
    print(f"\n{' '.join(one)} against {' '.join(other)}\n")
    print(table_of_terms(ours.terms, theirs.terms))
    print("\nmean of gradients after the first step")
    print(table_of_tensors(ours.gradient, theirs.gradient))
    share = share_of_flipped(ours.gradient, theirs.gradient)
    print(f"share of these numbers with another sign: {share:.1e}")
    print("\nweights and statistics after the first step")
    print(table_of_tensors(ours.first, theirs.first))
    print("\nafter the last step")
    print(table_of_tensors(ours.last, theirs.last))


def judge(ours: Trajectory, theirs: Trajectory) -> None:
    """End the program with status 1 if a term is too far apart."""
    apart = {
        term: relative_differences(ours.terms[term], theirs.terms[term]).max() for term in TERMS
    }
    if max(apart.values()) > TOLERANCE:
        sys.exit(f"float64 is further apart than {TOLERANCE}: {apart}")
    print(f"\nfloat64: every term of every step agrees to {max(apart.values()):.1e}")


def compared(dtypes: Sequence[str]) -> list[tuple[Run, Run]]:
    """The pairs of runs to compare: both implementations, then both dtypes of each."""
    pairs = [((OURS, dtype), (THEIRS, dtype)) for dtype in dtypes]
    if len(dtypes) == 2:
        pairs += [((peer, "float32"), (peer, "float64")) for peer in (OURS, THEIRS)]
    return pairs


def trajectories(arguments: argparse.Namespace, dtypes: Sequence[str]) -> dict[Run, Trajectory]:
    """Run both in each dtype, from the same start."""
    start = make_start(arguments.network)
    batches = drawn_batches(arguments.steps, arguments.seed)
    runs = {}
    for dtype in dtypes:
        runs[OURS, dtype] = our_trajectory(start, batches, arguments.network, dtype)
        runs[THEIRS, dtype] = their_trajectory(start, batches, arguments.network, dtype)
    return runs


def drawn_batches(steps: int, seed: int) -> list[Batch]:
    """Noisy photos of identities that each have a coarse pattern; every other one is erased."""
    rng = np.random.default_rng(seed)
    patterns = rng.uniform(40, 216, (IDENTITIES, HEIGHT // 8, WIDTH // 8, 3))
    return [drawn_batch(patterns, rng) for _ in range(steps)]


def drawn_batch(patterns: np.ndarray, rng: np.random.Generator) -> Batch:
    """P identities, K photos of each, a rectangle erased in half of the photos."""
    identity = np.repeat(rng.permutation(IDENTITIES)[:PER_BATCH], PHOTOS).astype(np.int32)
    count = len(identity)
    clean = patterns[identity].repeat(8, 1).repeat(8, 2) * rng.uniform(0.6, 1.2, (count, 1, 1, 1))
    noisy = clean + rng.normal(0, 40, clean.shape)
    corner = rng.integers(0, (HEIGHT // 2, WIDTH // 2), (count, 2))
    size = rng.integers(4, (HEIGHT // 2, WIDTH // 2), (count, 2))
    erased = np.concatenate([corner, size], 1) * (rng.random((count, 1)) < 0.5)
    return {
        "image": noisy.clip(0, 255).astype(np.uint8),
        "erased": erased.astype(np.int32),
        "identity": identity,
        "domain": np.zeros(count, np.int8),
        "valid": np.ones(count, np.bool_),
    }


def our_learner(network: str, dtype: str) -> Learner:
    """Learner of `fashion-jax train`, with the recipe's defaults except for sizes and epochs."""
    config = ExperimentConfig(
        image=ImageConfig(HEIGHT, WIDTH),
        data=DataConfig(identities_per_batch=PER_BATCH, photos_per_identity=PHOTOS),
        model=ModelConfig(backbone=network, compute_dtype=dtype),
        optimizer=OptimizerConfig(warmup_epochs=WARMUP_EPOCHS, milestones=MILESTONES),
    )
    mesh = make_mesh(MeshConfig(), jax.devices()[:1])
    return make_learner(config, IDENTITIES, STEPS_PER_EPOCH, mesh, jnp.dtype(dtype))


def make_start(network: str) -> Start:
    """Draws weights and centers."""
    state = jax.device_get(our_learner(network, "float32").create_train_state())
    tensors = under_torch_names(network, state.params, state.model_state)
    return Start(state, tensors, state.loss_state["centers"])


def under_torch_names(network: str, *trees: Mapping) -> Arrays:
    """Our arrays under PyTorch's names and with its axes, as `fashion-jax export` writes them."""
    arrays: Arrays = {}
    for tree in trees:
        arrays |= named_arrays(tree)
    tensors = to_torch_names(arrays, network)
    return {name.replace("bottleneck.norm.", "neck."): value for name, value in tensors.items()}


def our_trajectory(start: Start, batches: Sequence[Batch], network: str, dtype: str) -> Trajectory:
    """Trains with the compiled step of `fashion-jax train`."""
    with enable_x64(dtype == "float64"):
        learner = our_learner(network, dtype)
        state = jax.tree.map(
            lambda leaf, shape: jax.device_put(np.asarray(leaf, shape.dtype), shape.sharding),
            start.state,
            learner.abstract_state,
        )
        lines, first, gradient = [], {}, {}
        for batch in shown(batches, f"{OURS}, {dtype}"):
            state, metrics = learner.train_step(state, global_batch(batch, learner.mesh))
            lines.append({name.removeprefix("loss/"): float(metrics[name]) for name in metrics})
            if not first:
                first = our_tensors(state, network)
                moments = optax.tree_utils.tree_get(state.optimizer_state, "mu")
                gradient = under_torch_names(network, moments)
        return Trajectory(columns(lines), gradient, first, our_tensors(state, network))


def our_tensors(state: TrainState, network: str) -> Arrays:
    """Weights, statistics and centers under PyTorch's names."""
    tensors = under_torch_names(network, state.params, state.model_state)
    return tensors | {"centers": np.asarray(state.loss_state["centers"])}


def their_trajectory(
    start: Start, batches: Sequence[Batch], network: str, dtype: str
) -> Trajectory:
    """Trains with PyTorch."""
    trainer = Trainer(
        network, start.tensors, start.centers, WARMUP_EPOCHS, MILESTONES, getattr(torch, dtype)
    )
    lines, first, gradient = [], {}, {}
    for number, batch in enumerate(shown(batches, f"{THEIRS}, {dtype}"), 1):
        lines.append(trainer.step(batch))
        if number == 1:
            first, gradient = trainer.tensors(), trainer.first_moments()
        if number % STEPS_PER_EPOCH == 0:
            trainer.end_epoch()
    return Trajectory(columns(lines), gradient, first, trainer.tensors())


def shown(batches: Sequence[Batch], name: str) -> Iterable[Batch]:
    """The batches, with a bar."""
    return tqdm(batches, desc=name, unit="step")


def columns(lines: Sequence[Mapping[str, float]]) -> Arrays:
    """Terms and learning rate, each over the steps."""
    return {name: np.array([line[name] for line in lines]) for name in (*TERMS, "learning_rate")}


if __name__ == "__main__":
    main()
