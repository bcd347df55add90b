"""What a bulk embedding is of, and how its photos are divided into shards.

The plan is written before the first photo is embedded. Shards are a function of two numbers in it,
so that any number of hosts, started any number of times, agree on them without a word.
"""

import dataclasses
import hashlib
import pathlib

from fashion_jax.datasets.dataset import BuiltDataset, Split
from fashion_jax.errors import FashionJaxError
from fashion_jax.files import atomic_write, read_json, to_json
from fashion_jax.inference.card import ModelCard

SCHEMA = 2
PLAN = "plan.json"


class EmbeddingFilesError(FashionJaxError):
    """A folder of embeddings that is unfinished, damaged, or of something else."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """What all shards of a folder have in common.

    Attributes:
        dataset: its name.
        version: of the dataset.
        split: the part of it that is embedded.
        photos: in the split.
        photos_sha256: of the split's photo names and identities, in their order.
        photos_per_shard: the last shard may have fewer.
        card: of the model.
    """

    dataset: str
    version: str
    split: str
    photos: int
    photos_sha256: str
    photos_per_shard: int
    card: ModelCard

    def __post_init__(self) -> None:
        """Refuses shards without photos."""
        if self.photos_per_shard < 1:
            raise EmbeddingFilesError(
                f"photos_per_shard is {self.photos_per_shard}; it has to be at least 1"
            )

    @classmethod
    def of(
        cls, built: BuiltDataset, split: Split, photos_per_shard: int, card: ModelCard
    ) -> "Plan":
        """The plan to embed a split of a built dataset."""
        digest = _sha256_of_photos(split)
        return cls(
            built.name, built.version, split.name, len(split), digest, photos_per_shard, card
        )

    @property
    def shards(self) -> list[range]:
        """The rows of each shard."""
        step = self.photos_per_shard
        return [
            range(start, min(start + step, self.photos)) for start in range(0, self.photos, step)
        ]

    def digest(self) -> str:
        """A checksum; shards carry it."""
        return hashlib.sha256(to_json(self)).hexdigest()

    def require_same(self, other: "Plan", folder: pathlib.Path) -> None:
        """Refuses to mix embeddings of two kinds in one folder.

        Args:
            other: the plan of what is to be embedded now.
            folder: where this plan was found.

        Raises:
            EmbeddingFilesError: with each differing field and both its values.
            ModelCardError: if they are two models'.
        """
        self.card.require_same(other.card, f"{folder}", "this run's model")
        lines = [
            f"  {name}: there {getattr(self, name)!r}, now {getattr(other, name)!r}"
            for name in (field.name for field in dataclasses.fields(self) if field.name != "card")
            if getattr(self, name) != getattr(other, name)
        ]
        if lines:
            raise EmbeddingFilesError(
                f"{folder} holds embeddings of another plan:\n"
                + "\n".join(lines)
                + "\nGive another --output, or the same flags as before"
            )


def agree_on_plan(folder: pathlib.Path, plan: Plan) -> Plan:
    """Writes the plan, or compares it with the one that is there.

    Returns:
        The one that is there: all hosts go on with the same.

    Raises:
        EmbeddingFilesError: if it differs, or the folder holds something else.
        ModelCardError: if it is another model's.
    """
    path = folder / PLAN
    if not path.is_file():
        if folder.is_dir() and any(not child.name.startswith(".") for child in folder.iterdir()):
            if not path.is_file():  # another host may have been faster
                raise EmbeddingFilesError(
                    f"{folder} is not empty and has no {PLAN}; give another --output"
                )
        else:
            atomic_write(path, to_json(plan, SCHEMA))
    stored = read_plan(folder)
    stored.require_same(plan, folder)
    return stored


def read_plan(folder: pathlib.Path) -> Plan:
    """Reads a folder's plan.

    Raises:
        StorageError: if there is none, or it cannot be read.
    """
    return read_json(folder / PLAN, Plan, SCHEMA, "a folder of embeddings")


def _sha256_of_photos(split: Split) -> str:
    digest = hashlib.sha256()
    for photo_id, identity in zip(split.photo_id, split.identity, strict=True):
        digest.update(f"{len(photo_id)}:{photo_id}:{int(identity)};".encode())
    return digest.hexdigest()
