"""Records that official serializers wrote are read by the schemas of a registry, and what cannot be says why."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest
from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient, header_schema_id_serializer
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import DESCRIPTOR as TIMESTAMP
from google.protobuf.wrappers_pb2 import DESCRIPTOR as WRAPPERS

from loopline.platform_core import environment
from loopline.platform_core.contracts.event_stream import AsJson, Read, records_table
from loopline.platform_core.errors import InvalidEnvironment, LooplineError, StoreUnavailable, Unsupported
from loopline.resources.kafka.event_stream import KafkaEventStream
from loopline.resources.kafka.schemas import content
from tests.kafka.registry_fake import PASSWORD, USER, Registry, registry

NO_SUBJECTS = {"subject.name.strategy.type": "TOPIC"}
ORDER = {
    "type": "record",
    "name": "Order",
    "namespace": "shop",
    "fields": [
        {"name": "id", "type": {"type": "string", "logicalType": "uuid"}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
        {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 30, "scale": 2}},
        {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["NEW", "OLD"]}},
        {"name": "note", "type": ["null", "string"], "default": None},
        {"name": "of", "type": {"type": "record", "name": "Of", "fields": [{"name": "n", "type": "long"}]}},
        {"name": "tags", "type": {"type": "array", "items": "string"}},
        {"name": "raw", "type": "bytes"},
        {"name": "share", "type": "double"},
    ],
}
VALUE = {
    "id": UUID(int=7),
    "at": datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC),
    "day": date(2026, 1, 2),
    "price": Decimal("12345678901234567890.10"),
    "kind": "OLD",
    "note": "ä",
    "of": {"n": 2**60 + 1},
    "tags": ["a", "b"],
    "raw": b"\x00\xff",
    "share": float("nan"),
}
NUMBER = json.dumps({"type": "object", "properties": {"n": {"type": "number"}}, "required": ["n"]})


@pytest.fixture
def held() -> Iterator[Registry]:
    """Serve a registry."""
    with registry() as held:
        yield held


@pytest.fixture
def client(held: Registry) -> SchemaRegistryClient:
    """Be who writes."""
    return SchemaRegistryClient({"url": held.url, "basic.auth.user.info": f"{USER}:{PASSWORD}"})


def bound(url: str, **said: Any) -> KafkaEventStream:
    """Bind a stream as an environment file does; no broker is asked."""
    settings = {"url": url, "username": USER, "password": PASSWORD, "timeout_seconds": 5} | said
    binding = {"vendor": "kafka", "bootstrap_servers": "127.0.0.1:1", "schema_registry": settings}
    stream = environment.bind("event_stream", binding)
    assert isinstance(stream, KafkaEventStream)
    return stream


def as_json(held: Registry, *values: bytes | None, keys: Sequence[bytes | None] = ()) -> AsJson:
    """Read values, as landing does."""
    return bound(held.url).as_json("shop/orders", table(*values, keys=keys))


def table(*values: bytes | None, keys: Sequence[bytes | None] = ()) -> pa.Table:
    """Make records of values."""
    pairs = enumerate(zip([*keys, *([None] * (len(values) - len(keys)))], values, strict=True))
    return records_table([Read(0, at, at + 1, key, value, "{}", 0) for at, (key, value) in pairs])


def texts(read: AsJson) -> list[Any]:
    """Parse what was read."""
    return [json.loads(value) for value in read.records["value"].to_pylist()]


def context(field: str = MessageField.VALUE) -> SerializationContext:
    """Write to a topic."""
    return SerializationContext("shop.orders", field, headers=[])


def avro(client: SchemaRegistryClient, schema: Any) -> Callable[[Any], bytes]:
    """Return what writes by an Avro schema."""
    written = schema if isinstance(schema, Schema) else json.dumps(schema)
    write = AvroSerializer(client, written, conf=NO_SUBJECTS)
    return lambda value: write(value, context())


def test_avro_with_its_logical_types(held: Registry, client: SchemaRegistryClient) -> None:
    """Each becomes the text that a contract reads, none is rounded; the registry is asked once, for ever."""
    written = avro(client, ORDER)(VALUE)
    held.asked.clear()
    stream = bound(held.url)
    [said] = texts(stream.as_json("shop/orders", table(written)))
    assert said == {
        "id": "00000000-0000-0000-0000-000000000007",
        "at": "2026-01-02T03:04:05.678000+00:00",
        "day": "2026-01-02",
        "price": "12345678901234567890.10",
        "kind": "OLD",
        "note": "ä",
        "of": {"n": 2**60 + 1},
        "tags": ["a", "b"],
        "raw": "AP8=",
        "share": "NaN",
    }
    assert stream.as_json("shop/orders", table(*[written] * 50)).unread == {}
    assert held.asked == ["GET /schemas/ids/1"]


def test_a_schema_may_change_and_name_others(held: Registry, client: SchemaRegistryClient) -> None:
    """Each record is read by its writer's schema; what that one lacks the record lacks, and references are followed."""
    older = {"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}]}
    newer = {"type": "record", "name": "R", "fields": [{"name": "b", "type": "string", "default": "x"}]}
    inner = {"type": "record", "name": "Of", "fields": [{"name": "n", "type": "int"}]}
    client.register_schema("of", Schema(json.dumps(inner), "AVRO"))
    named = {"type": "record", "name": "N", "fields": [{"name": "of", "type": "Of"}]}
    naming = Schema(json.dumps(named), "AVRO", [SchemaReference("Of", "of", 1)])
    written = [avro(client, older)({"a": 1}), avro(client, newer)({}), avro(client, naming)({"of": {"n": 2}})]
    assert texts(as_json(held, *written)) == [{"a": 1}, {"b": "x"}, {"of": {"n": 2}}]
    held.versions["of"] = []
    assert as_json(held, *written).unread == {2: "schema.unusable"}


def test_json_schema_validates_and_keeps_what_was_written(held: Registry, client: SchemaRegistryClient) -> None:
    """Digits stay; what is not what its schema says is a dead letter, though it is JSON."""
    write = JSONSerializer(NUMBER, client, conf=NO_SUBJECTS)
    written = write({"n": 1}, context())
    assert written is not None
    longer, wrong = written[:5] + b'{"n": 0.10000000000000000000001}', written[:5] + b'{"n": "one"}'
    read = as_json(held, written, longer, wrong, b'{"n": "no schema"}')
    assert read.unread == {2: "schema.mismatch"}
    values = read.records["value"].to_pylist()
    assert (values[1], values[3]) == (b'{"n": 0.10000000000000000000001}', b'{"n": "no schema"}')


def message_class() -> Any:
    """Make ``shop.Order`` with a Timestamp, a wrapped int, an enum by number, an inner message and one beside it."""
    kinds = FieldDescriptorProto
    fields = [
        ("at", kinds.TYPE_MESSAGE, ".google.protobuf.Timestamp"),
        ("wrapped", kinds.TYPE_MESSAGE, ".google.protobuf.Int64Value"),
        ("large", kinds.TYPE_INT64, ""),
        ("line", kinds.TYPE_MESSAGE, ".shop.Order.Line"),
        ("empty_text", kinds.TYPE_STRING, ""),
    ]
    line = DescriptorProto(name="Line", field=[kinds(name="n", number=1, type=kinds.TYPE_INT32, label=1)])
    made = [
        kinds(name=name, number=at, type=kind, type_name=of or None, label=1)
        for at, (name, kind, of) in enumerate(fields, 1)
    ]
    order = DescriptorProto(name="Order", field=made, nested_type=[line])
    file = FileDescriptorProto(name="order.proto", package="shop", syntax="proto3")
    file.dependency.extend([TIMESTAMP.name, WRAPPERS.name])
    file.message_type.extend([DescriptorProto(name="Other"), order])
    pool = DescriptorPool()
    for each in (TIMESTAMP, WRAPPERS):
        pool.AddSerializedFile(each.serialized_pb)
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName("shop.Order"))


