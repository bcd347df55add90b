"""Compares how fast photos are read for training: our reader and PyTorch's DataLoader.

    fashion-jax data build --dataset street2shop --manual_dir RAW --data_dir data
    python benchmarks/loader.py [--data_dir data] [--size 320] [--workers 0,2] [--rounds 6]

Decodes the same encoded photos, resizes, flips, pads and crops them, and draws the rectangle to
erase. Ours leave as bytes, and the training step normalises and erases; with `augment.on_device` it
flips and crops as well. PyTorch reads files with Pillow or OpenCV and does what torchvision's
Resize, RandomHorizontalFlip, Pad, RandomCrop, ToTensor, Normalize and RandomErasing do; `bytes` is
OpenCV without the last three. Each peer has a process of its own and as many workers; they take
turns, so that other load affects all alike. Prints photos per second of wall time and of processor
time over all processes (that is, per core), the best round of each, and ours over theirs; then the
parts of our time, on one thread. Needs the extra `benchmarks`.
"""

import argparse
import functools
import math
import multiprocessing
import os
import pathlib
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any

import cv2
import numpy as np
import tabulate

PEERS = (
    "fashion-jax",
    "fashion-jax, on_device",
    "PyTorch, Pillow",
    "PyTorch, OpenCV",
    "PyTorch, OpenCV, bytes",
)
BATCH = 64
PAD = 10
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# More batches than any peer reads ahead.
AHEAD = 16
_TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measures and prints two tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data_dir", default="data")
    parser.add_argument("--dataset", default="street2shop")
    parser.add_argument("--size", type=int, default=320, help="height and width in pixels")
    parser.add_argument("--workers", default="0,2")
    parser.add_argument("--threads", type=int, default=1, help="threads of each of our readers")
    parser.add_argument("--photos", type=int, default=4096, help="different photos, at most")
    parser.add_argument("--batches", type=int, default=16, help="batches of a round")
    parser.add_argument("--rounds", type=int, default=6)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store_photos(arguments, folder)
        rows = [
            row for workers in arguments.workers.split(",")
            for row in compare(int(workers), arguments, folder)
        ]  # fmt: skip
    headers = ["workers", "peer", "photos/s", "photos/s/core", "ours / its"]
    print(tabulate.tabulate(rows, headers, "github", floatfmt=("", "", ".0f", ".0f", ".2f")))
    print()
    print(tabulate.tabulate(parts(arguments), ["part", "µs", "share"], "github", floatfmt=".2f"))


def compare(workers: int, arguments: argparse.Namespace, folder: str) -> list[list[Any]]:
    """Return a row per peer."""
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    for peer in PEERS:
        ours, theirs = context.Pipe()
        values = (theirs, peer, workers, arguments, folder)
        processes.append(context.Process(target=serve, args=values))
        processes[-1].start()
        ours.recv()
        pipes.append(ours)
    photos = BATCH * arguments.batches
    walls, processors = ([[] for _ in PEERS] for _ in range(2))
    for _ in range(arguments.rounds):
        for place, (pipe, process) in enumerate(zip(pipes, processes, strict=True)):
            settle(process.pid)
            pipe.send("go")
            pipe.recv()  # what was read ahead is used up
            before = processor_seconds(process.pid)
            walls[place].append(photos / pipe.recv())
            processors[place].append(photos / (processor_seconds(process.pid) - before))
            pipe.send("noted")
    for pipe, process in zip(pipes, processes, strict=True):
        settle(process.pid)
        pipe.send("stop")
        process.join()
    best = max(processors[0])
    return [
        [workers, peer, max(wall), max(processor), best / max(processor)]
        for peer, wall, processor in zip(PEERS, walls, processors, strict=True)
    ]


def serve(
    pipe: Connection, peer: str, workers: int, arguments: argparse.Namespace, folder: str
) -> None:
    """Read batches on each request; send the seconds that they took."""
    make = our_batches if peer.startswith("fashion-jax") else pytorch_batches
    batches = make(peer, workers, arguments, folder)
    next(batches)
    pipe.send("ready")
    while pipe.recv() == "go":
        for _ in range(AHEAD):
            next(batches)
        pipe.send("begun")
        start = time.perf_counter()
        for _ in range(arguments.batches):
            next(batches)
        pipe.send(time.perf_counter() - start)
        pipe.recv()
    batches.close()


def settle(pid: int) -> None:
    """Wait until a process and its workers have read ahead as far as they do."""
    before = -1.0
    while (now := processor_seconds(pid)) > before + 0.02:
        before = now
        time.sleep(0.3)


def processor_seconds(pid: int) -> float:
    """Processor time of a process and all that it started and still runs, user and system."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    found = (int(fields[11]) + int(fields[12])) / _TICKS
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        found += sum(map(processor_seconds, map(int, (task / "children").read_text().split())))
    return found


def store_photos(arguments: argparse.Namespace, folder: str) -> None:
    """Write the encoded photos to files, as PyTorch's users have them."""
    split = training_split(arguments)
    for row in range(min(len(split), arguments.photos)):
        pathlib.Path(folder, f"{row:09d}").write_bytes(split.image_bytes(row))


def training_split(arguments: argparse.Namespace) -> Any:
    """The built photos."""
    from fashion_jax.datasets.dataset import open_dataset

    return open_dataset(arguments.dataset, arguments.data_dir).split("train")


