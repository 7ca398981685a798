"""What a topic is called by other tools."""

from __future__ import annotations

import pytest

from loopline.resources.kafka.event_stream import KafkaEventStream


@pytest.mark.parametrize(
    ("servers", "place"),
    [
        ("broker:9093", "kafka://broker:9093/shop.orders"),
        ("broker", "kafka://broker:9092/shop.orders"),
        (" one:9094 ,two:9094", "kafka://one:9094/shop.orders"),
        ("SASL_SSL://broker:9093", "kafka://broker:9093/shop.orders"),
        ("[::1]", "kafka://[::1]:9092/shop.orders"),
    ],
)
def test_a_stream_s_place(servers: str, place: str) -> None:
    """The first server with its port, and the topic; nobody is asked."""
    assert KafkaEventStream(bootstrap_servers=servers).place("shop/orders") == place
