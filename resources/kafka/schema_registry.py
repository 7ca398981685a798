"""Client of a schema registry with Confluent's REST API: Confluent, Karapace, Redpanda."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from loopline.platform_core.errors import InvalidEnvironment, LooplineError, StoreUnavailable, Unsupported, one_line
from loopline.resources.kafka.security import NO_SECRET, Tls

if TYPE_CHECKING:
    from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

NO_SCHEMA = 40403
"""The interface's code for an id that it does not know; a 404 without it is another server's."""
LATER = (408, 425, 429)
"""Statuses, beside those from 500 on, after which the same may be answered."""
HERE = ("localhost", "127.0.0.1", "::1")


UNKNOWN, MISMATCH, UNUSABLE = "schema.unknown", "schema.mismatch", "schema.unusable"
"""Why a record is a dead letter: its id is nobody's, its bytes are not its schema's, its schema cannot be used."""


class Unread(Exception):  # noqa: N818 - no fault: an answer
    """A record that is a dead letter, with the reason."""

    def __init__(self, reason: str, told: object = "") -> None:
        super().__init__(f"{reason}: {one_line(told)}")
        self.reason = reason


class Asked(NamedTuple):
    """A schema's id as records bear it: a number, or a GUID."""

    number: int | None
    guid: str | None

    def __str__(self) -> str:
        """Name it."""
        return str(self.guid if self.number is None else self.number)


class SchemaRegistry(BaseModel):
    """Where schemas are asked for: ``url``, several with commas between; who one is by name and password, or by TLS."""

    model_config = ConfigDict(extra="forbid")
    url: str = Field(pattern=r"^https?://")
    username: str = ""
    password: SecretStr = NO_SECRET
    tls: Tls | None = None
    timeout_seconds: float = Field(default=10.0, gt=0)

    @model_validator(mode="after")
    def _safe(self) -> SchemaRegistry:
        named = bool(self.username), bool(self.password.get_secret_value())
        places = [urlsplit(each.strip()) for each in self.url.split(",")]
        if any("@" in place.netloc for place in places):
            raise ValueError("url holds a credential: write username and password")
        if any(named) and not all(named):
            raise ValueError("username needs password, and password username")
        if ":" in self.username:
            raise ValueError("username holds a colon, which HTTP does not carry")
        if any(named) and any(place.scheme == "http" and place.hostname not in HERE for place in places):
            raise ValueError("a password goes by https, never by http")
        return self

    def client(self) -> SchemaRegistryClient:
        """Make a client; it connects when it is asked.

        Raises:
            InvalidEnvironment: a file of ``tls`` cannot be read. Unsupported: the client is not installed.
        """
        try:
            from confluent_kafka.schema_registry import SchemaRegistryClient
        except ImportError as error:
            raise Unsupported(
                f"schema_registry: {error.name} is not installed", "pip install 'loopline[schema-registry]'"
            ) from error
        said = self.tls.settings() if self.tls else {}
        if self.username:
            said["basic.auth.user.info"] = f"{self.username}:{self.password.get_secret_value()}"
        patience = {"timeout": self.timeout_seconds, "max.retries": 2, "retries.wait.ms": 200}
        try:
            return SchemaRegistryClient({"url": self.url} | said | patience)
        except (OSError, ValueError) as error:
            raise InvalidEnvironment(f"schema_registry: {one_line(error)}", "mend its tls: PEM files") from error

    def fetch(self, client: SchemaRegistryClient, asked: Asked) -> Schema:
        """Ask for a schema, once; a client keeps for ever what it was told.

        Raises:
            Unread: there is none of this id. StoreUnavailable: the registry is away. InvalidEnvironment: it refuses.
        """
        try:
            schema = client.get_schema(asked.number) if asked.guid is None else client.get_schema_by_guid(asked.guid)
        except Exception as error:
            if is_unknown(error):
                raise Unread(UNKNOWN, f"schema {asked}") from error
            raise self.error(error) or self._no_registry(error) from error
        if not schema.schema_str:
            raise self._no_registry("an answer without a schema")
        return schema

    def error(self, error: Exception) -> LooplineError | None:
        """Make our error of the client's, None where it is none of the registry's."""
        from confluent_kafka.schema_registry.error import SchemaRegistryError
        from httpx2 import TransportError

        if isinstance(error, SchemaRegistryError):
            return self._answered(error.http_status_code, error)
        if not isinstance(error, TransportError):
            return None
        told = f"schema registry {self.url}: {one_line(error) or type(error).__name__}"
        if "CERTIFICATE_VERIFY_FAILED" in told or "alert" in told:
            return InvalidEnvironment(told, "let schema_registry.tls name the CA's file as ca, and your certificate")
        return StoreUnavailable(told, "is the registry up, and reached from here? what came waits until it is")

    def _answered(self, status: int, error: Any) -> LooplineError:
        who = self.username or "who names nobody"
        if status in (401, 403):
            return InvalidEnvironment(
                f"schema registry {self.url} refuses {who} (HTTP {status})",
                "mend schema_registry: username and password; who they name must be allowed to read schemas",
            )
        if status >= 500 or status in LATER:  # noqa: PLR2004 - HTTP's own
            told = f"schema registry {self.url} answers HTTP {status}: {one_line(error.error_message)}"
            return StoreUnavailable(told, "look at the registry; what came waits until it answers")
        return self._no_registry(f"HTTP {status}")

    def _no_registry(self, answer: object) -> LooplineError:
        told = answer if isinstance(answer, str) else type(answer).__name__
        return InvalidEnvironment(
            f"schema registry {self.url} answers as none does: {told}",
            "write the address below which /schemas/ids/1 lies; Apicurio's ends with /apis/ccompat/v7",
        )


def is_unknown(error: Exception) -> bool:
    """Say whether the registry answers that it has no such schema."""
    return getattr(error, "error_code", None) == NO_SCHEMA
