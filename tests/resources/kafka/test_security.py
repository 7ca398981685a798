"""A real broker that asks who comes: what an enterprise's clusters want, and what is told when it is wrong."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)

from loopline.platform_core import environment
from loopline.platform_core.contracts.event_stream import Record
from loopline.platform_core.errors import InvalidEnvironment, LooplineError, StoreUnavailable
from loopline.platform_core.testing.event_stream import EventStreamKit
from loopline.platform_core.testing.event_stream_groups import answer, published_numbers, taken
from loopline.resources.kafka.event_stream import KafkaEventStream
from loopline.resources.kafka.security import Sasl
from loopline.resources.object_store.serving import KafkaLogSettings, ObjectStoreServing
from tests.kafka.kafka_broker import Broker
from tests.kafka.kafka_security import PASSWORD, STRANGER, USER
from tests.kafka.kafka_tokens import CLIENT, HEADER, SCOPE, SECRET

Opened = Callable[..., KafkaEventStream]
LITERAL, PREFIXED = ResourcePatternType.LITERAL, ResourcePatternType.PREFIXED
ALLOWED = (
    (ResourceType.TOPIC, "kit.", PREFIXED, AclOperation.ALL),
    (ResourceType.TOPIC, "loopline-log.", PREFIXED, AclOperation.ALL),
    (ResourceType.TOPIC, "read-only.", PREFIXED, AclOperation.DESCRIBE),
    (ResourceType.TOPIC, "read-only.", PREFIXED, AclOperation.READ),
    (ResourceType.GROUP, "own-", PREFIXED, AclOperation.READ),
    (ResourceType.TRANSACTIONAL_ID, "own-", PREFIXED, AclOperation.ALL),
)
"""What the user ``loopline`` may: what the docs say that it needs, and nothing else."""


@pytest.fixture(scope="module")
def admin(kafka_broker: Broker) -> AdminClient:
    """Give the user its rights, once; gives the one who may do everything."""
    admin = AdminClient({"bootstrap.servers": kafka_broker.open})
    acls = [
        AclBinding(kind, name, pattern, f"User:{USER}", "*", operation, AclPermissionType.ALLOW)
        for kind, name, pattern, operation in ALLOWED
    ]
    for done in admin.create_acls(acls).values():
        done.result()
    return admin


@pytest.fixture
def opened(kafka_broker: Broker, admin: AdminClient) -> Iterator[Opened]:
    """Bind a stream as an environment file does, by one of the doors, and close it."""
    streams = []

    def make(door: str = "SASL", *, tls: dict[str, Any] | None = None, **fields: Any) -> KafkaEventStream:
        said = {"ca": kafka_broker.closed.file("ca")} if tls is None else tls
        settings = {"bootstrap_servers": kafka_broker.closed.servers(door), "partitions": 3, "tls": said} | fields
        stream = environment.bind("event_stream", {"vendor": "kafka"} | settings)
        assert isinstance(stream, KafkaEventStream)
        streams.append(stream)
        return stream

    yield make
    for stream in streams:
        stream.close()


def scram(password: str = PASSWORD, user: str = USER) -> dict[str, Any]:
    """Say who one is, by SCRAM."""
    return {"mechanism": "SCRAM-SHA-512", "username": user, "password": password}


def test_prediction_logs_go_the_same_way(opened: Opened, kafka_broker: Broker) -> None:
    """What ``kafka_logs`` names is reached as a stream is."""
    said = {"tls": {"ca": kafka_broker.closed.file("ca")}, "sasl": scram(), "replication": 1}
    logs = KafkaLogSettings(bootstrap_servers=kafka_broker.closed.servers("SASL"), **said)
    assert PASSWORD not in repr(logs)
    serving = ObjectStoreServing(store="memory://", address="http://there", kafka_logs=logs)
    assert serving.logs.end(f"m{uuid.uuid4().hex}", None)
    wrong = logs.model_copy(update={"sasl": Sasl(**scram("wrong"))})
    with pytest.raises(InvalidEnvironment, match="refuses loopline"):
        ObjectStoreServing(store="memory://", address="http://there", kafka_logs=wrong).logs.end("m", None)


class TestKafkaBySaslSsl(EventStreamKit):
    """Every promise of the contract, by TLS with a CA of one's own and SCRAM, under ACLs."""

    tested_on = "real server: Kafka by SASL and TLS"

    @pytest.fixture
    def events(self, opened: Opened) -> KafkaEventStream:
        return opened(sasl=scram())


@pytest.fixture
def issuer(kafka_broker: Broker) -> Iterator[str]:
    """Answer whoever asks for tokens."""
    with kafka_broker.closed.issuer.serving() as url:
        yield url


def goes_and_comes(stream: KafkaEventStream) -> None:
    """Publish to a topic that is not there, and read it."""
    name = f"kit/{uuid.uuid4().hex}"
    stream.publish(name, [Record(b"1", b"key")])
    assert stream.read(name, {}, 9)["value"].to_pylist() == [b"1"]


