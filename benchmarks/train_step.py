"""Compares the speed of fashion-jax with that of PyTorch, on a CPU, a GPU or several.

    python benchmarks/train_step.py [--networks resnet50,resnet50_ibn_a,vit_b16]
        [--dtype bfloat16] [--photos 64] [--devices 1]

A training step (forward, identity and triplet loss, backward, Adam) and an inference step
(normalised embeddings) of both: each peer in its own process, alternating step by step, so that
other load on the machine affects all alike. bfloat16 is PyTorch's autocast; float32 products on a
GPU may be TF32 for both. PyTorch's Adam is the fused one. PyTorch runs eagerly in both memory
formats and by torch.compile; its best time counts. On several GPUs, ours normalises and mines over
all photos; PyTorch's DistributedDataParallel, one process a GPU, over those of each.

Prints photos per second (best and median step), processor time, and ours over PyTorch's best: above
1, ours is faster. `limit` is the rate at which the operations of our step, as the compiler counts
them, could be done: at the published bfloat16 rate of a known chip, and else at the rate of a large
matrix product, the faster of JAX's and PyTorch's. Needs the extra `benchmarks`, and a C++ compiler
for torch.compile on a CPU.
"""

import argparse
import dataclasses
import multiprocessing
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import tabulate

IDENTITIES = 1000
# Height and width.
SIZES = {
    "resnet50": (320, 320),
    "resnet50_ibn_a": (320, 320),
    "vit_b16": (224, 224),
    "efficientnet_lite0": (128, 128),
}
OURS = "fashion-jax"
COMPILED = "PyTorch channels_last, compiled"
PEERS = (OURS, "PyTorch", "PyTorch channels_last", COMPILED)
_SIDE = 4096  # of the matrices of a large product


@dataclasses.dataclass(frozen=True)
class Case:
    """What a process runs.

    Attributes:
        peer: one of `PEERS`.
        network: one of `SIZES`.
        trains: whether it takes training steps.
        size: height and width.
        photos: photos of a batch on each device.
        devices: number of devices.
        rank: number of the process, of PyTorch's.
        meeting: file by which PyTorch's processes find each other.
        options: flags of the command.
    """

    peer: str
    network: str
    trains: bool
    size: tuple[int, int]
    photos: int
    devices: int
    rank: int
    meeting: str
    options: argparse.Namespace


def main() -> None:
    """Measures and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--networks", default="resnet50,resnet50_ibn_a,vit_b16")
    parser.add_argument("--steps", default="train,infer")
    parser.add_argument("--size", help="height x width, such as 256x128 (default: each network's)")
    parser.add_argument("--last_stride", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=8)
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="PyTorch's, on a CPU")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="bfloat16")
    parser.add_argument("--photos", type=int, default=64, help="of a batch on each device")
    parser.add_argument("--devices", type=int, default=1)
    options = parser.parse_args()
    rows = []
    for network in options.networks.split(","):
        for step in options.steps.split(","):
            rows += compare(network, step, options)
    headers = [
        "network", "step", "peer", "photos/s", "median", "CPU [ms/photo]", "ratio", "CPU ratio",
        "limit [photos/s]", "of limit",
    ]  # fmt: skip
    formats = ("", "", "", ".1f", ".1f", ".1f", ".2f", ".2f", ".1f", ".2f")
    print(tabulate.tabulate(rows, headers, tablefmt="github", floatfmt=formats))


def compare(network: str, step: str, options: argparse.Namespace) -> list[list[Any]]:
    """Return a row per peer; ratios are ours over PyTorch's best (above 1: ours wins)."""
    peers = [start(peer, network, step == "train", options) for peer in PEERS]
    known = [peer.ready() for peer in peers]
    times: list[list[tuple[float, float]]] = [[] for _ in peers]
    for _ in range(options.repeats):
        for peer, found in zip(peers, times, strict=True):
            found.append(peer.step())
    for peer in peers:
        peer.stop()
    photos = options.photos * options.devices
    flops = known[0]["flops"]
    rate = known[0]["published"] or max(each["measured"] for each in known)
    limit = rate * photos / flops
    rows: list[list[Any]] = []
    for peer, found in zip(PEERS, times, strict=True):
        walls, processors = zip(*found, strict=True)
        speed = photos / min(walls)
        median = photos / statistics.median(walls)
        rows.append([network, step, peer, speed, median, 1e3 * min(processors) / photos])
    rows[0] += [rows[0][3] / max(row[3] for row in rows[1:])]
    rows[0] += [min(row[5] for row in rows[1:]) / rows[0][5]]
    for row in rows:
        row += [None] * (8 - len(row)) + [limit, row[3] / limit]
        print(row, flush=True)
    return rows