class RandomRows:
    """A plan of rows without identities, which any photos have."""

    def __init__(self, rows: int) -> None:
        self.labels = np.zeros(rows, np.int32)

    def rows(self, step: int) -> np.ndarray:
        """Rows of a batch."""
        return np.random.default_rng(step).integers(0, len(self.labels), BATCH)


def our_batches(
    peer: str, workers: int, arguments: argparse.Namespace, folder: str
) -> Iterator[Any]:
    """Batches as `fashion-jax train` reads them."""
    from fashion_jax.config import AugmentConfig, DataConfig, ImageConfig
    from fashion_jax.datasets.loader import TrainingBatches, iterate
    from fashion_jax.parallel.hosts import Host

    split = training_split(arguments)
    batches = TrainingBatches(
        split,
        RandomRows(min(len(split), arguments.photos)),
        ImageConfig(arguments.size, arguments.size),
        AugmentConfig(pad=PAD, on_device="on_device" in peer),
        seed=0,
        steps=10**9,
        host=Host(),
    )
    return iterate(batches, DataConfig(workers=workers, threads=arguments.threads))


def pytorch_batches(
    peer: str, workers: int, arguments: argparse.Namespace, folder: str
) -> Iterator[Any]:
    """Batches of a DataLoader, epoch after epoch."""
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    read = read_with_pillow if "Pillow" in peer else read_with_opencv
    photos = Photos(folder, arguments.size, read, "bytes" not in peer)
    loader = torch.utils.data.DataLoader(
        photos,
        BATCH,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
    while True:
        yield from loader


class Photos:
    """A dataset of PyTorch's kind: a list of files."""

    def __init__(self, folder: str, size: int, read: Callable, floats: bool) -> None:
        self.paths = sorted(map(str, pathlib.Path(folder).iterdir()))
        self.size, self.read, self.floats = size, read, floats

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> Any:
        import torch

        image = torch.from_numpy(self.read(self.paths[row], self.size)).permute(2, 0, 1)
        if not self.floats:
            return image.contiguous()
        image = image.contiguous().float().div_(255)
        image.sub_(column(MEAN)).div_(column(STD))
        if random.random() < 0.5:
            top, left, height, width = rectangle(self.size)
            image[:, top : top + height, left : left + width] = column(MEAN)
        return image


@functools.cache
def column(values: tuple[float, ...]) -> Any:
    """A value for each channel."""
    import torch

    return torch.tensor(values)[:, None, None]


def rectangle(size: int) -> tuple[int, int, int, int]:
    """A rectangle of random erasing."""
    while True:
        area = random.uniform(0.02, 0.4) * size * size
        aspect = random.uniform(0.3, 3.33)
        height, width = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if height < size and width < size:
            return random.randint(0, size - height), random.randint(0, size - width), height, width


def read_with_pillow(path: str, size: int) -> np.ndarray:
    """Decode, resize, flip, pad and crop with Pillow, as torchvision does."""
    from PIL import Image, ImageOps

    image = Image.open(path).convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
    if random.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    image = ImageOps.expand(image, PAD)
    top, left = random.randint(0, 2 * PAD), random.randint(0, 2 * PAD)
    return np.array(image.crop((left, top, left + size, top + size)))


def read_with_opencv(path: str, size: int) -> np.ndarray:
    """Decode, resize, flip, pad and crop with OpenCV."""
    image = cv2.cvtColor(cv2.imread(path, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    image = cv2.resize(image, (size, size))
    if random.random() < 0.5:
        image = cv2.flip(image, 1)
    image = cv2.copyMakeBorder(image, PAD, PAD, PAD, PAD, cv2.BORDER_CONSTANT)
    top, left = random.randint(0, 2 * PAD), random.randint(0, 2 * PAD)
    return image[top : top + size, left : left + size]


def parts(arguments: argparse.Namespace) -> list[list[Any]]:
    """Processor time of each part of our reading, for a photo, on one thread."""
    from fashion_jax.config import AugmentConfig, ImageConfig
    from fashion_jax.datasets.augment import draw_augmentation, flip_and_crop
    from fashion_jax.datasets.loader import resize
    from fashion_jax.datasets.photos import decode_record

    cv2.setNumThreads(1)
    split, size = training_split(arguments), arguments.size
    image, augmentation = ImageConfig(size, size), AugmentConfig(pad=PAD)
    rows = np.random.default_rng(0).integers(0, len(split), 8 * BATCH).tolist()
    out = np.zeros((size, size, 3), np.uint8)

    def draw(row: int) -> Any:
        return draw_augmentation(size, size, augmentation, np.random.default_rng((row, 1, 2, 3)))

    encoded, read = timed(split.image_bytes, rows)
    decoded, decode = timed(decode_record, encoded)
    resized, resizes = timed(lambda pixels: resize(pixels, image), decoded)
    drawn, draws = timed(draw, rows)
    pairs = list(zip(resized, drawn, strict=True))
    _, crops = timed(lambda pair: flip_and_crop(*pair, out), pairs)
    times = {
        "read the record": read,
        "decode": decode,
        "resize": resizes,
        "draw the augmentation": draws,
        "flip and crop": crops,
    }
    total = sum(times.values())
    return [[name, taken, taken / total] for name, taken in times.items()]


def timed(function: Callable, values: list) -> tuple[list, float]:
    """Results for all values, and the least processor time for one in µs."""
    best = math.inf
    for _ in range(4):
        start = time.process_time()
        found = [function(value) for value in values]
        best = min(best, time.process_time() - start)
    return found, 1e6 * best / len(values)


if __name__ == "__main__":
    main()
