"""Compares the speed of fashion-jax with that of PyTorch, on a CPU or one GPU.

    python benchmarks/step_against_pytorch.py [--networks resnet50,efficientnet_lite0]
        [--dtype bfloat16] [--photos 256] [--compiled]

A training step (forward, identity and triplet loss, backward, Adam) and an inference step
(normalised embeddings) of both, side by side: each in its own process, alternating step by step,
so that other load on the machine affects both alike. bfloat16 is PyTorch's autocast; float32
products on a GPU may be TF32 for both. PyTorch runs eagerly in both memory formats, with
`--compiled` by torch.compile as well, and its best time counts. Prints minimum and median wall time
and minimum processor time of a step, and PyTorch's minimum over ours: above 1, ours is faster.
Needs the extra `benchmarks`.
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
PEERS = ["fashion-jax", "PyTorch", "PyTorch channels_last"]
COMPILED = "PyTorch channels_last, compiled"


def main() -> None:
    """Measures and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--networks", default=",".join(SHAPES))
    parser.add_argument("--last_stride", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=8)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--photos", type=int, help="photos of a batch (default: each network's)")
    parser.add_argument("--compiled", action="store_true", help="torch.compile as a further peer")
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
    peers = PEERS + [COMPILED] * arguments.compiled
    for peer in peers:
        ours, theirs = context.Pipe()
        values = (theirs, peer, network, kind, arguments)
        process = context.Process(target=serve, args=values, daemon=not arguments.compiled)
        process.start()
        ours.recv()  # compiled and warm
        pipes.append(ours)
        processes.append(process)
    times: list[list[tuple[float, float]]] = [[] for _ in peers]
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
        for peer, wall, processor in zip(peers, walls, processors, strict=True)
    ]
    for found in (walls, processors):
        rows[0].append(min(map(min, found[1:])) / min(found[0]))
    for row in rows:
        print(row, flush=True)
    return rows


def serve(
    pipe: Connection, peer: str, network: str, kind: str, arguments: argparse.Namespace
) -> None:
    """Take a step on each request; send its wall and processor time in ms."""
    make = jax_step if peer == "fashion-jax" else pytorch_step
    step = make(peer, network, kind, arguments)
    for _ in range(3):
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


def batch(network: str, photos: int | None) -> dict[str, np.ndarray]:
    """Drawn photos, four of each identity."""
    height, width, count = SHAPES[network]
    count = photos or count
    rng = np.random.default_rng(0)
    return {
        "image": rng.integers(0, 256, (count, height, width, 3), np.uint8),
        "erased": np.zeros((count, 4), np.int32),
        "identity": np.repeat(rng.permutation(IDENTITIES)[: count // 4], 4).astype(np.int32),
        "domain": np.zeros(count, np.int8),
        "valid": np.ones(count, np.bool_),
    }


def jax_step(
    peer: str, network: str, kind: str, arguments: argparse.Namespace
) -> Callable[[], object]:
    """The step that `fashion-jax train` takes, or the one that it embeds with."""
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"  # the peers share a GPU's memory
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
        model=ModelConfig(
            backbone=network,
            last_stride=arguments.last_stride,
            compute_dtype=arguments.dtype,
        ),
        loss=LossConfig(center_weight=0.0),
    )
    mesh = make_mesh(MeshConfig(), jax.devices()[:1])
    learner = make_learner(config, IDENTITIES, 100, mesh)
    state = learner.create_train_state()
    photos = global_batch(batch(network, arguments.photos), mesh)
    if kind == "infer":
        variables = without_classifier(state.params, state.model_state)
        return lambda: learner.encode(variables, photos["image"]).block_until_ready()

    def step() -> None:
        nonlocal state
        state, metrics = learner.train_step(state, photos)
        jax.block_until_ready((state, metrics))

    return step


def pytorch_step(
    peer: str, network: str, kind: str, arguments: argparse.Namespace
) -> Callable[[], object]:
    """The same step by PyTorch."""
    import torch
    from pytorch_models import MODELS, Embedder, recipe_loss

    torch.set_num_threads(arguments.threads)
    torch.backends.cuda.matmul.allow_tf32 = True  # as XLA does by default
    device = "cuda" if torch.cuda.is_available() else "cpu"
    layout = torch.channels_last if "channels_last" in peer else torch.contiguous_format
    make, width = MODELS[network]
    model = Embedder(make(arguments.last_stride), width, IDENTITIES)
    model = model.to(device, memory_format=layout)
    values = batch(network, arguments.photos)
    pixels = torch.from_numpy(values["image"]).to(device).permute(0, 3, 1, 2)
    pixels = pixels.contiguous(memory_format=layout)
    identities = torch.from_numpy(values["identity"]).long().to(device)
    optimizer = torch.optim.Adam(model.parameters(), 3.5e-4, weight_decay=5e-4)
    forward = torch.compile(model) if peer == COMPILED else model
    mixed = torch.autocast(device, torch.bfloat16, enabled=arguments.dtype == "bfloat16")

    def train() -> None:
        with mixed:
            features, _, logits = forward(pixels.float().sub_(117).div_(57))
        loss = recipe_loss(features.float(), logits.float(), identities)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        loss.item()

    def infer() -> None:
        with torch.inference_mode(), mixed:
            _, embedding, _ = forward(pixels.float().sub_(117).div_(57))
            torch.nn.functional.normalize(embedding.float()).sum().item()  # waits for a GPU

    model.train(kind == "train")
    return train if kind == "train" else infer


if __name__ == "__main__":
    main()
