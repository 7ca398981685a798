"""Records of all three forms come by a real broker, and land as rows and dead letters, each once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from loopline.platform_core.contracts.event_stream import Record
from loopline.platform_core.errors import StoreUnavailable
from loopline.platform_core.ingestion.streams.streaming import catch_up, lag
from loopline.resources.kafka.event_stream import KafkaEventStream
from loopline.resources.kafka.schema_registry import SchemaRegistry
from tests.kafka.registry_fake import PASSWORD, USER, Registry, registry

FIELDS = [
    {"name": "Customer", "type": "long"},
    {"name": "Price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
    {"name": "At", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}], "default": None},
]
AVRO = json.dumps({"type": "record", "name": "Order", "fields": FIELDS})
OBJECT = json.dumps({"type": "object", "properties": {"Customer": {"type": "integer"}}})


@pytest.fixture
def held() -> Iterator[Registry]:
    """Serve a registry."""
    with registry() as held:
        yield held


@pytest.fixture
def stream(shop: Any, kafka: str, held: Registry) -> Iterator[KafkaEventStream]:
    """Let the shop's orders arrive by Kafka."""
    shop.source = replace(shop.source, arrives="stream")
    schemas = SchemaRegistry(url=held.url, username=USER, password=PASSWORD, timeout_seconds=5)
    stream = KafkaEventStream(bootstrap_servers=kafka, prefix="schemas.", schema_registry=schemas)
    shop.platform.environment.bindings["event_stream"] = stream
    yield stream
    stream.clear()
    stream.close()


def order_message() -> Any:
    """Make a message type of two fields."""
    file = FileDescriptorProto(name="order.proto", syntax="proto3")
    made = file.message_type.add(name="Order")
    for number, (name, kind) in enumerate((("Customer", "TYPE_INT64"), ("Price", "TYPE_DOUBLE")), 1):
        made.field.add(name=name, number=number, type=getattr(FieldDescriptorProto, kind), label=1)
    pool = DescriptorPool()
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName("Order"))


def test_all_three_forms_and_plain_json_land_beside_each_other(
    shop: Any, stream: KafkaEventStream, held: Registry, kafka: str
) -> None:
    """While the registry is away nothing lands and nothing is lost; then each is a row or a letter with its reason."""
    client = SchemaRegistryClient({"url": held.url, "basic.auth.user.info": f"{USER}:{PASSWORD}"})
    said = SerializationContext("schemas.shop.orders", MessageField.VALUE)
    conf = {"subject.name.strategy.type": "TOPIC"}
    order = order_message()
    values = [
        AvroSerializer(client, AVRO, conf=conf)({"Customer": 1, "Price": Decimal("1.10"), "At": 1577923200000}, said),
        ProtobufSerializer(order, client, conf)(order(Customer=2, Price=2.5), said),
        JSONSerializer(OBJECT, client, conf=conf)({"Customer": 3, "Price": 3.5}, said),
        b'{"Customer": 4, "Price": 4.5}',
        ProtobufSerializer(order, client, conf)(order(Customer=5, Price=0.5), said),
        b"\0\0\0\x27\x0fwho knows",
        b"\0\0\0\0\1",
    ]
    stream.publish("shop/orders", [Record(value) for value in values])
    held.mood = "503"
    with pytest.raises(StoreUnavailable, match="what came waits"):
        catch_up(*shop.args)
    assert lag(*shop.args).total == len(values)
    assert shop.rows("shop/dead_letters/orders") == shop.rows() == []
    held.mood = ""
    landed = catch_up(*shop.args)
    assert (landed.arrivals, landed.rows, landed.dead, lag(*shop.args).total) == (7, 4, 3, 0)
    assert [(row["customer"], row["price"]) for row in shop.rows()] == [(1, 1.1), (2, 2.5), (3, 3.5), (4, 4.5)]
    assert shop.rows()[0]["at"].isoformat() == "2020-01-02T00:00:00+00:00"
    letters = shop.rows("shop/dead_letters/orders")
    assert [letter["reasons"] for letter in letters] == [["price.minimum"], ["schema.unknown"], ["schema.mismatch"]]
    assert json.loads(letters[0]["row"]) == {"Customer": "5", "Price": "0.5"}
    dead = stream.read("shop/orders.dead", {}, 9)["value"].to_pylist()
    assert dead == values[4:], "what is published of letters is what came, to be sent again"
