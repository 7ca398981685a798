"""Protobuf deserialization by a registry's schemas; the only use of the client's private methods.

The client's own deserializer wants a class that was generated beforehand; how it makes descriptors of a registry's
schemas, with what they import, is in methods that it keeps to itself.
"""

from __future__ import annotations

import io
from base64 import b64decode
from typing import TYPE_CHECKING, Any

from loopline.platform_core.errors import Unsupported
from loopline.resources.kafka.schema_registry import UNUSABLE, Unread
from loopline.resources.kafka.value_json import json_of_message

if TYPE_CHECKING:
    from confluent_kafka.schema_registry import SchemaRegistryClient


def _nobody(*_: Any) -> None:
    """Name no subject: a schema's id says all that is needed, however subjects are named."""


NO_SUBJECT = {"subject.name.strategy": _nobody}


class ProtobufSchemas:
    """Reads messages of any schema; classes are made once for each message of each schema."""

    def __init__(self, client: SchemaRegistryClient) -> None:
        from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer
        from google.protobuf.empty_pb2 import Empty

        self._by: Any = ProtobufDeserializer(Empty, NO_SUBJECT, client)
        self._classes: dict[tuple[Any, tuple[int, ...]], Any] = {}

    def decode(self, held: bytes) -> bytes:
        """Read a message behind its schema's id and its place in the schema, and write it as Protobuf's own JSON."""
        from confluent_kafka.schema_registry.serde import SchemaId

        found = SchemaId("PROTOBUF")
        payload = found.from_bytes(io.BytesIO(held))
        message = self._class(found)()
        message.ParseFromString(payload.read())
        return json_of_message(message)

    def _class(self, found: Any) -> Any:
        from google.protobuf.message_factory import GetMessageClass

        place = found.id if found.guid is None else found.guid, tuple(found.message_indexes)
        if place not in self._classes:
            schema = self._by._get_writer_schema(found, None, "serialized")  # noqa: SLF001
            file, pool = self._parsed(schema)
            made = self._by._get_message_desc(pool, pool.FindFileByName(file.name), found.message_indexes)  # noqa: SLF001
            self._classes[place] = GetMessageClass(made)
        return self._classes[place]

    def _parsed(self, schema: Any) -> tuple[Any, Any]:
        """Make descriptors of a schema and of what it imports.

        Raises:
            Unread: it is none. Unsupported: the registry gives the text of one, which only a compiler reads.
        """
        try:
            b64decode(schema.schema_str, validate=True)
        except ValueError as error:
            raise Unsupported(
                "schema_registry: it gives Protobuf schemas as text, not as descriptors (format=serialized)",
                "use a registry that does, such as Confluent's, or write Avro or JSON Schema",
            ) from error
        from confluent_kafka.serialization import SerializationError
        from google.protobuf.message import DecodeError

        try:
            file, pool = self._by._get_parsed_schema(schema)  # noqa: SLF001
            pool.FindFileByName(file.name)
        except (TypeError, ValueError, KeyError, SerializationError, DecodeError) as error:
            raise Unread(UNUSABLE, error) from error
        return file, pool
