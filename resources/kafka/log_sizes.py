"""Disk size of Kafka topics, by protocol requests that the client library does not offer.

Source: Kafka's protocol guide, requests 17 SaslHandshake, 35 DescribeLogDirs and 36 SaslAuthenticate, in the versions
that have no tagged fields; RFC 5802 for SCRAM.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import socket
import ssl
import struct
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from loopline.platform_core.errors import InvalidEnvironment, StoreUnavailable, Unsupported

if TYPE_CHECKING:
    from loopline.resources.kafka.security import KafkaConnection, Sasl

_HANDSHAKE, _LOG_DIRS, _AUTHENTICATE = (17, 1), (35, 1), (36, 0)
"""Requests by number and version."""
_NO_RIGHT = (31, 29, 58)
_LARGEST = 256 * 1024 * 1024
Place = tuple[str, int]


def sizes(connection: KafkaConnection, brokers: Sequence[Place], prefix: str) -> dict[str, int]:
    """Return the bytes of each topic with a prefix, over all its replicas on these brokers.

    Raises:
        StoreUnavailable: a broker does not answer. InvalidEnvironment: it refuses who asks.
        Unsupported: one comes by a mechanism other than passwords.
    """
    found: dict[str, int] = {}
    for host, port in brokers:
        try:
            with closing(_Broker(connection, host, port)) as broker:
                for topic, size in broker.log_sizes():
                    if topic.startswith(prefix):
                        found[topic] = found.get(topic, 0) + size
        except (OSError, struct.error) as error:
            raise StoreUnavailable(f"Kafka: {host}:{port}: {error}", "is every broker up, and reached?") from error
    return found


class _Broker:
    """A connection to one broker."""

    def __init__(self, connection: KafkaConnection, host: str, port: int) -> None:
        self._at, self._asked = f"{host}:{port}", 0
        plain = socket.create_connection((host, port), connection.timeout_seconds)
        try:
            self._socket = _secured(plain, connection, host)
            if connection.sasl:
                self._log_in(connection.sasl)
        except BaseException:
            plain.close()
            raise

    def close(self) -> None:
        """End it."""
        self._socket.close()

    def log_sizes(self) -> Iterator[tuple[str, int]]:
        """Give topic and size of each partition that lies here."""
        said = _Reply(self._ask(_LOG_DIRS, struct.pack(">i", -1)))
        said.int32()  # how long it held the request back
        folders = said.int32()
        if not folders:  # every broker has one, which it does not show to whoever may not see it
            self._check(_NO_RIGHT[0])
        for _ in range(folders):
            self._check(said.int16())
            said.text()
            for _ in range(said.int32()):
                topic = said.text()
                for _ in range(said.int32()):
                    said.int32()
                    yield topic, said.int64()
                    said.int64()
                    said.take(1)

    def _log_in(self, sasl: Sasl) -> None:
        if sasl.mechanism == "OAUTHBEARER":
            raise Unsupported(
                "Kafka: sizes are not asked for with a token", "name an administrator with a password, or no sizes"
            )
        said = _Reply(self._ask(_HANDSHAKE, _text(sasl.mechanism)))
        self._check(said.int16())
        password = sasl.password.get_secret_value()
        if sasl.mechanism == "PLAIN":
            self._authenticate(f"\0{sasl.username}\0{password}".encode())
            return
        scram = Scram(sasl.mechanism, sasl.username, password)
        scram.check(self._authenticate(scram.answer(self._authenticate(scram.first()))))

    def _authenticate(self, words: bytes) -> bytes:
        said = _Reply(self._ask(_AUTHENTICATE, struct.pack(">i", len(words)) + words))
        self._check(said.int16())
        said.text()
        return said.take(said.int32())

    def _check(self, code: int) -> None:
        if code in _NO_RIGHT:
            raise InvalidEnvironment(
                f"Kafka: {self._at} refuses who asks for sizes (code {code})",
                "have an ACL tell the broker of the right to Describe the cluster, and mend sasl",
            )
        if code:
            raise StoreUnavailable(f"Kafka: {self._at} answers with code {code}", "see the broker's log")

    def _ask(self, kind: tuple[int, int], body: bytes) -> bytes:
        self._asked += 1
        request = struct.pack(">hhi", *kind, self._asked) + _text("loopline") + body
        self._socket.sendall(struct.pack(">i", len(request)) + request)
        (length,) = struct.unpack(">i", self._exactly(4))
        if not 0 < length <= _LARGEST:
            raise OSError(f"an answer of {length} bytes: this port speaks something else")
        return self._exactly(length)[4:]

    def _exactly(self, count: int) -> bytes:
        got = bytearray()
        while len(got) < count:
            piece = self._socket.recv(min(count - len(got), 1 << 20))
            if not piece:
                raise OSError("it ended the connection: does this port ask for tls or sasl?")
            got += piece
        return bytes(got)


class Scram:
    """One who proves that it knows a password, and is shown that the server does: RFC 5802."""

    def __init__(self, mechanism: str, user: str, password: str, nonce: str = "") -> None:
        self._hash = mechanism.removeprefix("SCRAM-").replace("-", "").lower()
        self._password, self._nonce = password.encode(), nonce or secrets.token_hex(16)
        self._bare = f"n={user.replace('=', '=3D').replace(',', '=2C')},r={self._nonce}"
        self._signature = b""

    def first(self) -> bytes:
        """Say who one is."""
        return f"n,,{self._bare}".encode()

    def answer(self, challenge: bytes) -> bytes:
        """Prove it.

        Raises:
            OSError: the challenge is not an answer to ``first``.
        """
        said = _attributes(challenge)
        if not said.get("r", "").startswith(self._nonce):
            raise OSError("the broker's nonce is another one's")
        salted = hashlib.pbkdf2_hmac(self._hash, self._password, base64.b64decode(said["s"]), int(said["i"]))
        without = f"c=biws,r={said['r']}"
        signed = f"{self._bare},{challenge.decode()},{without}".encode()
        client = self._keyed(salted, b"Client Key")
        stored = hashlib.new(self._hash, client).digest()
        proof = bytes(a ^ b for a, b in zip(client, self._keyed(stored, signed), strict=True))
        self._signature = self._keyed(self._keyed(salted, b"Server Key"), signed)
        return f"{without},p={base64.b64encode(proof).decode()}".encode()

    def check(self, last: bytes) -> None:
        """Expect the server to know the password.

        Raises:
            OSError: it does not.
        """
        if not hmac.compare_digest(base64.b64decode(_attributes(last).get("v", "")), self._signature):
            raise OSError("the broker does not know the password")

    def _keyed(self, key: bytes, words: bytes) -> bytes:
        return hmac.new(key, words, self._hash).digest()


class _Reply:
    """An answer, read from its beginning."""

    def __init__(self, said: bytes) -> None:
        self._said, self._at = said, 0

    def take(self, count: int) -> bytes:
        self._at += count
        return self._said[self._at - count : self._at]

    def int16(self) -> int:
        return int(struct.unpack(">h", self.take(2))[0])

    def int32(self) -> int:
        return int(struct.unpack(">i", self.take(4))[0])

    def int64(self) -> int:
        return int(struct.unpack(">q", self.take(8))[0])

    def text(self) -> str:
        return self.take(max(self.int16(), 0)).decode()


def _text(said: str) -> bytes:
    return struct.pack(">h", len(said.encode())) + said.encode()


def _attributes(said: bytes) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in said.decode().split(",") if "=" in pair)


def _secured(plain: socket.socket, connection: KafkaConnection, host: str) -> socket.socket:
    """Go by TLS wherever the client itself does."""
    if not (connection.tls or connection.sasl):
        return plain
    tls = connection.tls
    context = ssl.create_default_context(cafile=(tls.ca or None) if tls else None)
    if tls and tls.certificate:
        context.load_cert_chain(tls.certificate, tls.key, tls.key_password.get_secret_value() or None)
    return context.wrap_socket(plain, server_hostname=host)
