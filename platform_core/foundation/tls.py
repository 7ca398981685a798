"""TLS of a server: PEM files, reloaded when they are renewed."""

from __future__ import annotations

import functools
import logging
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, model_validator

from loopline.platform_core.errors import InvalidEnvironment
from loopline.platform_core.foundation.files import stamp

if TYPE_CHECKING:
    import grpc

LOOK_SECONDS = 1.0
"""Between two looks at the files, which somebody who connects leads to."""
_log = logging.getLogger("loopline.tls")
Read = TypeVar("Read")


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

    def for_uvicorn(self, named: str = "serving.tls") -> dict[str, Any]:
        """Return uvicorn's options; what is renewed is shown to whoever connects a second later.

        ``named`` is by what the files were named.

        Raises:
            InvalidEnvironment: a file is missing or is none of its kind.
        """
        self._check(named)
        options: dict[str, Any] = {"ssl_certfile": str(self.certificate), "ssl_keyfile": str(self.key)}
        return options | {"ssl_context_factory": functools.partial(_for_uvicorn, self)}  # workers are handed it

    def for_grpc(self) -> grpc.ServerCredentials:
        """Return gRPC's; the files are asked about whenever somebody connects."""
        import grpc

        files = _Files(self)

        def read() -> Any:
            self.server_context()  # gRPC itself would take a key that is another certificate's
            own = [(self.key.read_bytes(), self.certificate.read_bytes())]
            return grpc.ssl_server_certificate_configuration(own, self.clients.read_bytes() if self.clients else None)

        return grpc.dynamic_ssl_server_credentials(
            read(), lambda: files.renewed(read), require_client_authentication=bool(self.clients)
        )

    def server_context(self) -> ssl.SSLContext:
        """Return what a server of now shows and asks for.

        Raises:
            OSError: a file cannot be read, is none of its kind, or the key is another certificate's.
        """
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate, self.key, _no_password)
        if self.clients is not None:
            context.load_verify_locations(self.clients)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def client_context(self) -> ssl.SSLContext:
        """Return what a client of the platform's own connects with."""
        context = ssl.create_default_context(cafile=str(self.trust) if self.trust else None)
        if self.own_certificate is not None:
            context.load_cert_chain(self.own_certificate, self.own_key, _no_password)
        return context

    @property
    def files(self) -> tuple[Path, ...]:
        """Return what a server reads."""
        return tuple(file for file in (self.certificate, self.key, self.clients) if file is not None)

    def _check(self, named: str) -> None:
        try:
            self.server_context()
        except OSError as error:  # ssl.SSLError is one
            raise InvalidEnvironment(
                f"{named}: {self.certificate}, {self.key} or {self.clients} cannot be used: {error}",
                "give PEM files that the server may read, the key being the certificate's",
            ) from error


class _Files:
    """Knows when files are others than those that were read."""

    def __init__(self, tls: Tls) -> None:
        self._tls, self._read, self._told = tls, self._stamps(tls), ""
        self._next = time.monotonic() + LOOK_SECONDS

    def renewed(self, read: Callable[[], Read]) -> Read | None:
        """Read them if they have changed; None if not, and where they do not fit yet: one may come after the other."""
        if time.monotonic() < self._next:
            return None
        self._next = time.monotonic() + LOOK_SECONDS
        try:
            now = self._stamps(self._tls)
            if now == self._read:
                return None
            found = read()
        except OSError as error:
            if str(error) != self._told:
                _log.warning(
                    "%s has changed and cannot be used, so the one before is shown: %s", self._tls.certificate, error
                )
            self._told = str(error)
            return None
        self._read, self._told = now, ""
        _log.info("%s is shown as it is now", self._tls.certificate)
        return found

    @staticmethod
    def _stamps(tls: Tls) -> tuple[tuple[int, ...], ...]:
        return tuple(map(stamp, tls.files))  # through links: a directory of secrets is turned by one


def _no_password() -> str:
    """Refuse a key that has a password: OpenSSL would ask for it at the terminal, and the server stand still."""
    raise OSError("the key has a password, and nobody is there to give it")


def _for_uvicorn(tls: Tls, _config: object, _default: object) -> ssl.SSLContext:
    """Make the context of a process: who connects is shown the newest, whatever stands in the one that listens."""
    files = _Files(tls)
    context = newest = tls.server_context()

    def choose(connecting: ssl.SSLObject, _name: str | None, _of: ssl.SSLContext) -> None:
        nonlocal newest
        newest = files.renewed(tls.server_context) or newest
        connecting.context = newest

    context.sni_callback = choose  # asked of each who connects, also without a name
    return context