def test_a_password_in_plain(opened: Opened) -> None:
    """As Event Hubs has it, whose user is ``$ConnectionString``."""
    goes_and_comes(opened(sasl=scram() | {"mechanism": "PLAIN"}))


def test_a_client_certificate(opened: Opened, kafka_broker: Broker) -> None:
    """Who comes with a certificate needs no name."""
    file = kafka_broker.closed.file
    goes_and_comes(opened("MTLS", tls={"ca": file("ca"), "certificate": file("client"), "key": file("client-key")}))


def test_a_token_of_a_file(opened: Opened, kafka_broker: Broker, tmp_path: Path) -> None:
    """It is read when one is needed."""
    (tmp_path / "token").write_text(kafka_broker.closed.issuer.token() + "\n")
    goes_and_comes(opened(sasl={"mechanism": "OAUTHBEARER", "token_file": str(tmp_path / "token")}))


def test_a_token_that_ends_is_read_again(opened: Opened, kafka_broker: Broker, tmp_path: Path) -> None:
    """The broker wants a new one before the connection has outlived the old one."""
    tokens, file = kafka_broker.closed.issuer.token, tmp_path / "token"
    file.write_text(tokens(seconds=4))
    stream = opened(sasl={"mechanism": "OAUTHBEARER", "token_file": str(file)})
    stream.ends("kit/nothing")
    file.write_text(tokens(seconds=600))
    time.sleep(5)  # longer than the first token holds
    goes_and_comes(stream)


def test_a_token_of_an_issuer(opened: Opened, kafka_broker: Broker, issuer: str) -> None:
    """The client asks by OpenID Connect's client credentials, and the broker verifies what it got."""
    goes_and_comes(opened(sasl=oidc(issuer)))
    assert "/token" in kafka_broker.closed.issuer.asked


def oidc(issuer: str, secret: str = SECRET) -> dict[str, Any]:
    """Say who one is, by an issuer."""
    client = {"client_id": CLIENT, "client_secret": secret, "scope": SCOPE}
    return {"mechanism": "OAUTHBEARER", "token_endpoint": f"{issuer}/token"} | client


def test_a_member_answers_in_transactions(opened: Opened) -> None:
    """Groups and transactional ids have rights of their own."""
    stream, name, out = opened(sasl=scram(), session_seconds=6), f"kit/{uuid.uuid4().hex}", f"kit/{uuid.uuid4().hex}"
    stream.publish(name, [Record(b"1", b"key")])
    member = stream.join(name, "own-group")
    member.commit({out: answer(taken(member))})
    assert published_numbers(stream, out, 1) == [1]
    member.close()


