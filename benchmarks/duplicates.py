"""Duplicates that each method finds in a built dataset, and copies that it finds again.

    python benchmarks/duplicates.py --dataset street2shop --data_dir data
    python benchmarks/duplicates.py --dataset street2shop --data_dir data --embed
    python benchmarks/duplicates.py --time 400000

The first command counts pairs of one product and of two products by hash alone and by hash and
colours, for several limits; and it changes 800 photos as copies are changed on their way, and
counts those whose copies are within the limits. The second one counts the pairs that embeddings
add, those of EfficientNet-Lite0 with ImageNet weights. The third one times the search for near
pairs.
"""

import argparse
import resource
import time

import cv2
import numpy as np
from tabulate import tabulate

from fashion_jax.datasets.dataset import open_dataset, products_of
from fashion_jax.datasets.duplicates.fingerprints import (
    Fingerprints,
    colour_differences,
    colour_grid,
    perceptual_hash,
    read_fingerprints,
)
from fashion_jax.datasets.duplicates.limits import Limits
from fashion_jax.datasets.duplicates.near_pairs import near_pairs, similar_pairs
from fashion_jax.datasets.photos import THUMBNAIL_SIDE, decode_record, encode_jpeg, shrink
from fashion_jax.inference.model import load_pretrained_model
from fashion_jax.retrieval.make_index import make_index
from fashion_jax.serving.duplicates import find_neighbours

HASHES = (0, 4, 8, 10)
COLOURS = (1000.0, 20.0, 12.0, 10.0, 8.0)
COSINES = (0.9, 0.93, 0.95, 0.97)
COPIES = 800


def quality(value):
    return lambda image: decode_record(encode_jpeg(image, value))


def half(image):
    return cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)


def one_side(share):
    return lambda image: image[: len(image) - round(share * len(image))]


def all_sides(share):
    def cut(image):
        top, left = (round(share * side) for side in image.shape[:2])
        return image[top : len(image) - top, left : image.shape[1] - left]

    return cut


def watermark(image):
    lettered = image.copy()
    scale = image.shape[1] / 220
    place = int(0.1 * image.shape[1]), len(image) // 2
    cv2.putText(lettered, "SHOP.EXAMPLE", place, 0, scale, (255, 255, 255), 3, cv2.LINE_AA)
    cv2.putText(lettered, "SHOP.EXAMPLE", place, 0, scale, (90, 90, 90), 1, cv2.LINE_AA)
    return cv2.addWeighted(image, 0.55, lettered, 0.45, 0)


def brightness(factor):
    return lambda image: np.clip(image * factor, 0, 255).astype(np.uint8)