def protobuf(client: SchemaRegistryClient, made: Any) -> Callable[[Any], bytes]:
    """Return what writes messages."""
    write = ProtobufSerializer(made, client, NO_SUBJECTS | {"use.deprecated.format": False})
    return lambda message: write(message, context())


def test_protobuf_with_its_well_known_types(held: Registry, client: SchemaRegistryClient) -> None:
    """Messages are read by the descriptor of the registry: no class of theirs is known here, nor which one comes."""
    order = message_class()
    message = order(large=2**60 + 1)
    message.at.FromDatetime(VALUE["at"])
    message.wrapped.value = 0
    message.line.n = 3
    inner = type(message.line)(n=4)
    written = [protobuf(client, order)(message), protobuf(client, order)(order()), protobuf(client, type(inner))(inner)]
    full, bare, line = texts(as_json(held, *written))
    assert full == {
        "at": "2026-01-02T03:04:05.678Z",
        "wrapped": "0",
        "large": str(2**60 + 1),
        "line": {"n": 3},
        "empty_text": "",
    }
    assert bare == {"large": "0", "empty_text": ""}
    assert line == {"n": 4}
    broken = written[0][:7] + b"\xff\xff\xff"
    assert as_json(held, broken, written[0]).unread == {0: "schema.mismatch"}
    held.text_only = True
    with pytest.raises(Unsupported, match="as text"):
        as_json(held, written[0])


