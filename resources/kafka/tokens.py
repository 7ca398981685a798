"""OAUTHBEARER tokens for Kafka: from a file, or from Azure's identity of this machine."""

from __future__ import annotations

import logging
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from loopline.platform_core.errors import InvalidEnvironment, LooplineError, StoreUnavailable, one_line

LOG = logging.getLogger("loopline.kafka")
OPAQUE_SECONDS = 300.0
"""How long a token is taken for good that does not say when it ends."""


class Token(NamedTuple):
    """A token, and when it ends in seconds since 1970."""

    text: str
    ends: float


class Renewed:
    """What librdkafka calls when it needs a token: the first is fetched here, where an error can be told.

    A later one that cannot be had leaves the last: the client says that it has ended, asks again, and does no harm.
    """

    def __init__(self, fetch: Callable[[], Token]) -> None:
        self._fetch, self._fresh, self._last = fetch, True, fetch()

    def __call__(self, _: str) -> tuple[str, float]:
        """Return a token and when it ends."""
        if not self._fresh:
            try:
                self._last = self._fetch()
            except LooplineError as error:
                LOG.warning("no new token: %s", error)
        self._fresh = False
        return self._last.text, self._last.ends


def of_file(path: str) -> Callable[[], Token]:
    """Read a token from a file, as Kubernetes and agents write them."""

    def fetch() -> Token:
        try:
            text = Path(path).read_text(encoding="ascii").strip()
        except (OSError, ValueError) as error:
            raise InvalidEnvironment(
                f"sasl.token_file: {path} cannot be read", "name a file that holds a token, and nothing else"
            ) from error
        ends = _ends(text)
        if ends <= time.time():
            raise InvalidEnvironment(f"sasl: the token in {path} has ended", "have whoever writes it renew it")
        return Token(text, ends)

    return fetch


def of_azure(servers: str) -> Callable[[], Token]:
    """Ask the identity that azure-identity finds (workload identity, managed identity, ``az login``) for one."""
    host = servers.split(",", maxsplit=1)[0].strip().rpartition("://")[2].rpartition(":")[0]
    if not host:
        raise InvalidEnvironment(
            f"sasl.azure: {servers!r} names no port", "write <namespace>.servicebus.windows.net:9093"
        )

    def fetch() -> Token:
        from azure.core.exceptions import ClientAuthenticationError
        from azure.identity import CredentialUnavailableError, DefaultAzureCredential

        try:
            token = DefaultAzureCredential().get_token(f"https://{host}/.default")
        except (CredentialUnavailableError, ClientAuthenticationError) as error:
            raise InvalidEnvironment(
                f"sasl.azure: no identity of this machine may come to {host}: {one_line(error.message)}",
                "give it a workload identity or a managed identity, with a role such as Azure Event Hubs Data Owner",
            ) from error
        except Exception as error:
            raise StoreUnavailable(f"sasl.azure: {one_line(error)}", "is the issuer of tokens reached?") from error
        return Token(token.token, float(token.expires_on))

    return fetch


def _ends(token: str) -> float:
    """Read when a JSON web token ends; whoever cannot be read so is asked again soon."""
    import orjson

    parts = token.split(".")
    try:
        body = parts[1] + "=" * (-len(parts[1]) % 4)
        return float(orjson.loads(urlsafe_b64decode(body))["exp"])
    except (IndexError, KeyError, ValueError, TypeError):
        return time.time() + OPAQUE_SECONDS
