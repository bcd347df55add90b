"""Measures whether a classifier of a million identities fits eight devices, an eighth on each.

    python benchmarks/million_identities.py [--identities 1000000] [--sample_rate 0.1]

Compiles the training step (a small network, embeddings of 512 numbers) on eight virtual devices of
the CPU that share the classifier's columns, and takes some steps. Prints each device's memory
according to XLA, next to the size of an eighth of weights, gradient and Adam's two moments, and of
all of them on one device; then losses and times of the steps. Finally, with few enough identities
to fit one device, prints the largest relative difference between eight devices and one.
"""

import argparse
import dataclasses
import os
import time

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"

import jax
import numpy as np
import tabulate

from fashion_jax.config import (
    ClassifierConfig,
    ExperimentConfig,
    ImageConfig,
    LossConfig,
    MeshConfig,
    ModelConfig,
)
from fashion_jax.parallel.hosts import global_batch
from fashion_jax.parallel.mesh import make_mesh
from fashion_jax.training.learner import Learner, make_learner

SIZE, IDENTITIES_PER_BATCH, PHOTOS = 32, 16, 4
WIDTH = 512  # of resnet18's embedding
FEW = 4_000
MIB = 2**20


def main() -> None:
    """Measures and prints two tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--identities", type=int, default=1_000_000)
    parser.add_argument("--sample_rate", type=float, default=0.1)
    parser.add_argument("--steps", type=int, default=3)
    arguments = parser.parse_args()
    rows = [
        measure(arguments.identities, share, arguments.steps)
        for share in (1.0, arguments.sample_rate)
    ]
    print(tabulate.tabulate(rows, headers="keys", tablefmt="github", floatfmt=".1f"))
    rows = [compare(share) for share in (1.0, arguments.sample_rate)]
    print(tabulate.tabulate(rows, headers="keys", tablefmt="github", floatfmt=".1e"))


def learner_of(identities: int, share: float, mesh: MeshConfig, devices: int) -> Learner:
    """The training step, without center loss, whose centers would be as large again."""
    config = ExperimentConfig(
        image=ImageConfig(SIZE, SIZE),
        model=ModelConfig(backbone="resnet18"),
        classifier=ClassifierConfig(pad_classes_to_multiple=8, sample_rate=share),
        loss=LossConfig(center_weight=0.0),
        mesh=mesh,
    )
    config = dataclasses.replace(config)
    return make_learner(config, identities, 100, make_mesh(mesh, jax.devices()[:devices]))


def batch(step: int, identities: int) -> dict[str, np.ndarray]:
    """Drawn photos."""
    rng = np.random.default_rng(step)
    count = IDENTITIES_PER_BATCH * PHOTOS
    chosen = rng.choice(identities, IDENTITIES_PER_BATCH, replace=False)
    return {
        "image": rng.integers(0, 256, (count, SIZE, SIZE, 3), np.uint8),
        "erased": np.zeros((count, 4), np.int32),
        "identity": np.repeat(chosen, PHOTOS).astype(np.int32),
        "domain": np.zeros(count, np.int8),
        "valid": np.ones(count, np.bool_),
    }


def measure(identities: int, share: float, steps: int) -> dict[str, object]:
    """Memory of a device; losses and times of the steps."""
    learner = learner_of(identities, share, MeshConfig(1, 8), 8)
    photos = global_batch(batch(0, identities), learner.mesh)
    start = time.perf_counter()
    compiled = learner.train_step.lower(learner.abstract_state, photos).compile()
    seconds = time.perf_counter() - start
    memory = compiled.memory_analysis()
    whole = 4 * WIDTH * identities * 4 / MIB  # weights, gradient, two moments; float32
    state, losses = learner.create_train_state(), []
    times = []
    for step in range(steps):
        start = time.perf_counter()
        state, metrics = compiled(state, global_batch(batch(step, identities), learner.mesh))
        losses.append(float(metrics["loss/identity"]))
        times.append(time.perf_counter() - start)
    return {
        "share of columns": share,
        "arguments [MiB]": memory.argument_size_in_bytes / MIB,
        "temporaries [MiB]": memory.temp_size_in_bytes / MIB,
        "an eighth [MiB]": whole / 8,
        "all [MiB]": whole,
        "compiling [s]": seconds,
        "step [s]": min(times),
        "identity losses": ", ".join(f"{loss:.3f}" for loss in losses),
    }


def compare(share: float) -> dict[str, object]:
    """Compare eight devices with one that holds everything."""
    found = []
    for mesh, devices in ((MeshConfig(1, 1), 1), (MeshConfig(1, 8), 8), (MeshConfig(2, 4), 8)):
        learner = learner_of(FEW, share, mesh, devices)
        state, losses = learner.create_train_state(), []
        for step in range(3):
            photos = global_batch(batch(step, FEW), learner.mesh)
            state, metrics = learner.train_step(state, photos)
            losses.append(float(metrics["loss/identity"]))
        found.append(np.array(losses))
    one, eight, two_by_four = found
    return {
        "share of columns": share,
        f"1×8 against one device, {FEW} identities": np.max(np.abs(eight / one - 1)),
        "2×4 against one device": np.max(np.abs(two_by_four / one - 1)),
    }


if __name__ == "__main__":
    main()
