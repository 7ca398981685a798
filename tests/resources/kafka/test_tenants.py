"""Kafka keeps tenants apart: a real broker that asks who comes, and for rights."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from confluent_kafka.admin import AclBinding, AclOperation, AclPermissionType, ResourcePatternType, ResourceType

from loopline.platform_core.contracts.event_stream import Record
from loopline.platform_core.errors import InvalidEnvironment, InvalidSpec, LooplineError
from loopline.platform_core.testing.tenant_store import MINE, NOTE, TEXT, TenantStoreKit
from loopline.resources.kafka.log_sizes import Scram, sizes
from loopline.resources.kafka.security import KafkaConnection, Sasl, Tls
from loopline.resources.kafka.tenants import KafkaTenants
from tests.kafka.kafka_broker import Broker
from tests.kafka.kafka_security import PASSWORD, STRANGER, USER
from tests.tenants.served import OfServed, Served
from tests.tenants.stores import kafka_store
from tests.tenants.stores.kafka_store import ATTEMPTS, GROUP, KafkaGuest, admin, ruling, tenants, topic


@pytest.fixture(scope="module")
def served(kafka_broker: Broker) -> Iterator[Served]:
    """Share the broker of this folder's tests."""
    with kafka_store.served(kafka_broker) as made:
        yield made


class TestKafkaTenants(OfServed, TenantStoreKit):
    """Every promise of the contract."""

    tested_on = "real server: Kafka by SASL and TLS"
    within_seconds = kafka_store.WITHIN_SECONDS
    every = ATTEMPTS


def strangers(broker: Broker, **sasl: Any) -> KafkaTenants:
    """Ask as a user who has no rights."""
    said = {"mechanism": "SCRAM-SHA-512", "username": STRANGER, "password": PASSWORD} | sasl
    tls, servers = Tls(ca=broker.closed.file("ca")), broker.closed.servers("SASL")
    return KafkaTenants(bootstrap_servers=servers, tls=tls, sasl=Sasl(**said))


@pytest.fixture
def store(kafka_broker: Broker) -> Iterator[KafkaTenants]:
    """Ask as an administrator."""
    store = tenants(kafka_broker)
    yield store
    store.delete(MINE)


def test_an_open_connection_is_of_no_use_to_who_is_suspended(store: KafkaTenants, kafka_broker: Broker) -> None:
    """A member of a group that goes on polling is refused, and is in again when it is let in."""
    fields = store.create(MINE, "a-password")
    guest = KafkaGuest(fields, kafka_broker.closed.file("ca"))
    guest.write(NOTE, TEXT)
    member = guest._stream.join(NOTE, GROUP)
    end = time.monotonic() + 30
    while not member.take(1, 1).num_rows and time.monotonic() < end:
        pass
    store.suspend(MINE)
    with pytest.raises(LooplineError):
        _goes_on(member, guest)
    store.resume(MINE)
    guest.write(NOTE, "in again")
    assert guest.read(NOTE) == "in again"
    store.suspend(MINE)
    with suppress(LooplineError):
        member.close()
    guest.close()
    store.delete(MINE)
    assert store.holds(MINE) == ()


def _goes_on(member: Any, guest: KafkaGuest) -> None:
    for _ in range(50):
        member.take(1, 0.2)
        guest.write(NOTE, "again")


def test_sizes_are_asked_for_by_name_and_password(kafka_broker: Broker, store: KafkaTenants) -> None:
    """With TLS and each mechanism of passwords, by whoever may describe the cluster; and refused to others."""
    guest = KafkaGuest(store.create(MINE, "a-password"), kafka_broker.closed.file("ca"))
    guest.write("large", "x" * 100_000)
    guest.close()
    may = AclBinding(
        ResourceType.BROKER, "kafka-cluster", ResourcePatternType.LITERAL, f"User:{USER}", "*",
        AclOperation.DESCRIBE, AclPermissionType.ALLOW,
    )  # fmt: skip
    for done in admin(ruling(kafka_broker)).create_acls([may]).values():
        done.result()
    servers = kafka_broker.closed.servers("SASL")
    host, port = servers.split(":")
    for mechanism in ("PLAIN", "SCRAM-SHA-512"):
        connection = asking(kafka_broker, Sasl(mechanism=mechanism, username=USER, password=PASSWORD))  # type: ignore[arg-type]
        assert sizes(connection, [(host, int(port))], topic(MINE, ""))[topic(MINE, "large")] > 100_000
        for user, password in ((STRANGER, PASSWORD), (USER, "mellon")):
            refused = asking(kafka_broker, Sasl(mechanism=mechanism, username=user, password=password))  # type: ignore[arg-type]
            with pytest.raises(InvalidEnvironment, match="refuses who asks for sizes") as caught:
                sizes(refused, [(host, int(port))], "")
            assert "mellon" not in str(caught.value)


def asking(broker: Broker, sasl: Sasl) -> KafkaConnection:
    """Come by the door that asks for a name."""
    return KafkaConnection(
        bootstrap_servers=broker.closed.servers("SASL"), tls=Tls(ca=broker.closed.file("ca")), sasl=sasl
    )


def test_scram_is_as_the_standard_has_it() -> None:
    """RFC 7677's own example, and a server that does not know the password."""
    scram = Scram("SCRAM-SHA-256", "user", "pencil", "rOprNGfwEbeRWgbNEkqO")
    assert scram.first() == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    challenge = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    proof = b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    assert scram.answer(challenge).endswith(proof)
    scram.check(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
    with pytest.raises(OSError, match="does not know"):
        scram.check(b"v=AAAA")
    with pytest.raises(OSError, match="another one's"):
        scram.answer(challenge.replace(b"rOp", b"xOp"))


def test_a_cluster_where_what_has_no_acl_is_everybodys(store: KafkaTenants, monkeypatch: pytest.MonkeyPatch) -> None:
    """It keeps nobody apart, and is refused; another setting is read for it, which this broker has as it would."""
    monkeypatch.setattr("loopline.resources.kafka.tenants._OPEN", "delete.topic.enable")
    with pytest.raises(InvalidEnvironment, match="set it to false"):
        store.create(MINE, "a-password")


def test_a_wrong_password_of_the_administrators(kafka_broker: Broker) -> None:
    """It is told at once as one that stays wrong, and does not show."""
    stranger = strangers(kafka_broker, password="mellon")
    with pytest.raises(InvalidEnvironment, match="refuses stranger") as caught:
        stranger.is_open(MINE)
    assert "mellon" not in f"{caught.value}{stranger!r}"


@pytest.mark.parametrize("name", ["a", "retail.two", "Retail", "retail*", "*"])
def test_what_is_no_name_is_refused(store: KafkaTenants, name: str) -> None:
    """A dot would make it another's."""
    with pytest.raises(InvalidSpec, match="no name of a tenant"):
        store.create(name, "a-password")


def test_a_tenants_stream_sees_nothing_of_the_cluster(store: KafkaTenants, kafka_broker: Broker) -> None:
    """A list of topics and groups is of its own, whatever else there is."""
    fields = store.create(MINE, "a-password")
    guest = KafkaGuest(fields, kafka_broker.closed.file("ca"))
    guest.write(NOTE, TEXT)
    guest._stream.publish("other", [Record(b"1")])
    guest.close()
    ruler = admin(ruling(kafka_broker))
    assert len(ruler.list_topics(timeout=10).topics) > 2
    mine = admin(fields)
    assert set(mine.list_topics(timeout=10).topics) == {topic(MINE), topic(MINE, "other")}
    assert all(one.group_id.startswith(topic(MINE, "")) for one in mine.list_consumer_groups().result().valid)
