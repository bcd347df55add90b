"""Collections: their fields, their description, and their atomic replacement.

The user's name for a collection is an alias. A build fills a new collection `NAME__build_1a2b3c4d`
and finally points the alias at it, in one step; an interrupted build leaves the alias unchanged.
`left_over` finds the collections of killed builds.
"""

import dataclasses
import re
import secrets
from collections.abc import Iterable
from typing import Any

from fashion_jax.files import StorageError, parse_json, to_json
from fashion_jax.inference.card import ModelCard
from fashion_jax.retrieval.milvus.rows import (
    EMBEDDING,
    ITEM_FIELDS,
    KEYS,
    ROW,
    TEXT_BYTES,
)
from fashion_jax.retrieval.milvus.server import MilvusConnection, MilvusError, MilvusPlace
from fashion_jax.retrieval.milvus.settings import MilvusSettings

SCHEMA = 4
# Property of a collection that stores its description.
DESCRIPTION = "fashion_jax"
_MARK = "__build_"


@dataclasses.dataclass(frozen=True)
class CollectionDescription:
    """Description stored with a collection.

    Attributes:
        card: card of the model that made the embeddings.
        settings: settings of the index.
    """

    card: ModelCard
    settings: MilvusSettings


def create(connection: MilvusConnection, dimensions: int) -> str:
    """Make an empty collection without an alias; return its internal name."""
    pymilvus = _pymilvus()
    types = pymilvus.DataType
    schema = pymilvus.MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field(ROW, types.INT64, is_primary=True)
    schema.add_field(EMBEDDING, types.FLOAT_VECTOR, dim=dimensions)
    for name in ITEM_FIELDS:
        schema.add_field(name, types.VARCHAR, max_length=TEXT_BYTES)
    for name in KEYS.values():
        schema.add_field(name, types.INT64)
    name = f"{connection.place.collection}{_MARK}{secrets.token_hex(4)}"
    with connection.errors("create a collection"):
        # Strong: a search sees all rows that were added before it.
        connection.client.create_collection(name, schema=schema, consistency_level="Strong")
    return name


def finish(connection: MilvusConnection, name: str, description: CollectionDescription) -> None:
    """Indexes and loads a filled collection, and replaces the previous one by it."""
    client, place = connection.client, connection.place
    with connection.errors("build the index"):
        client.flush(name)
        client.alter_collection_properties(
            name, {DESCRIPTION: to_json(description, SCHEMA).decode()}
        )
        settings = description.settings
        params = client.prepare_index_params()
        params.add_index(
            EMBEDDING,
            index_type=settings.index_type,
            metric_type="IP",
            params=settings.to_build(),
        )
        for key in KEYS.values():
            params.add_index(key, index_type="INVERTED")
        # milvus-lite builds the index while loading; pymilvus cannot wait for it.
        client.create_index(name, params, sync=not place.local)
        client.load_collection(name)
    before = resolve(connection)
    with connection.errors("give the new collection its name"):
        if before is None:
            client.create_alias(name, place.collection)
        else:
            client.alter_alias(name, place.collection)
            client.drop_collection(before)


def resolve(connection: MilvusConnection) -> str | None:
    """Return the internal name behind the collection's alias; None if it does not exist.

    Raises:
        MilvusError: the name belongs to a collection that fashion-jax did not build.
    """
    client, place = connection.client, connection.place
    with connection.errors("look for the collection"):
        if not client.has_collection(place.collection):
            return None
        name = client.describe_collection(place.collection)["collection_name"]
    if not _is_build(name, place):
        raise MilvusError(
            f"{place} was not built by fashion-jax (its internal name is {name}); choose another "
            f"name"
        )
    return name


def read_description(connection: MilvusConnection, name: str) -> CollectionDescription:
    """Read the description that `finish` stored with a collection.

    Raises:
        MilvusError: a description that is damaged or of another version.
    """
    with connection.errors("read the collection's description"):
        properties = connection.client.describe_collection(name)["properties"]
    text, where = properties.get(DESCRIPTION, ""), f"{connection.place}: its description"
    try:
        return parse_json(text, CollectionDescription, SCHEMA, where)
    except StorageError as error:
        raise MilvusError(str(error)) from error


def left_over(connection: MilvusConnection) -> list[str]:
    """List collections of builds that were killed or are still running."""
    current = resolve(connection)
    with connection.errors("list the collections"):
        names = connection.client.list_collections()
    place = connection.place
    return sorted(name for name in names if _is_build(name, place) and name != current)


def drop(connection: MilvusConnection, names: Iterable[str]) -> None:
    """Drop collections by their internal names."""
    with connection.errors("drop a collection"):
        for name in names:
            connection.client.drop_collection(name)


def _is_build(name: str, place: MilvusPlace) -> bool:
    """Return whether this is an internal name of the place's collection, and of no other."""
    return re.fullmatch(f"{place.collection}{_MARK}[0-9a-f]{{8}}", name) is not None


def _pymilvus() -> Any:
    import pymilvus

    return pymilvus
