"""A Kafka cluster that tenants share: what comes to a place there, and what tries to come to another's."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache, partial
from typing import Any

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from loopline.platform_core.contracts.event_stream import Record
from loopline.platform_core.testing.parts.ports import free_port
from loopline.platform_core.testing.tenant_store import NOTE, TEXT, Attempt, Fields
from loopline.resources.kafka.event_stream import KafkaEventStream
from loopline.resources.kafka.security import Sasl, Tls
from loopline.resources.kafka.tenants import KafkaTenants
from tests.kafka.kafka_broker import Broker
from tests.kafka.kafka_security import PASSWORD, STRANGER
from tests.tenants.served import Served, cut_off_at

WITHIN_SECONDS = 10
"""How long a broker may take to hear of a change."""
SECONDS = 10.0
GROUP = "readers"
"""A group of a tenant's that has committed where it is in ``NOTE``."""
RULING = ""
"""The user of whoever comes without a name, by the door where everybody may do everything."""


def tenants(broker: Broker) -> KafkaTenants:
    """Ask as an administrator."""
    servers = broker.closed.servers("SASL")
    return KafkaTenants(bootstrap_servers=broker.open, tenant_servers=servers, timeout_seconds=SECONDS)


def ruling(broker: Broker) -> Fields:
    """Return what an administrator has."""
    return {"bootstrap_servers": broker.open, "username": RULING, "password": "", "prefix": ""}


@contextmanager
def served(broker: Broker | None = None) -> Iterator[Served]:
    """Run a broker, or take the one that runs."""
    from kafka_broker import running  # the plugin's own module, which ends it

    broker = broker or running()
    ca = broker.closed.file("ca")
    sasl = Sasl(mechanism="SCRAM-SHA-512", username=STRANGER, password=PASSWORD)  # type: ignore[arg-type]
    away = KafkaTenants(bootstrap_servers=f"127.0.0.1:{free_port()}", timeout_seconds=1)
    powerless = KafkaTenants(bootstrap_servers=broker.closed.servers("SASL"), tls=Tls(ca=ca), sasl=sasl)
    yield Served(tenants(broker), partial(KafkaGuest, ca=ca), ruling(broker), cut_off, away, powerless)


class KafkaGuest:
    """A tenant's event stream: a text is the last record of a topic."""

    def __init__(self, fields: Fields, ca: str) -> None:
        self._fields = fields
        sasl = Sasl(mechanism="SCRAM-SHA-512", username=fields["username"], password=fields["password"])  # type: ignore[arg-type]
        self._stream = KafkaEventStream(
            bootstrap_servers=fields["bootstrap_servers"],
            prefix=fields["prefix"],
            tls=Tls(ca=ca),
            sasl=sasl,
            timeout_seconds=SECONDS,
        )

    def write(self, name: str, text: str) -> None:
        """Publish a record."""
        self._stream._known.clear()  # another may have removed the topic
        self._stream.publish(name, [Record(text.encode())])
        if name == NOTE:
            committed(self._fields, f"{self._fields['prefix']}{GROUP}", f"{self._fields['prefix']}{NOTE}")

    def read(self, name: str) -> str:
        """Read the last record."""
        ends = self._stream.ends(name)
        if not ends.get(0):
            raise KeyError(name)
        (text,) = self._stream.read(name, {0: ends[0] - 1}, 1, SECONDS)["value"].to_pylist()
        return str(text, "utf-8")

    def close(self) -> None:
        """Leave."""
        self._stream.close()


ASKING = (
    "describe_cluster", "list_topics", "describe_configs", "create_acls", "delete_acls", "describe_acls",
    "alter_user_scram_credentials", "describe_user_scram_credentials", "delete_topics", "list_consumer_groups",
    "delete_consumer_groups",
)  # fmt: skip


def cut_off(request: int) -> AbstractContextManager[None]:
    """Let an administrator's requests fail from one on."""
    return cut_off_at(request, AdminClient, *ASKING)


def settings(fields: Fields) -> dict[str, Any]:
    """Return a client's settings for whoever has these fields."""
    said: dict[str, Any] = {
        "bootstrap.servers": fields["bootstrap_servers"],
        "socket.timeout.ms": 10_000,
        "log_level": 0,
    }
    if fields["username"] == RULING:
        return said
    return said | {
        "security.protocol": "SASL_SSL",
        "enable.ssl.certificate.verification": "false",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": fields["username"],
        "sasl.password": fields["password"],
    }


@cache
def _admin(*fields: tuple[str, str]) -> AdminClient:
    return AdminClient(settings(dict(fields)))


def admin(fields: Fields) -> AdminClient:
    """Make an administrative client once for whoever has these fields."""
    return _admin(*sorted(fields.items()))


