"""A split in memory: drawn squares, each of its identity's colour."""

import cv2
import numpy as np

from fashion_jax.datasets.dataset import Split
from fashion_jax.datasets.records import Domain

CATEGORIES = ("dresses", "tops")


class FakeSplit(Split):
    """A split without files."""

    def __init__(self, name: str, identities: int, street: int = 2, shop: int = 2) -> None:
        self.name = name
        each = street + shop
        self.identity = np.repeat(np.arange(identities, dtype=np.int64), each)
        kinds = [Domain.STREET] * street + [Domain.SHOP] * shop
        self.domain = np.tile(np.array(kinds, np.int8), identities)
        self.category = np.array([CATEGORIES[number % 2] for number in self.identity])
        self.photo_id = np.array([f"{name}_{row:04d}" for row in range(len(self.identity))])
        self.camera = np.full(len(self.identity), -1, np.int32)

    def __len__(self) -> int:
        return len(self.identity)

    def image_bytes(self, row: int) -> bytes:
        rng = np.random.default_rng((int(self.identity[row]), 5))
        color = rng.integers(0, 256, 3)
        noise = np.random.default_rng(row).integers(0, 60, (40, 30, 3))
        pixels = np.clip(color + noise, 0, 255).astype(np.uint8)
        return cv2.imencode(".png", pixels)[1].tobytes()
