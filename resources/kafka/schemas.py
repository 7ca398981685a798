"""Deserializes Kafka records with a schema id (Avro, Protobuf, JSON Schema) to JSON.

A value, or the key of a record without one, begins with a zero and the schema's number, or with a one and its GUID, as
Confluent's serializers write them. What begins otherwise is left as it is.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from loopline.platform_core.contracts.event_stream import AsJson
from loopline.platform_core.errors import LooplineError
from loopline.resources.kafka.protobuf_schemas import NO_SUBJECT, ProtobufSchemas
from loopline.resources.kafka.schema_registry import MISMATCH, UNUSABLE, Asked, SchemaRegistry, Unread, is_unknown
from loopline.resources.kafka.value_json import json_of

if TYPE_CHECKING:
    import pyarrow as pa
    from confluent_kafka import Message
    from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

LOG = logging.getLogger("loopline.kafka")
BY_NUMBER, BY_GUID = 0, 1
"""A record's first byte: JSON begins with neither."""
KEY_HEADER, VALUE_HEADER = "__key_schema_id", "__value_schema_id"
Decode = Callable[[bytes], bytes]


def content(message: Message) -> tuple[bytes | None, bytes | None]:
    """Return a message's key and value, each behind its schema's id, where that came as a header."""
    headers = dict(message.headers() or ())
    key, value = message.key(), message.value()
    return _behind(headers.get(KEY_HEADER), key), _behind(headers.get(VALUE_HEADER), value)


def _behind(id_bytes: Any, held: bytes | None) -> bytes | None:
    return held if held is None or not id_bytes else bytes(id_bytes) + held


class Schemas:
    """Decodes by the writer's schema; each is asked for once and kept. For one process."""

    def __init__(self, registry: SchemaRegistry) -> None:
        self._registry = registry
        self._client = registry.client()
        self._protobuf: ProtobufSchemas | None = None
        self._known: dict[Asked, Decode] = {}

    def as_json(self, topic: str, records: pa.Table) -> AsJson:
        """Decode what bears an id; an id that the registry does not know is asked for once a call."""
        import pyarrow as pa

        pairs = zip(records["key"].to_pylist(), records["value"].to_pylist(), strict=True)
        unread: dict[int, Unread] = {}
        again: dict[Asked, Unread] = {}
        content = [self._pair(at, pair, unread, again) for at, pair in enumerate(pairs)]
        if unread:
            LOG.warning("topic %s: %d records cannot be read; %s", topic, len(unread), next(iter(unread.values())))
        for place, name in enumerate(("key", "value")):
            column = pa.array([each[place] for each in content], pa.binary())
            records = records.set_column(records.column_names.index(name), name, column)
        return AsJson(records, {at: why.reason for at, why in unread.items()})

    def _pair(
        self,
        at: int,
        pair: tuple[bytes | None, bytes | None],
        unread: dict[int, Unread],
        again: dict[Asked, Unread],
    ) -> tuple[bytes | None, bytes | None]:
        """Decode a value, or the key of a record without one; an unread key stands as value, for its letter."""
        key, value = pair
        held = key if value is None else value
        if not held or held[0] not in (BY_NUMBER, BY_GUID):
            return pair
        try:
            said = self._decoded(held, again)
        except Unread as why:
            unread[at] = why
            return key, held
        return (said, None) if value is None else (key, said)

    def _decoded(self, held: bytes, again: dict[Asked, Unread]) -> bytes:
        asked = _asked(held)
        if asked in again:
            raise again[asked]
        if asked not in self._known:
            try:
                self._known[asked] = self._decoder(asked)
            except Unread as why:
                again[asked] = why
                raise
        try:
            return self._known[asked](held)
        except Exception as error:
            raise self._hindered(error, MISMATCH) from error

    def _decoder(self, asked: Asked) -> Decode:
        """Learn how records of a schema are read; what cannot be, is none of the registry's faults."""
        schema = self._registry.fetch(self._client, asked)
        if _rules_on_reading(schema):
            raise Unread(UNUSABLE, f"schema {asked} has rules for who reads, such as to decrypt")
        try:
            return self._of_kind(schema.schema_type or "AVRO")
        except Exception as error:
            raise self._hindered(error, UNUSABLE) from error

    def _of_kind(self, kind: str) -> Decode:
        if kind == "AVRO":
            return _avro(self._client)
        if kind == "JSON":
            return _json_schema(self._client)
        if kind != "PROTOBUF":
            raise Unread(UNUSABLE, f"a schema of kind {kind}")
        if self._protobuf is None:  # a client of its own: one keeps a schema in one form only, and this is another
            self._protobuf = ProtobufSchemas(self._registry.client())
        return self._protobuf.decode

    def _hindered(self, error: Exception, reason: str) -> Exception:
        """Return what to raise: the registry's fault is no record's, but for a reference to what is not there."""
        from confluent_kafka.schema_registry.error import SchemaParseException, UnknownType

        if isinstance(error, Unread | LooplineError):
            return error
        if isinstance(error, SchemaParseException | UnknownType):  # a schema is parsed with its first record
            return Unread(UNUSABLE, error)
        if is_unknown(error) or getattr(error, "error_code", None) in (40401, 40402):
            return Unread(UNUSABLE, error)
        return self._registry.error(error) or Unread(reason, error)


def _asked(held: bytes) -> Asked:
    from confluent_kafka.schema_registry.serde import SchemaId

    found = SchemaId("")
    try:
        found.from_bytes(io.BytesIO(held))
    except Exception as error:
        raise Unread(MISMATCH, error) from error
    return Asked(found.id, str(found.guid) if found.guid else None)


def _rules_on_reading(schema: Schema) -> bool:
    return any(str(rule.mode) in ("READ", "WRITEREAD") for rule in _rules(schema))


def _rules(schema: Schema) -> Iterator[Any]:
    found = schema.rule_set
    if found is not None:
        yield from [*(found.domain_rules or ()), *(found.encoding_rules or ())]


def _avro(client: SchemaRegistryClient) -> Decode:
    from confluent_kafka.schema_registry.avro import AvroDeserializer

    read = AvroDeserializer(client, conf=NO_SUBJECT)
    return lambda held: json_of(read(held))


def _json_schema(client: SchemaRegistryClient) -> Decode:
    """Validate by the schema, and take the text as it was written: its numbers keep all their digits."""
    from confluent_kafka.schema_registry.json_schema import JSONDeserializer
    from confluent_kafka.schema_registry.serde import SchemaId

    read = JSONDeserializer(None, schema_registry_client=client, conf=NO_SUBJECT)

    def decode(held: bytes) -> bytes:
        read(held)
        return bytes(SchemaId("JSON").from_bytes(io.BytesIO(held)).read())

    return decode