WRONG: dict[str, tuple[str, Callable[[Any], dict[str, Any]], str]] = {
    "password, SCRAM": (
        "SASL",
        lambda _: {"sasl": scram("wrong")},
        "refuses loopline: .*invalid credentials.* → mend sasl",
    ),
    "password, PLAIN": (
        "SASL",
        lambda _: {"sasl": scram("wrong") | {"mechanism": "PLAIN"}},
        "refuses loopline: .*Invalid username or password.* → mend sasl",
    ),
    "mechanism": (
        "SASL",
        lambda _: {"sasl": scram() | {"mechanism": "SCRAM-SHA-256"}},
        "supported mechanisms: PLAIN,SCRAM-SHA-512,OAUTHBEARER → mend sasl: mechanism",
    ),
    "CA": (
        "SASL",
        lambda file: {"tls": {"ca": file("other-ca")}, "sasl": scram()},
        r"issued by nobody whom .*other-ca\.pem knows → name the file of the brokers' CA as tls\.ca",
    ),
    "no CA": ("SASL", lambda _: {"tls": {}, "sasl": scram()}, "nobody whom the system's certificates knows"),
    "broker's certificate": (
        "EXPIRED",
        lambda _: {"sasl": scram()},
        "has expired → have whoever runs it renew",
    ),
    "no certificate": ("MTLS", lambda _: {}, "refuses the certificate of who names nobody → tls.certificate"),
    "a foreign certificate": (
        "MTLS",
        lambda file: {"tls": {"ca": file("ca"), "certificate": file("foreign"), "key": file("foreign-key")}},
        r"refuses the certificate of .*foreign\.pem",
    ),
    "an old certificate": (
        "MTLS",
        lambda file: {"tls": {"ca": file("ca"), "certificate": file("expired"), "key": file("expired-key")}},
        r"expired\.pem ended on \d{4}-\d\d-\d\d → have it issued anew",
    ),
    "no file": ("SASL", lambda _: {"tls": {"ca": "/nowhere/ca.pem"}}, r"tls\.ca: there is no file /nowhere/ca\.pem"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_told_at_once(what: str, opened: Opened, kafka_broker: Broker) -> None:
    """By our words, with the fix, long before the time-out, and without the password."""
    door, fields, words = WRONG[what]
    stream = opened(door, **fields(kafka_broker.closed.file), timeout_seconds=30)
    for call in (lambda: stream.ends("kit/any"), lambda: stream.publish("kit/any", [Record(b"1")])):
        begun = time.monotonic()
        with pytest.raises(InvalidEnvironment, match=words) as told:
            call()
        assert time.monotonic() - begun < 15
        assert PASSWORD not in str(told.value)


def test_a_port_without_tls_is_told(opened: Opened, kafka_broker: Broker) -> None:
    """Its name is told, with what may be wrong about it."""
    stream = opened(bootstrap_servers=kafka_broker.open, sasl=scram(), timeout_seconds=30)
    with pytest.raises(InvalidEnvironment, match=f"{kafka_broker.open} speaks no TLS"):
        stream.ends("kit/any")


def test_a_token_that_nobody_takes(opened: Opened, kafka_broker: Broker, tmp_path: Path) -> None:
    """Of another issuer, or one that has ended: the first the broker tells, the second is seen here."""
    file = tmp_path / "token"
    said = {"mechanism": "OAUTHBEARER", "token_file": str(file)}
    file.write_text("no.token")
    with pytest.raises(InvalidEnvironment, match="invalid_token"):
        opened(sasl=said, timeout_seconds=30).ends("kit/any")
    file.write_text(kafka_broker.closed.issuer.token(seconds=-60))
    with pytest.raises(InvalidEnvironment, match=f"the token in {file} has ended"):
        opened(sasl=said).ends("kit/any")
    file.unlink()
    with pytest.raises(InvalidEnvironment, match=f"{file} cannot be read"):
        opened(sasl=said).ends("kit/any")


def test_an_issuer_that_gives_no_token(opened: Opened, issuer: str) -> None:
    """A wrong secret stays wrong; an issuer that is not there may come back."""
    with pytest.raises(InvalidEnvironment, match=r"loopline-app no token: .*invalid_client.* → mend sasl") as told:
        opened(sasl=oidc(issuer, "wrong-secret"), timeout_seconds=30).ends("kit/any")
    assert "wrong-secret" not in str(told.value)
    with pytest.raises(StoreUnavailable, match="no token for loopline-app"):
        opened(sasl=oidc("http://127.0.0.1:1"), timeout_seconds=30).ends("kit/any")


def test_a_topic_without_rights(opened: Opened, admin: AdminClient) -> None:
    """A stranger sees nothing, and does not take it for an empty stream; who may read may not write."""
    for done in admin.create_topics([NewTopic("read-only.topic", 1), NewTopic("secret.topic", 1)]).values():
        done.result()
    stranger = opened(sasl=scram(user=STRANGER))
    reads, publishes = partial(stranger.read, offsets={}, limit=9), partial(stranger.publish, records=[Record(b"")])
    for call in (stranger.ends, reads, publishes):
        with pytest.raises(InvalidEnvironment, match=r"secret\.topic: the broker refuses stranger.* → have an ACL"):
            call("secret/topic")
    own = opened(sasl=scram())
    assert own.ends("read-only/topic") == {0: 0}
    with pytest.raises(InvalidEnvironment, match=r"read-only\.topic: the broker refuses loopline.* Write"):
        own.publish("read-only/topic", [Record(b"1")])


def test_a_topic_that_may_not_be_made(opened: Opened) -> None:
    """Who may describe a topic that is not there may yet not make it."""
    with pytest.raises(InvalidEnvironment, match=r"read-only\.new: the broker refuses loopline.* Create"):
        opened(sasl=scram()).publish("read-only/new", [Record(b"1")])


def test_a_group_without_rights(opened: Opened) -> None:
    """Neither a foreign group nor a foreign transactional id is joined in silence."""
    stream = opened(sasl=scram(), session_seconds=6)
    with pytest.raises(InvalidEnvironment, match="the broker refuses loopline"):
        stream.join("kit/any", "foreign-group").take(1, 5)


def test_secrets_are_not_shown(opened: Opened, issuer: str) -> None:
    """Neither where a vendor is printed nor where a field of it is wrong."""
    options = {"sasl.password": "in-options"}
    shown = repr(opened(sasl=scram("in-sasl"), options=options)) + repr(opened(sasl=oidc(issuer, "in-issuer")))
    assert not [secret for secret in ("in-sasl", "in-options", "in-issuer") if secret in shown]
    for wrong in ({"mechanism": "PLAIN", "password": "in-sasl"}, {"mechanism": "SCRAM", "password": "in-sasl"}):
        with pytest.raises(LooplineError) as told:
            opened(sasl=wrong)
        assert "in-sasl" not in str(told.value)


def test_azure_s_identity(opened: Opened, issuer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """azure-identity asks the machine's own endpoint, here a fake one, for a token of the first server's host."""
    from loopline.resources.kafka import tokens

    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{issuer}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", HEADER)
    token = tokens.of_azure("ns.servicebus.windows.net:9093")()
    assert token.ends > time.time()
    (tmp_path / "token").write_text(token.text)
    goes_and_comes(opened(sasl={"mechanism": "OAUTHBEARER", "token_file": str(tmp_path / "token")}))
    monkeypatch.setenv("IDENTITY_HEADER", "wrong")
    with pytest.raises(InvalidEnvironment, match=r"no identity of this machine may come to ns\.servicebus"):
        tokens.of_azure("ns.servicebus.windows.net:9093")()
