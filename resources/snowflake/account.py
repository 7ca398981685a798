"""Snowflake account settings and sign-in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from loopline.platform_core.errors import InvalidEnvironment

CONNECT_SECONDS = 20
"""For how long logging in is tried."""
HUNG_SECONDS = 5
"""How much longer than a statement may take its answer may; then the service is taken for away."""
_HELD_SECONDS = 45
"""For how long the service holds an answer back while a statement runs; it is asked again then."""


@dataclass(frozen=True, kw_only=True)
class Account:
    """Who asks whom; of ``password``, ``private_key`` (PEM) and ``workload_identity`` one is given."""

    account: str
    user: str
    database: str
    warehouse: str
    role: str
    password: str
    private_key: str
    workload_identity: str
    endpoint: str
    statement_seconds: float

    def connected(self, **more: Any) -> Any:
        """Log in.

        Raises:
            InvalidEnvironment: not by these settings. Others: as the client raises them.
        """
        try:
            from snowflake import connector
        except ImportError as error:
            problem = "snowflake-connector-python is not installed"
            raise InvalidEnvironment(problem, "install the extra 'snowflake'") from error

        seconds = max(1, int(self.statement_seconds))
        return connector.connect(
            account=self.account,
            database=self.database,
            warehouse=self.warehouse or None,
            role=self.role or None,
            paramstyle="qmark",
            login_timeout=CONNECT_SECONDS,
            network_timeout=seconds + HUNG_SECONDS,
            socket_timeout=min(seconds, _HELD_SECONDS) + HUNG_SECONDS,
            session_parameters={
                "TIMEZONE": "UTC",
                "STATEMENT_TIMEOUT_IN_SECONDS": seconds,
                "QUERY_TAG": "loopline",
            },
            **self._shown() | self._where() | more,
        )

    def _shown(self) -> dict[str, Any]:
        """Return what shows who asks.

        Raises:
            InvalidEnvironment: not exactly one way is given, or the key is none.
        """
        if sum(map(bool, (self.password, self.private_key, self.workload_identity))) != 1:
            raise InvalidEnvironment(
                f"Snowflake {self.account!r} is given none, or several, of password, private_key and workload_identity",
                "give one: ${secret://name} for the first two, AWS, AZURE, GCP or OIDC for the last",
            )
        if self.workload_identity:
            return {"authenticator": "WORKLOAD_IDENTITY", "workload_identity_provider": self.workload_identity}
        if self.private_key:
            return {"user": self.user, "private_key": _der(self.private_key)}
        return {"user": self.user, "password": self.password}

    def _where(self) -> dict[str, Any]:
        if not self.endpoint:
            return {}
        parts = urlsplit(self.endpoint)
        if parts.scheme not in {"https", "http"} or not parts.hostname:
            raise InvalidEnvironment(f"the endpoint {self.endpoint!r} is no URL", "write https://host:port")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return {"host": parts.hostname, "port": port, "protocol": parts.scheme}


def _der(pem: str) -> bytes:
    from cryptography.hazmat.primitives import serialization as form

    try:
        key = form.load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError):  # its own words may show a part of it
        problem = "the private_key is no key in PEM, or one behind a passphrase"
        raise InvalidEnvironment(problem, "write it by 'openssl pkcs8 -topk8 -nocrypt'") from None
    return key.private_bytes(form.Encoding.DER, form.PrivateFormat.PKCS8, form.NoEncryption())