def test_what_cannot_be_read_says_why_and_hinders_nobody(held: Registry, client: SchemaRegistryClient) -> None:
    """An id that is nobody's is asked for once a batch; bytes that are cut, and schemas nobody can use, likewise."""
    good = avro(client, ORDER)(VALUE)
    held.schemas += [{"schema": '{"type": "record"}'}, {"schema": "x", "schemaType": "XSD"}]
    rule = {"name": "r", "kind": "TRANSFORM", "mode": "WRITEREAD", "type": "ENCRYPT"}
    held.schemas += [{"schema": '"string"', "ruleSet": {"domainRules": [rule]}}]
    held.asked.clear()
    odd = [b"\0\0\0\x27\x0f" + b"x"] * 3 + [good[:9], b"\0", b"\0\0\0", b"\1abc"]
    unusable = [b"\0\0\0\0" + bytes([number]) + b"\4ab" for number in (2, 3, 4)]
    read = as_json(held, *odd, *unusable, good)
    unknown, mismatch, unfit = "schema.unknown", "schema.mismatch", "schema.unusable"
    assert list(read.unread.values()) == [*[unknown] * 3, *[mismatch] * 4, *[unfit] * 3]
    assert read.records["value"].to_pylist()[:10] == [*odd, *unusable]
    assert held.asked.count("GET /schemas/ids/9999") == 1
    assert texts(AsJson(read.records.slice(10)))[0]["kind"] == "OLD"


def test_ids_in_headers_and_in_keys(held: Registry, client: SchemaRegistryClient) -> None:
    """A GUID in the headers goes before the value; a record without value ends the row that its key names."""
    said = context()
    write = AvroSerializer(client, '"long"', conf=NO_SUBJECTS | {"schema.id.serializer": header_schema_id_serializer})
    value = write(7, said)

    def came(key: bytes | None, value: bytes | None, headers: list[Any] | None) -> Any:
        """Return a message as the consumer gives it."""
        return SimpleNamespace(key=lambda: key, value=lambda: value, headers=lambda: headers)

    key, whole = content(came(b"k", value, said.headers))
    assert key == b"k"
    assert whole is not None
    assert content(came(None, None, said.headers)) == (None, None)
    assert content(came(None, b"{}", None)) == (None, b"{}")
    in_front = avro(client, "long")(8)
    read = as_json(held, whole, None, None, keys=[None, in_front, b"\0\0\0\x27\x0fx"])
    assert read.records["value"].to_pylist() == [b"7", None, b"\0\0\0\x27\x0fx"]
    assert read.records["key"].to_pylist()[1] == b"8"
    assert read.unread == {2: "schema.unknown"}


@pytest.mark.parametrize(
    ("mood", "error", "says"),
    [
        ("503", StoreUnavailable, "answers HTTP 503"),
        ("429", StoreUnavailable, "answers HTTP 429"),
        ("hang up", StoreUnavailable, "is the registry up"),
        ("403", InvalidEnvironment, f"refuses {USER}"),
        ("404", InvalidEnvironment, "answers as none does"),
        ("302", InvalidEnvironment, "answers as none does"),
    ],
)
def test_a_registry_that_hinders(held: Registry, mood: str, error: type[LooplineError], says: str) -> None:
    """What may pass is Transient, what stays is Permanent; no record is called bad for either."""
    held.mood = mood
    with pytest.raises(error, match=says):
        as_json(held, b"\0\0\0\0\1\2")


def test_who_one_is(held: Registry, client: SchemaRegistryClient) -> None:
    """A wrong password is refused with the fix, and nothing shows it; a registry that is away is waited for."""
    written = avro(client, "long")(8)
    with pytest.raises(InvalidEnvironment, match=f"refuses {USER}") as told:
        bound(held.url, password="wrong-horse").as_json("t/s", table(written))
    assert "wrong-horse" not in str(told.value) + repr(bound(held.url, password="wrong-horse"))
    with pytest.raises(StoreUnavailable, match="is the registry up"):
        bound("http://127.0.0.1:1").as_json("t/s", table(written))
    assert bound("http://127.0.0.1:1").as_json("t/s", table(b"{}")).unread == {}


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"url": f"https://{USER}:{PASSWORD}@there"}, "url holds a credential"),
        ({"url": "http://there"}, "never by http"),
        ({"username": ""}, "password username"),
        ({"url": "ftp://there"}, "schema_registry.url"),
        ({"username": "a:b"}, "colon"),
    ],
)
def test_what_an_environment_file_may_not_say(said: dict[str, str], why: str) -> None:
    """It is refused before anything is asked, and without showing the password."""
    with pytest.raises(InvalidEnvironment, match=why) as told:
        bound(**({"url": "https://there"} | said))
    assert PASSWORD not in str(told.value)
