"""What an environment file may say of who reaches a server of ours, and what is kept of each request."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from loopline.platform_core.errors import InvalidEnvironment


class Tls(BaseModel):
    """Files in PEM form: what the server shows, whom it lets in, and what the platform's own clients use.

    With ``clients`` only who shows a certificate of that authority is answered (mutual TLS). ``trust`` is the authority
    that the platform's own clients believe (without it the system's), ``own_certificate`` and ``own_key`` are what they
    show.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    certificate: Path
    key: Path
    clients: Path | None = None
    trust: Path | None = None
    own_certificate: Path | None = None
    own_key: Path | None = None

    @model_validator(mode="after")
    def _together(self) -> Self:
        if (self.own_certificate is None) != (self.own_key is None):
            raise ValueError("own_certificate and own_key belong together")
        return self

    def for_uvicorn(self) -> dict[str, Any]:
        """Return uvicorn's options.

        Raises:
            InvalidEnvironment: a file is missing or is none of its kind.
        """
        self._check()
        options: dict[str, Any] = {"ssl_certfile": str(self.certificate), "ssl_keyfile": str(self.key)}
        if self.clients is not None:
            options |= {"ssl_ca_certs": str(self.clients), "ssl_cert_reqs": ssl.CERT_REQUIRED}
        return options

    def client_context(self) -> ssl.SSLContext:
        """Return what a client of the platform's own connects with."""
        context = ssl.create_default_context(cafile=str(self.trust) if self.trust else None)
        if self.own_certificate is not None:
            context.load_cert_chain(self.own_certificate, self.own_key)
        return context

    def _check(self) -> None:
        try:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate, self.key)
            if self.clients is not None:
                context.load_verify_locations(self.clients)
        except OSError as error:  # ssl.SSLError is one
            raise InvalidEnvironment(
                f"serving.tls: {self.certificate}, {self.key} or {self.clients} cannot be used: {error}",
                "give PEM files that the server may read, the key being the certificate's",
            ) from error


class GatewaySettings(BaseModel):
    """What is asked and kept of each request; each is off until it is named.

    ``keys`` is the file of API keys (``loopline key create`` writes it), ``access_log`` a file of JSON lines (``-``:
    standard output), ``traces`` where spans go: ``file:<path>``, or ``http(s)://…/v1/traces`` for an OTLP collector.
    Of requests that belong to no trace ``traces_share`` get one; for others their trace has decided.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    keys: Path | None = None
    access_log: str | None = None
    traces: str | None = None
    traces_share: float = Field(1.0, ge=0, le=1)
