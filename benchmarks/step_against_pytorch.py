"""Compares the speed of fashion-jax with that of PyTorch eager on a CPU.

    python benchmarks/step_against_pytorch.py [--networks resnet50,efficientnet_lite0]

A training step (forward, identity and triplet loss, backward, Adam) and an inference step
(normalised embeddings) of both, float32, side by side: each in its own process, alternating
step by step, so that other load on the machine affects both alike. PyTorch runs in both memory
formats, and its better one counts. Prints minimum and median wall time and minimum processor time
of a step, and PyTorch's minimum over ours: above 1, ours is faster. Needs the extra `benchmarks`.
"""

import argparse
import multiprocessing
import os
import resource
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

import numpy as np
import tabulate

IDENTITIES = 1000
# Height, width and photos of a batch.
SHAPES = {"resnet50": (256, 128, 32), "efficientnet_lite0": (128, 128, 64)}
PEERS = ("fashion-jax", "PyTorch", "PyTorch channels_last")


def main() -> None:
    """Measures and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--networks", default=",".join(SHAPES))
    parser.add_argument("--last_stride", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=8)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    rows = []
    for network in arguments.networks.split(","):
        for kind in ("train", "infer"):
            rows += compare(network, kind, arguments)
    headers = [
        "network", "step", "peer", "wall [ms]", "median", "CPU [ms]", "wall ratio", "CPU ratio",
    ]  # fmt: skip
    formats = ("", "", "", ".0f", ".0f", ".0f", ".2f", ".2f")
    print(tabulate.tabulate(rows, headers, tablefmt="github", floatfmt=formats))


def compare(network: str, kind: str, arguments: argparse.Namespace) -> list[list]:
    """Return a row per peer; ratios are PyTorch's better time over ours (above 1: ours wins)."""
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    for peer in PEERS:
        ours, theirs = context.Pipe()
        values = (peer, network, kind, arguments.last_stride, arguments.threads)
        process = context.Process(target=serve, args=(theirs, *values), daemon=True)
        process.start()
        ours.recv()  # compiled and warm
        pipes.append(ours)
        processes.append(process)
    times: list[list[tuple[float, float]]] = [[] for _ in PEERS]
    for _ in range(arguments.repeats):
        for pipe, found in zip(pipes, times, strict=True):
            pipe.send("step")
            found.append(pipe.recv())
    for pipe, process in zip(pipes, processes, strict=True):
        pipe.send("stop")
        process.join()
    walls, processors = ([[step[part] for step in found] for found in times] for part in range(2))
    rows = [
        [network, kind, peer, min(wall), statistics.median(wall), min(processor)]
        for peer, wall, processor in zip(PEERS, walls, processors, strict=True)
    ]
    for found in (walls, processors):
        rows[0].append(min(*found[1], *found[2]) / min(found[0]))
    for row in rows:
        print(row, flush=True)
    return rows


def serve(
    pipe: Connection, peer: str, network: str, kind: str, last_stride: int, threads: int
) -> None:
    """Take a step on each request; send its wall and processor time in ms."""
    make = jax_step if peer == "fashion-jax" else pytorch_step
    step = make(peer, network, kind, last_stride, threads)
    for _ in range(2):
        step()
    pipe.send("ready")
    while pipe.recv() == "step":
        wall, processor = time.perf_counter(), processor_time()
        step()
        pipe.send((1e3 * (time.perf_counter() - wall), 1e3 * (processor_time() - processor)))


def processor_time() -> float:
    """Processor time of all threads of this process, user and system, in seconds."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def batch(network: str) -> dict[str, np.ndarray]:
    """Drawn photos, four of each identity."""
    height, width, count = SHAPES[network]
    rng = np.random.default_rng(0)
    return {
        "image": rng.integers(0, 256, (count, height, width, 3), np.uint8),
        "erased": np.zeros((count, 4), np.int32),
        "identity": np.repeat(rng.permutation(IDENTITIES)[: count // 4], 4).astype(np.int32),
        "domain": np.zeros(count, np.int8),
        "valid": np.ones(count, np.bool_),
    }


def jax_step(
    peer: str, network: str, kind: str, last_stride: int, threads: int
) -> Callable[[], object]:
    """The step that `fashion-jax train` takes, or the one that it embeds with."""
    from fashion_jax.cli.host_memory import keep_freed_memory

    keep_freed_memory()
    import jax

    from fashion_jax.config import (
        ExperimentConfig,
        ImageConfig,
        LossConfig,
        MeshConfig,
        ModelConfig,
    )
    from fashion_jax.inference.embed import without_classifier
    from fashion_jax.parallel.hosts import global_batch
    from fashion_jax.parallel.mesh import make_mesh
    from fashion_jax.training.learner import make_learner

    height, width, _ = SHAPES[network]
    config = ExperimentConfig(
        image=ImageConfig(height, width),
        model=ModelConfig(backbone=network, last_stride=last_stride),
        loss=LossConfig(center_weight=0.0),
    )
    mesh = make_mesh(MeshConfig(), jax.devices()[:1])
    learner = make_learner(config, IDENTITIES, 100, mesh)
    state = learner.create_train_state()
    photos = global_batch(batch(network), mesh)
    if kind == "infer":
        variables = without_classifier(state.params, state.model_state)
        return lambda: learner.encode(variables, photos["image"]).block_until_ready()

    def step() -> None:
        nonlocal state
        state, metrics = learner.train_step(state, photos)
        jax.block_until_ready((state, metrics))

    return step


def pytorch_step(
    peer: str, network: str, kind: str, last_stride: int, threads: int
) -> Callable[[], object]:
    """The same step by PyTorch, eager."""
    import torch
    from pytorch_models import MODELS, Embedder, recipe_loss

    torch.set_num_threads(threads)
    layout = torch.channels_last if "channels_last" in peer else torch.contiguous_format
    make, width = MODELS[network]
    model = Embedder(make(last_stride), width, IDENTITIES).to(memory_format=layout)
    values = batch(network)
    pixels = torch.from_numpy(values["image"]).permute(0, 3, 1, 2).contiguous(memory_format=layout)
    identities = torch.from_numpy(values["identity"]).long()
    optimizer = torch.optim.Adam(model.parameters(), 3.5e-4, weight_decay=5e-4)

    def train() -> None:
        features, _, logits = model(pixels.float().sub_(117).div_(57))
        loss = recipe_loss(features, logits, identities)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        loss.item()

    def infer() -> None:
        with torch.inference_mode():
            _, embedding, _ = model(pixels.float().sub_(117).div_(57))
            torch.nn.functional.normalize(embedding)

    model.train(kind == "train")
    return train if kind == "train" else infer


if __name__ == "__main__":
    main()