@dataclasses.dataclass
class Peer:
    """The processes of a peer: one, or one a device."""

    pipes: list[Connection]
    processes: list[Any]

    def ready(self) -> dict[str, float]:
        """Wait until all are warm; return what the first one says of itself."""
        known, *_ = [pipe.recv() for pipe in self.pipes]
        return known

    def step(self) -> tuple[float, float]:
        """Seconds of wall time of the slowest, and of processor time of all."""
        for pipe in self.pipes:
            pipe.send("step")
        found = [pipe.recv() for pipe in self.pipes]
        return max(wall for wall, _ in found), sum(processor for _, processor in found)

    def stop(self) -> None:
        """End all of them."""
        for pipe, process in zip(self.pipes, self.processes, strict=True):
            pipe.send("stop")
            process.join()


def start(peer: str, network: str, trains: bool, options: argparse.Namespace) -> Peer:
    """Start a peer, one after the other, so that none is compiled while another is measured."""
    context = multiprocessing.get_context("spawn")
    size = SIZES[network]
    if options.size:
        height, width = options.size.split("x")
        size = int(height), int(width)
    meeting = f"{tempfile.mkdtemp()}/meeting"
    found = Peer([], [])
    for rank in range(1 if peer == OURS else options.devices):
        case = Case(
            peer, network, trains, size, options.photos, options.devices, rank, meeting, options
        )
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(theirs, case))
        process.start()
        found.pipes.append(ours)
        found.processes.append(process)
    for pipe in found.pipes:
        pipe.poll(None)
    return found


def serve(pipe: Connection, case: Case) -> None:
    """Take a step on each request; send the seconds of wall and processor time."""
    step, known = (jax_step if case.peer == OURS else pytorch_step)(case)
    for _ in range(2):
        step()
    pipe.send(known)
    while pipe.recv() == "step":
        wall, processor = time.perf_counter(), processor_time()
        step()
        pipe.send((time.perf_counter() - wall, processor_time() - processor))


