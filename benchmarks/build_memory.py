"""Does building a dataset take memory that grows with the dataset, and how long does it take?

    python benchmarks/build_memory.py [--photos 3000 12000]

Draws raw copies in the layout of Street2Shop out of 640x480 photos into a temporary folder (about
80 KB each, raw and built), builds each in its own process through the command line, and prints
seconds, photos per second and the process's peak of resident memory side by side. The additional
memory per photo of the larger copy predicts the need of a copy of any size.
"""

import argparse
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
import tabulate
from PIL import Image

WIDTH, HEIGHT = 640, 480
DRAWN = 64  # different photos; copies of them cost the builder as much
PHOTOS_A_PRODUCT = 3  # one of the street, two of the shop
BOX = {"left": 120, "top": 40, "width": 300, "height": 400}


def main() -> None:
    """Measures all sizes and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--photos", type=int, nargs="+", default=[3000, 12000])
    parser.add_argument("--folder", help="for temporary files (default: the system's)")
    arguments = parser.parse_args()
    drawn = [draw_photo(seed) for seed in range(DRAWN)]
    rows = []
    for photos in arguments.photos:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            write_raw_copy(pathlib.Path(folder, "raw"), photos, drawn)
            seconds, processor, peak = build(pathlib.Path(folder))
        rows.append([photos, seconds, photos / seconds, processor, peak])
    headers = ["photos", "seconds", "photos/s", "processor [s]", "peak [MiB]"]
    print(tabulate.tabulate(rows, headers, floatfmt=".1f"))
    if len(rows) > 1:
        more = (rows[-1][4] - rows[0][4]) * 1024 / (rows[-1][0] - rows[0][0])
        print(f"each further photo: {more:.2f} KiB of memory")


def draw_photo(seed: int) -> bytes:
    """A JPEG with shapes, soft light and the grain of a camera."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (12, 16, 3), np.uint8)
    soft = Image.fromarray(coarse).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    pixels = np.asarray(soft, np.float32) + rng.normal(0, 6, (HEIGHT, WIDTH, 3))
    encoded = io.BytesIO()
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(encoded, "JPEG", quality=85)
    return encoded.getvalue()


def write_raw_copy(folder: pathlib.Path, photos: int, drawn: list[bytes]) -> None:
    """Photos and lists; every tenth product is for testing."""
    lists = {"retrieval": [], "train_pairs": [], "test_pairs": []}
    (folder / "images").mkdir(parents=True)
    for number in range(photos):
        product = number // PHOTOS_A_PRODUCT
        row = {"photo": number, "product": product}
        if number % PHOTOS_A_PRODUCT:
            lists["retrieval"].append(row)
        else:
            role = "train_pairs" if product % 10 else "test_pairs"
            lists[role].append({**row, "bbox": BOX})
        (folder / "images" / f"{number:09d}.jpg").write_bytes(drawn[number % DRAWN])
    (folder / "meta" / "json").mkdir(parents=True)
    for role, rows in lists.items():
        (folder / "meta" / "json" / f"{role}_dresses.json").write_text(json.dumps(rows))


def build(folder: pathlib.Path) -> tuple[float, float, float]:
    """Build in a fresh process: seconds, processor seconds, peak of resident memory in MiB."""
    command = [sys.executable, "-m", "fashion_jax.cli", "data", "build", "--dataset=street2shop"]
    command += [f"--manual_dir={folder / 'raw'}", f"--data_dir={folder / 'data'}"]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"the build failed: {' '.join(command)}")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024  # Linux counts KiB


if __name__ == "__main__":
    main()
