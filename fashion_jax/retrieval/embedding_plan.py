"""Plan of a bulk embedding: its dataset, its model, and its division into shards.

The plan is written before the first photo is embedded. The shards depend on two of its numbers
only, so that any number of hosts, started any number of times, agree without communicating.
"""

import dataclasses
import hashlib
import math
import pathlib
from typing import Annotated

import msgspec

from fashion_jax.datasets.dataset import BuiltDataset, Split, products_of
from fashion_jax.errors import FashionJaxError
from fashion_jax.files import StorageError, atomic_write, read_json, to_json
from fashion_jax.inference.card import ModelCard
from fashion_jax.similar_names import reprs

SCHEMA = 3
PLAN = "plan.json"
_MOST_SHARDS = 1_000_000  # each is two files
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


@dataclasses.dataclass(frozen=True)
class EmbeddingPlan:
    """Properties that all shards of a folder share.

    Attributes:
        dataset: name of the dataset.
        version: version of the dataset.
        split: name of the embedded split.
        photos: number of photos in the split.
        photos_sha256: checksum of the names of the split's photos and products, in order.
        photos_per_shard: number of photos in each shard except for the last, which may have fewer.
        card: card of the model.
    """

    dataset: str
    version: str
    split: str
    photos: Count
    photos_sha256: str
    photos_per_shard: Count
    card: ModelCard

    def __post_init__(self) -> None:
        """Refuses shards without photos, and too many shards."""
        fewest = max(1, math.ceil(self.photos / _MOST_SHARDS))
        if self.photos_per_shard < fewest:
            raise FashionJaxError(
                f"photos_per_shard is {self.photos_per_shard}; expected at least {fewest}"
            )

    @classmethod
    def of_split(
        cls, built: BuiltDataset, split: Split, photos_per_shard: int, card: ModelCard
    ) -> "EmbeddingPlan":
        """Plans the embedding of a split of a built dataset."""
        digest = _sha256_of_photos(split)
        return cls(
            built.name, built.version, split.name, len(split), digest, photos_per_shard, card
        )

    @property
    def shards(self) -> list[range]:
        """Rows of each shard."""
        step = self.photos_per_shard
        return [
            range(start, min(start + step, self.photos)) for start in range(0, self.photos, step)
        ]

    def digest(self) -> str:
        """Return a checksum of the plan, which every shard carries."""
        return hashlib.sha256(to_json(self)).hexdigest()

    def require_same(self, other: "EmbeddingPlan", folder: pathlib.Path) -> None:
        """Refuses to mix embeddings of two plans in one folder.

        Args:
            other: plan of the embeddings to make now.
            folder: folder of this plan.

        Raises:
            StorageError: the plans differ; each differing field is named with both values.
            ModelCardError: the models differ.
        """
        self.card.require_same(other.card, f"{folder}", "this run's model")
        lines = [
            f"  {name}: stored {stored}, now {now}"
            for name in (field.name for field in dataclasses.fields(self) if field.name != "card")
            if getattr(self, name) != getattr(other, name)
            for stored, now in [reprs(getattr(self, name), getattr(other, name))]
        ]
        if lines:
            raise StorageError(
                f"{folder} holds embeddings of another plan:\n"
                + "\n".join(lines)
                + "\nChoose another --output, or repeat the flags of the first run"
            )


def agree_on_plan(folder: pathlib.Path, plan: EmbeddingPlan) -> EmbeddingPlan:
    """Write the plan, or compare it with the stored one.

    Returns:
        The stored plan, which is the same for all hosts.

    Raises:
        StorageError: the stored plan differs, or the folder holds something else.
        ModelCardError: the stored plan is of another model.
    """
    path = folder / PLAN
    if not path.is_file():
        if folder.is_dir() and any(not child.name.startswith(".") for child in folder.iterdir()):
            if not path.is_file():  # another host may have been faster
                raise StorageError(
                    f"{folder} is not empty and has no {PLAN}; choose another --output"
                )
        else:
            atomic_write(path, to_json(plan, SCHEMA))
    stored = read_plan(folder)
    stored.require_same(plan, folder)
    return stored


def read_plan(folder: pathlib.Path) -> EmbeddingPlan:
    """Read a folder's plan.

    Raises:
        StorageError: no plan, or one that is damaged or of another version.
    """
    return read_json(folder / PLAN, EmbeddingPlan, SCHEMA, "a folder of embeddings")


def _sha256_of_photos(split: Split) -> str:
    digest = hashlib.sha256()
    for photo_id, product in zip(split.photo_id, products_of(split), strict=True):
        digest.update(f"{len(photo_id)}:{photo_id}{len(product)}:{product};".encode())
    return digest.hexdigest()