def processor_time() -> float:
    """Processor time of all threads of this process, user and system, in seconds."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def least_seconds(function: Callable[[], object]) -> float:
    """Least wall time of five calls after the first."""
    function()
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        function()
        times.append(time.perf_counter() - begin)
    return min(times)


def batch(case: Case, count: int) -> dict[str, np.ndarray]:
    """Drawn photos, four of each identity."""
    rng = np.random.default_rng(case.rank)
    return {
        "image": rng.integers(0, 256, (count, *case.size, 3), np.uint8),
        "erased": np.zeros((count, 4), np.int32),
        "identity": np.repeat(rng.permutation(IDENTITIES)[: count // 4], 4).astype(np.int32),
        "domain": np.zeros(count, np.int8),
        "valid": np.ones(count, np.bool_),
    }


def jax_step(case: Case) -> tuple[Callable[[], object], dict[str, float]]:
    """The step that `fashion-jax train` takes, or the one that it embeds with."""
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"  # the peers share a GPU's memory
    from fashion_jax.cli.host_memory import computes_on_cpu, keep_freed_memory

    keep_freed_memory()
    import jax

    if computes_on_cpu():
        jax.config.update("jax_num_cpu_devices", case.devices)

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

    config = ExperimentConfig(
        image=ImageConfig(*case.size),
        model=ModelConfig(
            backbone=case.network,
            last_stride=case.options.last_stride,
            pooling="token" if case.network.startswith("vit") else "average",
            compute_dtype=case.options.dtype,
        ),
        loss=LossConfig(center_weight=0.0),
    )
    mesh = make_mesh(MeshConfig(), jax.devices()[: case.devices])
    learner = make_learner(config, IDENTITIES, 100, mesh)
    state = learner.create_train_state()
    photos = global_batch(batch(case, case.photos * case.devices), mesh)
    known = {"published": published_rate(case.devices), "measured": jax_rate(case)}
    if not case.trains:
        variables = without_classifier(state.params, state.model_state)
        known["flops"] = operations(learner.encode, variables, photos["image"])
        return lambda: learner.encode(variables, photos["image"]).block_until_ready(), known

    known["flops"] = operations(learner.train_step, state, photos)

    def step() -> None:
        nonlocal state
        state, metrics = learner.train_step(state, photos)
        jax.block_until_ready((state, metrics))

    return step, known


def operations(function: Any, *values: Any) -> float:
    """Operations of a compiled function as it is written, over all devices."""
    return function.lower(*values).cost_analysis()["flops"]


def published_rate(devices: int) -> float:
    """Published operations a second of the devices; 0 if unknown."""
    import jax

    from fashion_jax.parallel.chips import CHIPS, chip_of

    known = chip_of(jax.devices()[0].device_kind)
    return CHIPS[known[0]].flops * devices / known[1] if known else 0.0


def jax_rate(case: Case) -> float:
    """Operations a second of a large matrix product by JAX, on all devices."""
    import jax
    import jax.numpy as jnp

    side = jnp.ones((_SIDE, _SIDE), case.options.dtype)
    product = jax.jit(jnp.matmul)
    seconds = least_seconds(lambda: product(side, side).block_until_ready())
    return rate_of_all(2 * _SIDE**3 / seconds, case, jax.default_backend())


def rate_of_all(rate: float, case: Case, kind: str) -> float:
    """The rate of all devices; those of a CPU share its cores."""
    return rate if kind == "cpu" else rate * case.devices


def pytorch_step(case: Case) -> tuple[Callable[[], object], dict[str, float]]:
    """The same step by PyTorch."""
    import torch
    from pytorch_models import MODELS, Embedder, recipe_loss

    dtype = case.options.dtype
    torch.set_num_threads(max(1, case.options.threads // case.devices))
    torch.backends.cuda.matmul.allow_tf32 = True  # as XLA does by default
    torch.backends.cudnn.benchmark = True
    kind = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(kind, case.rank) if kind == "cuda" else torch.device(kind)
    layout = torch.channels_last if "channels_last" in case.peer else torch.contiguous_format
    make, width = MODELS[case.network]
    model: torch.nn.Module = Embedder(make(case.options.last_stride), width, IDENTITIES)
    model = model.to(device, memory_format=layout).train(case.trains)
    if case.devices > 1:
        model = distributed(model, case, device)
    values = batch(case, case.photos)
    pixels = torch.from_numpy(values["image"]).to(device).permute(0, 3, 1, 2)
    pixels = pixels.contiguous(memory_format=layout)
    identities = torch.from_numpy(values["identity"]).long().to(device)
    optimizer = torch.optim.Adam(model.parameters(), 3.5e-4, weight_decay=5e-4, fused=True)
    forward = torch.compile(model) if case.peer == COMPILED else model
    mixed = torch.autocast(kind, torch.bfloat16, enabled=dtype == "bfloat16")

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

    side = torch.ones(_SIDE, _SIDE, dtype=getattr(torch, dtype), device=device)
    seconds = least_seconds(lambda: (side @ side)[0, 0].item())
    rate = rate_of_all(2 * _SIDE**3 / seconds, case, kind)
    return train if case.trains else infer, {"measured": rate}


def distributed(model: Any, case: Case, device: Any) -> Any:
    """The model on one of several devices that exchange gradients."""
    import torch

    backend = "nccl" if device.type == "cuda" else "gloo"
    torch.distributed.init_process_group(
        backend,
        init_method=f"file://{case.meeting}",
        rank=case.rank,
        world_size=case.devices,
    )
    return torch.nn.parallel.DistributedDataParallel(
        model, [device] if device.type == "cuda" else None
    )


if __name__ == "__main__":
    main()
