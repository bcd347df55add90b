"""Collections: their fields, their description, and how one takes the place of another.

The name that users give is an alias. A build fills a collection `NAME__build_1a2b3c4d` of its own
and at last points the alias at it, in one step; whatever is interrupted leaves the alias where it
was. `left_over` finds what killed builds leave.
"""

import dataclasses
import re
import secrets
from collections.abc import Iterable
from typing import Any

from fashion_jax.files import StorageError, parse_json, to_json
from fashion_jax.inference.card import ModelCard
from fashion_jax.retrieval.milvus.rows import CATEGORY_KEY, EMBEDDING, PHOTO_KEY, ROW, TEXT_BYTES
from fashion_jax.retrieval.milvus.server import MilvusConnection, MilvusError, MilvusPlace
from fashion_jax.retrieval.milvus.settings import MilvusSettings

SCHEMA = 2
# The property of a collection that says what it is.
DESCRIPTION = "fashion_jax"
_MARK = "__build_"


@dataclasses.dataclass(frozen=True)
class Description:
    """What is stored with a collection.

    Attributes:
        card: of the model that made the embeddings.
        settings: of its index.
    """

    card: ModelCard
    settings: MilvusSettings


def create(connection: MilvusConnection, dimensions: int) -> str:
    """Makes an empty collection that nobody sees yet; returns its own name."""
    pymilvus = _pymilvus()
    types = pymilvus.DataType
    schema = pymilvus.MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field(ROW, types.INT64, is_primary=True)
    schema.add_field(EMBEDDING, types.FLOAT_VECTOR, dim=dimensions)
    for name in ("photo_id", "category", "domain"):
        schema.add_field(name, types.VARCHAR, max_length=TEXT_BYTES)
    for name in ("identity", CATEGORY_KEY, PHOTO_KEY):
        schema.add_field(name, types.INT64)
    name = f"{connection.place.collection}{_MARK}{secrets.token_hex(4)}"
    with connection.errors("create a collection"):
        # Strong: a search sees whatever anybody has added before it.
        connection.client.create_collection(name, schema=schema, consistency_level="Strong")
    return name


def finish(connection: MilvusConnection, name: str, description: Description) -> None:
    """Indexes and loads a filled collection, and puts it in the place of the one before."""
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
        for key in (CATEGORY_KEY, PHOTO_KEY):
            params.add_index(key, index_type="INVERTED")
        # milvus-lite indexes while it loads, and has no clock for pymilvus to wait by.
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
    """The own name of the collection that the place's name stands for; None if there is none.

    Raises:
        MilvusError: if the name is that of a collection which fashion-jax did not build.
    """
    client, place = connection.client, connection.place
    with connection.errors("look for the collection"):
        if not client.has_collection(place.collection):
            return None
        name = client.describe_collection(place.collection)["collection_name"]
    if not _is_build(name, place):
        raise MilvusError(
            f"{place} was not built by fashion-jax (its own name is {name}); choose another name"
        )
    return name


def describe(connection: MilvusConnection, name: str) -> Description:
    """Reads what `finish` has stored with a collection."""
    with connection.errors("read the collection's description"):
        properties = connection.client.describe_collection(name)["properties"]
    return _read_description(properties.get(DESCRIPTION, ""), str(connection.place))


def left_over(connection: MilvusConnection) -> list[str]:
    """Collections of builds that were killed, or still run."""
    current = resolve(connection)
    with connection.errors("list the collections"):
        names = connection.client.list_collections()
    place = connection.place
    return sorted(name for name in names if _is_build(name, place) and name != current)


def drop(connection: MilvusConnection, names: Iterable[str]) -> None:
    """Removes collections."""
    with connection.errors("drop a collection"):
        for name in names:
            connection.client.drop_collection(name)


def _is_build(name: str, place: MilvusPlace) -> bool:
    """Whether this is the own name of one of the place's collections, and of no other place's."""
    return re.fullmatch(f"{place.collection}{_MARK}[0-9a-f]{{8}}", name) is not None


def _pymilvus() -> Any:
    import pymilvus

    return pymilvus


def _read_description(text: str, where: str) -> Description:
    try:
        return parse_json(text, Description, SCHEMA, f"{where}: its description")
    except StorageError as error:
        raise MilvusError(str(error)) from error
