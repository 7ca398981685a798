"""Kafka connection settings: servers, TLS and SASL."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from loopline.platform_core.errors import InvalidEnvironment

NO_SECRET = SecretStr("")


class Tls(BaseModel):
    """TLS, by PEM files of this machine: ``ca`` verifies the brokers (left out: the system's own certificates).

    ``certificate`` and ``key`` are this client's, for brokers that ask for them. Files are read when a connection is
    made; a process that has one is started anew after they are exchanged.
    """

    model_config = ConfigDict(extra="forbid")
    ca: str = ""
    certificate: str = ""
    key: str = ""
    key_password: SecretStr = NO_SECRET

    @model_validator(mode="after")
    def _whole(self) -> Tls:
        if bool(self.certificate) != bool(self.key):
            raise ValueError("a certificate needs its key, and a key its certificate")
        return self

    def settings(self) -> dict[str, Any]:
        """Return it as librdkafka has it.

        Raises:
            InvalidEnvironment: a file cannot be read, or the certificate's time is over.
        """
        for field, path in (("ca", self.ca), ("certificate", self.certificate), ("key", self.key)):
            if path and not Path(path).is_file():
                raise InvalidEnvironment(f"tls.{field}: there is no file {path}", "name a PEM file of this machine")
        if self.certificate:
            _refuse_expired(Path(self.certificate))
        found = {
            "ssl.ca.location": self.ca,
            "ssl.certificate.location": self.certificate,
            "ssl.key.location": self.key,
            "ssl.key.password": self.key_password.get_secret_value(),
        }
        return {name: said for name, said in found.items() if said}


class Sasl(BaseModel):
    """Who this client is: a name with a password, or a token (``OAUTHBEARER``). It goes by TLS, never without.

    A token comes from ``token_file``, which is read again whenever one ends; from an OpenID Connect issuer's
    ``token_endpoint``, by ``client_id``, ``client_secret`` and ``scope`` (``token_ca`` verifies the issuer); or, with
    ``azure``, from whatever identity azure-identity finds here, for Event Hubs.
    """

    model_config = ConfigDict(extra="forbid")
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]
    username: str = ""
    password: SecretStr = NO_SECRET
    token_file: str = ""
    token_endpoint: str = ""
    token_ca: str = ""
    client_id: str = ""
    client_secret: SecretStr = NO_SECRET
    scope: str = ""
    azure: bool = False

    @model_validator(mode="after")
    def _one_way(self) -> Sasl:
        ways = [name for name in ("token_file", "token_endpoint", "azure") if getattr(self, name)]
        named = bool(self.username), bool(self.password.get_secret_value())
        if self.mechanism == "OAUTHBEARER":
            if any(named) or len(ways) != 1:
                raise ValueError("OAUTHBEARER needs one of token_file, token_endpoint, azure, and no username")
        elif not all(named) or ways:
            raise ValueError(f"{self.mechanism} needs username and password, and no token")
        if self.token_endpoint and not (self.client_id and self.client_secret.get_secret_value()):
            raise ValueError("token_endpoint needs client_id and client_secret")
        return self

    @property
    def who(self) -> str:
        """Name, for messages, as whom one comes."""
        return self.username or self.client_id or self.token_file or "this machine's Azure identity"

    def settings(self, servers: str) -> dict[str, Any]:
        """Return it as librdkafka has it.

        Raises:
            InvalidEnvironment: there is no token to be had. StoreUnavailable: not now.
        """
        said: dict[str, Any] = {"sasl.mechanism": self.mechanism}
        if self.username:
            return said | {"sasl.username": self.username, "sasl.password": self.password.get_secret_value()}
        if self.token_endpoint:
            return said | self._issued()
        from loopline.resources.kafka import tokens

        source = tokens.of_file(self.token_file) if self.token_file else tokens.of_azure(servers)
        return said | {"oauth_cb": tokens.Renewed(source)}

    def _issued(self) -> dict[str, str]:
        found = {
            "sasl.oauthbearer.method": "oidc",
            "sasl.oauthbearer.token.endpoint.url": self.token_endpoint,
            "sasl.oauthbearer.client.id": self.client_id,
            "sasl.oauthbearer.client.secret": self.client_secret.get_secret_value(),
            "sasl.oauthbearer.scope": self.scope,
            "https.ca.location": self.token_ca,
        }
        return {name: said for name, said in found.items() if said}


class KafkaConnection(BaseModel):
    """What every client of a cluster is told; ``options`` are librdkafka's own names, and win."""

    model_config = ConfigDict(extra="forbid")
    bootstrap_servers: str
    tls: Tls | None = None
    sasl: Sasl | None = None
    options: dict[str, str] = Field(default_factory=dict)
    timeout_seconds: float = 10.0

    def client_settings(self) -> dict[str, Any]:
        """Return what librdkafka is told; raises as ``Tls.settings`` and ``Sasl.settings``."""
        said: dict[str, Any] = {
            "bootstrap.servers": self.bootstrap_servers,
            "socket.timeout.ms": int(self.timeout_seconds * 1000),
        }
        if self.tls or self.sasl:
            said["security.protocol"] = "SASL_SSL" if self.sasl else "SSL"
        if self.tls:
            said |= self.tls.settings()
        if self.sasl:
            said |= self.sasl.settings(self.bootstrap_servers)
        return said | self.options

    @property
    def who(self) -> str:
        """Name, for messages, as whom one comes to the brokers."""
        if self.sasl:
            return self.sasl.who
        certificate = self.tls.certificate if self.tls else ""
        return certificate or self.options.get("sasl.username") or "who names nobody"


def _refuse_expired(certificate: Path) -> None:
    """Look at the first certificate of a file: brokers say only that they do not want one.

    Raises:
        InvalidEnvironment: it is none, or its time is over.
    """
    from cryptography import x509

    try:
        until = x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
    except (OSError, ValueError) as error:
        raise InvalidEnvironment(f"tls.certificate: {certificate} is no certificate", "name a PEM file") from error
    if until < datetime.now(UTC):
        raise InvalidEnvironment(f"tls.certificate: {certificate} ended on {until:%Y-%m-%d}", "have it issued anew")
