r"""Embeds augmented copies of a built dataset's photos with a trained run: realistic vectors.

    fashion-jax data build --dataset street2shop --manual_dir RAW --data_dir data
    fashion-jax train --config=street2shop_small_contrastive --workdir=runs/small \
        --config.image.height=64 --config.image.width=64 --config.training.epochs=4
    python benchmarks/augmented_embeddings.py --workdir runs/small --output embeddings.npz \
        [--photos 400000] [--queries 2000]

Copies of a photo differ in crop, angle, side, brightness, contrast and saturation. The gallery has
copies of the training and gallery photos, queries are copies of the customers' test photos.
"""

import argparse
import time
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageEnhance

from fashion_jax.datasets.dataset import open_dataset
from fashion_jax.datasets.photos import decode_record
from fashion_jax.inference.model import load_model

_SIDE = 160  # photos are kept this small in memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--workdir", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--photos", type=int, default=400_000)
    parser.add_argument("--queries", type=int, default=2000)
    arguments = parser.parse_args()
    model = load_model(arguments.workdir)
    data = open_dataset(model.config.data.dataset, model.config.data.data_dir)
    start = time.perf_counter()
    counts = {("train", "gallery"): arguments.photos, ("query",): arguments.queries}
    shop_nd, asked_qd = (
        model.embed(_copies(data, splits, count)) for splits, count in counts.items()
    )
    np.savez(arguments.output, shop=shop_nd, asked=asked_qd)
    seconds = time.perf_counter() - start
    print(f"{len(shop_nd):,} × {shop_nd.shape[1]} and {len(asked_qd):,} queries in {seconds:.0f} s")


def _copies(data, splits: tuple[str, ...], count: int) -> Iterator[np.ndarray]:
    """Yield pixels of augmented copies: one of every photo, then another one of every photo."""
    photos = []
    for split in map(data.split, splits):
        for row in range(len(split)):
            photo = Image.fromarray(decode_record(split.image_bytes(row)))
            photo.thumbnail((_SIDE, _SIDE))
            photos.append(photo)
    for number in range(count):
        yield _copy(photos[number % len(photos)], np.random.default_rng([len(splits), number]))


def _copy(photo: Image.Image, rng: np.random.Generator) -> np.ndarray:
    photo = photo.rotate(rng.uniform(-12, 12), Image.Resampling.BILINEAR, fillcolor=(255,) * 3)
    (width, height), share = photo.size, rng.uniform(0.6, 1.0, 2)
    left, top = rng.random(2) * (1 - share)
    box = left * width, top * height, (left + share[0]) * width, (top + share[1]) * height
    photo = photo.crop(tuple(map(round, box)))
    if rng.random() < 0.5:
        photo = photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    for change in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        photo = change(photo).enhance(rng.uniform(0.7, 1.3))
    return np.asarray(photo)


if __name__ == "__main__":
    main()
