"""What the tests' broker asks of those who do not come without TLS: certificates, passwords, tokens, rights."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from benchmarks.peers.kafka_broker import Doors
from loopline.resources.subprocess.gang import free_ports
from tests.kafka.kafka_tokens import Issuer

USER, PASSWORD = "loopline", "right-horse"
STRANGER = "stranger"
"""Who may come in and has no right to anything."""
DOORS = ("SASL", "MTLS", "EXPIRED")
SETTINGS = """
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_SSL,MTLS:SSL,EXPIRED:SASL_SSL
inter.broker.listener.name=PLAINTEXT
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
ssl.keystore.type=PEM
ssl.keystore.location={folder}/broker.pem
ssl.truststore.type=PEM
ssl.truststore.location={folder}/ca.pem
listener.name.mtls.ssl.client.auth=required
listener.name.mtls.ssl.principal.mapping.rules=RULE:^.*CN=([^,]*).*$/$1/
listener.name.expired.ssl.keystore.type=PEM
listener.name.expired.ssl.keystore.location={folder}/expired-broker.pem
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512,OAUTHBEARER
sasl.oauthbearer.jwks.endpoint.url={keys}
sasl.oauthbearer.expected.audience={audience}
connection.failed.authentication.delay.ms=10
"""
PLAIN = """
listener.name.{door}.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
user_loopline="{password}" user_stranger="{password}";
listener.name.{door}.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.{door}.oauthbearer.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule \
required unsecuredLoginStringClaim_sub="broker";
listener.name.{door}.oauthbearer.sasl.server.callback.handler.class=\
org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler
"""


@dataclass(frozen=True)
class Security:
    """Certificates and keys as PEM files of a folder, the doors, and who issues tokens."""

    folder: Path
    doors: Doors
    issuer: Issuer

    def servers(self, door: str) -> str:
        """Name the broker by one of its doors."""
        return f"127.0.0.1:{self.doors.ports[door]}"

    def file(self, name: str) -> str:
        """Return a PEM file: ``ca``, ``other-ca``, and of ``client`` and ``expired`` with ``-key`` the key as well."""
        return str(self.folder / f"{name}.pem")


def secured(folder: Path) -> Security:
    """Make all that a broker with closed doors needs."""
    ca, other = trustme.CA(), trustme.CA()
    past = datetime.now(UTC) - timedelta(days=2)
    for name, made in (("ca", ca), ("other-ca", other)):
        made.cert_pem.write_to_path(folder / f"{name}.pem")
    _write(folder, "broker", ca.issue_cert("127.0.0.1", "localhost"), together=True)
    _write(folder, "expired-broker", ca.issue_cert("127.0.0.1", not_after=past), together=True)
    _write(folder, "client", ca.issue_cert("client", common_name=USER))
    _write(folder, "expired", ca.issue_cert("client", common_name=USER, not_after=past))
    _write(folder, "foreign", other.issue_cert("client", common_name=USER))
    issuer = Issuer()
    keys = folder / "keys.json"
    keys.write_text(json.dumps({"keys": [issuer.jwk]}))
    said = SETTINGS.format(folder=folder, keys=keys.as_uri(), audience=issuer.audience)
    said += "".join(PLAIN.format(door=door, password=PASSWORD) for door in ("sasl", "expired"))
    ports = dict(zip(DOORS, free_ports(len(DOORS)), strict=True))
    users = {USER: PASSWORD, STRANGER: PASSWORD}
    return Security(folder, Doors(ports, said, users, keys.as_uri()), issuer)


def _write(folder: Path, name: str, made: trustme.LeafCert, *, together: bool = False) -> None:
    """Write a certificate and its key in PKCS 8, as the broker wants it: in one file, or in two."""
    key = load_pem_private_key(made.private_key_pem.bytes(), None)
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    chain = b"".join(each.bytes() for each in made.cert_chain_pems)
    (folder / f"{name}.pem").write_bytes(text + chain if together else chain)
    (folder / f"{name}-key.pem").write_bytes(text)