CHANGES = {
    "JPEG of quality 40": quality(40),
    "JPEG of quality 90": quality(90),
    "half the size": half,
    "watermark": watermark,
    "5 % brighter": brightness(1.05),
    "10 % darker": brightness(0.9),
    "cropped by 2 % on one side": one_side(0.02),
    "cropped by 2 % on all sides": all_sides(0.02),
    "cropped by 5 % on one side": one_side(0.05),
    "cropped by 5 % on all sides": all_sides(0.05),
    "mirrored": lambda image: np.ascontiguousarray(image[:, ::-1]),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", default="street2shop")
    parser.add_argument("--data_dir", default="data")
    parser.add_argument("--embed", action="store_true")
    parser.add_argument("--time", type=int, metavar="PHOTOS")
    flags = parser.parse_args()
    if flags.time:
        time_near_pairs(flags.time)
        return
    dataset = open_dataset(flags.dataset, flags.data_dir)
    splits = [dataset.split(name) for name in dataset.splits]
    places = [(split, row) for split in splits for row in range(len(split))]
    products = np.array([product for split in splits for product in products_of(split)])

    def read(row):
        split, place = places[row]
        return split.image_bytes(place)

    prints = read_fingerprints(read, len(places))
    if flags.embed:
        print_similar(prints, products, splits)
        return
    print_pairs(prints, products)
    print_copies(prints, read)


def print_similar(prints, products, splits):
    model = load_pretrained_model("efficientnet_lite0", height=96, width=96)
    embeddings = np.concatenate([model.embed_split(split) for split in splits])
    embedded = find_neighbours(embeddings, make_index(embeddings), min(COSINES))
    rows, table = np.flatnonzero(~prints.plain), []
    for cosine in COSINES:
        first, second = similar_pairs(prints, rows, Limits(cosine=cosine), embedded)
        pairs = np.unique(np.sort([first, second], axis=0), axis=1)
        distances, colours = prints.hash_distances(*pairs), prints.colour_differences(*pairs)
        new = (distances > Limits().hash_distance) | (colours > Limits().colour_difference)
        same = products[pairs[0]] == products[pairs[1]]
        table.append(
            [cosine, *(int(np.sum(each)) for each in (same, ~same, new & same, new & ~same))]
        )
    columns = ["cosine >=", "one product", "two products", "of these new: one", "two"]
    print(tabulate(table, columns, tablefmt="github"))


def print_pairs(prints, products):
    rows = np.flatnonzero(~prints.plain)
    limits = Limits(max(HASHES), COLOURS[0], pairs=10**6)
    found = near_pairs(prints, rows, limits)
    distances = prints.hash_distances(found.first, found.second)
    colours = prints.colour_differences(found.first, found.second)
    same = products[found.first] == products[found.second]
    table = []
    for hash_distance in HASHES:
        for colour in COLOURS:
            close = (distances <= hash_distance) & (colours <= colour)
            label = "any" if colour == COLOURS[0] else f"{colour:g}"
            table.append(
                [hash_distance, label, int(np.sum(close & same)), int((close & ~same).sum())]
            )
    print(f"{len(prints):,} photos, {int(prints.plain.sum()):,} plain, {found.crowded} crowded")
    columns = ["hash <=", "colour <=", "pairs of one product", "pairs of two products"]
    print(tabulate(table, columns, tablefmt="github"))


def print_copies(prints, read):
    rows = np.random.default_rng(0).choice(len(prints), COPIES, replace=False)
    images = [decode_record(read(row)) for row in rows]
    limits, table = Limits(), []
    for name, change in CHANGES.items():
        copies = [shrink(change(image), THUMBNAIL_SIDE) for image in images]
        hashes = np.array([perceptual_hash(copy) for copy in copies], np.uint64)
        distances = np.bitwise_count(hashes ^ prints.hashes[rows])
        grids = np.array([colour_grid(copy) for copy in copies])
        colours = colour_differences(grids, prints.colours[rows])
        close = distances <= limits.hash_distance
        both = close & (colours <= limits.colour_difference)
        wide = distances <= limits.similar_hash_distance
        wide &= colours <= limits.similar_colour_difference
        table.append([name, *(f"{100 * each.mean():.1f} %" for each in (close, both, wide))])
    columns = ["copy", "hash", "hash and colours", "limits of similar photos"]
    print(tabulate(table, columns, tablefmt="github"))


def time_near_pairs(photos):
    """All photos as light as each other: the window is everything, the most work there can be."""
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**64, photos, dtype=np.uint64, endpoint=False)
    colours = rng.uniform(60, 65, (photos, 8, 8, 3)).astype(np.float16)
    rows = np.arange(photos)
    prints = Fingerprints(rows, rows, hashes, colours, np.zeros(photos, bool))
    wall, cpu = time.perf_counter(), time.process_time()
    found = near_pairs(prints, rows, Limits())
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{photos:,} photos, {len(found.first):,} pairs: {wall:.0f} s, {cpu:.0f} s of CPU time")
    print(f"most memory: {peak:.2f} GiB, of which the colours take {colours.nbytes / 2**30:.2f}")


if __name__ == "__main__":
    main()