@contextmanager
def consumer(fields: Fields, group: str, **more: Any) -> Iterator[Consumer]:
    """Make a consumer."""
    own = {"group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False, "fetch.wait.max.ms": 50}
    one = Consumer(settings(fields) | own | more)
    try:
        yield one
    finally:
        one.close()


def topic(tenant: str, name: str = NOTE) -> str:
    """Name a topic, a group or a transactional id in a tenant's place."""
    return f"tenant.{tenant}.{name}"


def _mine(fields: Fields, name: str) -> str:
    """Name something in the place of whoever asks, who may be an administrator."""
    return f"{fields['prefix'] or 'tenant.retail.'}{name}"


def _polled(one: Consumer) -> bool:
    """Say whether the note comes."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        message = one.poll(0.2)
        if message is None:
            continue
        if message.error():
            raise KafkaException(message.error())
        if message.value() == TEXT.encode():
            return True
    return False


def consumes(
    says: str,
    act: Callable[[Consumer, str], Any],
    group: Callable[[Fields, str], str] = lambda fields, _: _mine(fields, "g"),
    **more: Any,
) -> Attempt:
    """Make an attempt by a consumer, by default of a group of one's own; an answer that is false came nowhere."""

    def made(fields: Fields, tenant: str) -> bool:
        with consumer(fields, group(fields, tenant), **more) as one:
            return bool(act(one, tenant))

    return Attempt(says, made)


def _reads(one: Consumer, tenant: str) -> bool:
    one.assign([TopicPartition(topic(tenant), 0, 0)])
    return _polled(one)


def _subscribes(one: Consumer, tenant: str) -> bool:
    one.subscribe([topic(tenant)])
    return _polled(one)


def _end(one: Consumer, tenant: str) -> int:
    return int(one.get_watermark_offsets(TopicPartition(topic(tenant), 0), SECONDS)[1])


def _sees_times(one: Consumer, tenant: str) -> bool:
    found = one.offsets_for_times([TopicPartition(topic(tenant), 0, 1)], SECONDS)[0]
    return found.error is None and found.offset >= 0


def _joins(fields: Fields, tenant: str) -> bool:
    """Join a group of the other's, to take its partitions over, on a topic of one's own."""
    with consumer(fields, topic(tenant, "joined")) as one:
        one.subscribe([_mine(fields, NOTE)])
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            message = one.poll(0.2)
            if message is not None and message.error():
                raise KafkaException(message.error())
            if message is not None or one.assignment():
                return True
        return False


def _sent(fields: Fields, where: str, **more: Any) -> bool:
    """Send a record, and say whether the broker took it."""
    told: list[KafkaError | None] = []
    producer = Producer(settings(fields) | {"message.timeout.ms": 5000} | more)
    producer.produce(where, b"evil", on_delivery=lambda error, _: told.append(error))
    producer.flush(SECONDS)
    return [error is None for error in told] == [True]  # an error that is compared with None breaks the client


def _writes_without_waiting(fields: Fields, tenant: str) -> bool:
    """No broker answers it, so look whether it came; who may not read it may not look either."""

    def end() -> int:
        with consumer(fields, _mine(fields, "g")) as one:
            return _end(one, tenant)

    before = end()
    _sent(fields, topic(tenant), acks=0)
    return end() > before


def _transacts(fields: Fields, transaction: str, where: str) -> bool:
    producer = Producer(settings(fields) | {"transactional.id": transaction, "message.timeout.ms": 5000})
    producer.init_transactions(SECONDS)
    producer.begin_transaction()
    producer.produce(where, b"evil")
    producer.commit_transaction(SECONDS)
    return True


def _commits_in_a_transaction(fields: Fields, tenant: str) -> bool:
    """Commit where the other's group is, by a transaction of one's own."""
    producer = Producer(settings(fields) | {"transactional.id": _mine(fields, "t2")})
    producer.init_transactions(SECONDS)
    producer.begin_transaction()
    with consumer(fields, topic(tenant, GROUP)) as one:
        place = [TopicPartition(_mine(fields, NOTE), 0, 0)]
        producer.send_offsets_to_transaction(place, one.consumer_group_metadata(), SECONDS)
    producer.commit_transaction(SECONDS)
    return True


def asks(says: str, ask: Callable[[AdminClient, str], Any], *, ruling: bool = False) -> Attempt:
    """Make an attempt by the administrative client, whose answers are waited for."""

    def act(fields: Fields, tenant: str) -> bool:
        said = ask(admin(fields), tenant)
        answers = [one.result() for one in said.values()] if isinstance(said, dict) else [said]
        return all(answer is not False for answer in answers)

    return Attempt(says, act, ruling)


def rules(says: str, ask: Callable[[AdminClient, str], Any]) -> Attempt:
    """Make one that no tenant may."""
    return asks(says, ask, ruling=True)


def _described(one: AdminClient, tenant: str) -> bool:
    """Describe a group: a broker that refuses says so inside of the answer."""
    return bool(one.describe_consumer_groups([topic(tenant, GROUP)])[topic(tenant, GROUP)].result().state)


def _makes(name: str) -> Callable[[AdminClient, str], Any]:
    return lambda one, tenant: one.create_topics([NewTopic(topic(tenant, f"{name}-{uuid.uuid4().hex}"), 1)])


def _lists_groups(one: AdminClient, tenant: str) -> bool:
    return any(each.group_id == topic(tenant, GROUP) for each in one.list_consumer_groups().result().valid)


def committed(fields: Fields, group: str, where: str) -> bool:
    """Set where a group is in a topic; a broker that refuses says so inside of the answer."""
    place = ConsumerGroupTopicPartitions(group, [TopicPartition(where, 0, 0)])
    (told,) = admin(fields).alter_consumer_group_offsets([place]).values()
    return not any(each.error for each in told.result().topic_partitions)


def _is_somewhere(one: AdminClient, tenant: str) -> bool:
    (told,) = one.list_consumer_group_offsets([ConsumerGroupTopicPartitions(topic(tenant, GROUP))]).values()
    places = told.result().topic_partitions
    return bool(places) and not any(each.error for each in places)


def _settings_of(tenant: str) -> ConfigResource:
    return ConfigResource(ResourceType.TOPIC, topic(tenant))


def _changed(tenant: str) -> ConfigResource:
    entry = ConfigEntry("retention.ms", "-1", incremental_operation=AlterConfigOpType.SET)
    return ConfigResource(ResourceType.TOPIC, topic(tenant), incremental_configs=[entry])


def _broker_changed() -> ConfigResource:
    entry = ConfigEntry("log.cleaner.threads", "1", incremental_operation=AlterConfigOpType.SET)
    return ConfigResource(ResourceType.BROKER, "1", incremental_configs=[entry])


def _right(user: str, place: str) -> AclBinding:
    prefixed = (ResourceType.TOPIC, place, ResourcePatternType.PREFIXED)
    return AclBinding(*prefixed, f"User:{user}", "*", AclOperation.READ, AclPermissionType.ALLOW)


def _filter(user: str) -> AclBindingFilter:
    every = (ResourceType.ANY, None, ResourcePatternType.ANY, f"User:{user}", None)
    return AclBindingFilter(*every, AclOperation.ANY, AclPermissionType.ANY)


def _password(tenant: str) -> list[UserScramCredentialUpsertion]:
    kind = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
    return [UserScramCredentialUpsertion(f"tenant.{tenant}", kind, b"known to all")]


def stream(fields: Fields, tenant: str) -> KafkaEventStream:
    """Open the other's place as the platform does, with what one has."""
    said = settings(fields)
    options = {name: str(said[name]) for name in said if name not in {"bootstrap.servers", "socket.timeout.ms"}}
    servers = fields["bootstrap_servers"]
    return KafkaEventStream(
        bootstrap_servers=servers, prefix=topic(tenant, ""), options=options, timeout_seconds=SECONDS
    )


def streams(says: str, act: Callable[[KafkaEventStream], Any]) -> Attempt:
    """Make an attempt by the platform's own stream."""

    def made(fields: Fields, tenant: str) -> bool:
        one = stream(fields, tenant)
        try:
            return act(one) is not False
        finally:
            one.close()

    return Attempt(f"the stream {says}", made)


def _answers(one: KafkaEventStream) -> None:
    member = one.join(NOTE, "joined")
    try:
        member.commit({NOTE: [Record(b"evil")]})
    finally:
        member.close()


def _reads_last(one: KafkaEventStream) -> bool:
    found = one.read(NOTE, {0: one.ends(NOTE)[0] - 1}, 1, SECONDS)
    return found["value"].to_pylist() == [TEXT.encode()]


def _lets_go(one: KafkaEventStream) -> bool:
    return one.let_go(NOTE, 0, one.ends(NOTE)[0], int(time.time() * 1000) + 60_000) > 0


def _clears(one: KafkaEventStream) -> bool:
    there = bool(one.ends(NOTE))
    one.clear()
    return there


def _rules_the_cluster(one: AdminClient, tenant: str) -> bool:
    """Ask for one's rights: passwords are looked for by none, since who may not breaks the client by it."""
    return bool(one.describe_cluster(include_authorized_operations=True).result().authorized_operations)


def _adds_partitions(one: AdminClient, tenant: str) -> bool:
    """Ask for as many as there are: whoever may is told so."""
    try:
        one.create_partitions([NewPartitions(topic(tenant), 1)])[topic(tenant)].result()
    except KafkaException as error:
        return bool(error.args[0].code() == KafkaError.INVALID_PARTITIONS)
    return True


def _named(tenant: str) -> Any:
    from confluent_kafka import TopicCollection

    return TopicCollection([topic(tenant)])


ATTEMPTS: Sequence[Attempt] = (
    consumes("read a topic", _reads),
    consumes("read what is not committed", _reads, **{"isolation.level": "read_uncommitted"}),
    consumes("subscribe to a topic", _subscribes, lambda fields, _: _mine(fields, f"g-{uuid.uuid4().hex}")),
    Attempt("join a group", _joins),
    consumes(
        "ask where a group is",
        lambda one, tenant: not one.committed([TopicPartition(topic(tenant), 0)], 3)[0].error,
        lambda _, tenant: topic(tenant, "empty"),
    ),
    consumes("ask for a topic's ends", lambda one, tenant: _end(one, tenant) > 0),
    consumes("ask for offsets by time", _sees_times),
    Attempt("write", lambda fields, tenant: _sent(fields, topic(tenant))),
    Attempt("write and wait for no answer", _writes_without_waiting),
    Attempt("write idempotently", lambda fields, tenant: _sent(fields, topic(tenant), **{"enable.idempotence": True})),
    Attempt("write in a transaction", lambda fields, tenant: _transacts(fields, _mine(fields, "t"), topic(tenant))),
    Attempt(  # of the other's, which ends what its producer has open
        "take a transactional id",
        lambda fields, tenant: _transacts(fields, topic(tenant, "t"), _mine(fields, NOTE)),
    ),
    Attempt("commit for a group in a transaction", _commits_in_a_transaction),
    asks("see a topic in the list", lambda one, tenant: topic(tenant) in one.list_topics(timeout=SECONDS).topics),
    asks(
        "ask for a topic by name",
        lambda one, tenant: bool(one.list_topics(topic(tenant), SECONDS).topics[topic(tenant)].partitions),
    ),
    asks("describe a topic", lambda one, tenant: one.describe_topics(_named(tenant))),
    asks("make a topic", _makes("made")),
    asks(
        "make a topic, to see whether one may",
        lambda one, tenant: one.create_topics([NewTopic(topic(tenant, "v"), 1)], validate_only=True),
    ),
    asks("delete a topic", lambda one, tenant: one.delete_topics([topic(tenant)])),
    asks("delete records", lambda one, tenant: one.delete_records([TopicPartition(topic(tenant), 0, 1)])),
    asks("list offsets", lambda one, tenant: one.list_offsets({TopicPartition(topic(tenant), 0): OffsetSpec.latest()})),
    asks("read a topic's settings", lambda one, tenant: one.describe_configs([_settings_of(tenant)])),
    asks("see a group in the list", _lists_groups),
    asks("describe a group", _described),
    asks("read where a group is", _is_somewhere),
    Attempt("set where a group is", lambda fields, tenant: committed(fields, topic(tenant, GROUP), topic(tenant))),
    Attempt(
        "set where one's own group is, in a topic",
        lambda fields, tenant: committed(fields, _mine(fields, "g2"), topic(tenant)),
    ),
    asks("delete a group", lambda one, tenant: one.delete_consumer_groups([topic(tenant, GROUP)])),
    streams("reads its ends", lambda one: bool(one.ends(NOTE))),
    streams("reads", _reads_last),
    streams("publishes", lambda one: one.publish(NOTE, [Record(b"evil")])),
    streams("makes a topic", lambda one: one.publish("another", [Record(b"evil")])),
    streams("answers in transactions", _answers),
    streams("lets go", _lets_go),
    streams("clears the place", _clears),
    rules("add partitions", _adds_partitions),
    rules("change a topic's settings", lambda one, tenant: one.incremental_alter_configs([_changed(tenant)])),
    rules("read a broker's settings", lambda one, _: one.describe_configs([ConfigResource(ResourceType.BROKER, "1")])),
    rules("change a broker's settings", lambda one, _: one.incremental_alter_configs([_broker_changed()])),
    rules("give oneself a right", lambda one, tenant: one.create_acls([_right("tenant.retail", topic(tenant, ""))])),
    rules(
        "give another a right", lambda one, tenant: one.create_acls([_right(f"tenant.{tenant}", topic("retail", ""))])
    ),
    rules("read rights", lambda one, tenant: bool(one.describe_acls(_filter(f"tenant.{tenant}")).result())),
    rules("take rights away", lambda one, tenant: one.delete_acls([_filter(f"tenant.{tenant}")])),
    rules("change a password", lambda one, tenant: one.alter_user_scram_credentials(_password(tenant))),
    rules("have rights on the cluster", _rules_the_cluster),
)
