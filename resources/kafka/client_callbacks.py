"""Error callbacks of the Kafka client, mapped to our errors."""

from __future__ import annotations

import re
import socket
import ssl
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from loopline.platform_core.errors import (
    InvalidEnvironment,
    LooplineError,
    StoreUnavailable,
    Unsupported,
    one_line,
)

if TYPE_CHECKING:
    from confluent_kafka import KafkaError

UNAVAILABLE = "look at bootstrap_servers, tls and sasl (does this port ask for them?); is the cluster up?"
LOOK_SECONDS = 3.0
_RIGHTS = {
    29: "of its rights to Describe, Read, Write and Create the topic",
    30: "of its right to Read the group",
    31: "of its rights on the cluster (Create, IdempotentWrite)",
    53: "of its rights to Describe and Write the transactional id",
}
"""Codes of the protocol by which a broker says that somebody may not, and what then lacks."""
_LACKS = (35,)
"""The code of a request that the cluster does not know."""
_CLIENT_REFUSED = re.compile(r"SSL alert number (4[2-8]|116)\b")
_AT = re.compile(r"://(.+?):(\d+)/")
_LATER = re.compile(r"timed? ?out|connect|resolve|50[0-9]|429|temporar", re.IGNORECASE)
"""How libcurl and issuers say that a token may be had later."""
_PASSES = re.compile(r"current SASL state|timed out|Disconnected while", re.IGNORECASE)
"""What the client mends by connecting anew, such as a broker that takes no second token on one connection."""


class _Heard(NamedTuple):
    name: str
    text: str


class Told:
    """Hears the errors of all clients of one stream: they come beside the calls, which only time out."""

    def __init__(self, who: str, ca: str | None = None) -> None:
        self._who, self._ca = who, ca
        self._heard: deque[_Heard] = deque(maxlen=20)
        self._why: dict[str, str] = {}

    def hear(self, error: KafkaError) -> None:
        """Take down an error; the client calls it while it is polled."""
        self._heard.append(_Heard(error.name(), error.str()))

    def well(self) -> None:
        """Forget what was heard: the cluster has answered."""
        self._heard.clear()

    @property
    def hopeless(self) -> bool:
        """Say whether to wait any longer changes nothing: every broker has refused, or there is no token."""
        down = any(heard.name == "_ALL_BROKERS_DOWN" for heard in self._heard)
        return any(_is_cause(heard) and (down or _no_token(heard)) for heard in self._heard)

    def error(self, topic: str, error: Any) -> LooplineError:
        """Make our error of the client's: Permanent where rights, credentials or certificates hinder."""
        said = error.args[0]
        code = said.code() if hasattr(said, "code") else None
        if code in _RIGHTS:
            return InvalidEnvironment(
                f"topic {topic}: the broker refuses {self._who}: {said.str()}",
                f"have an ACL tell the broker {_RIGHTS[code]}",
            )
        if code in _LACKS or (code is not None and said.name() == "_UNSUPPORTED_FEATURE"):
            return Unsupported(
                f"topic {topic}: the cluster cannot do this: {said.str()}",
                "use a cluster that can, such as Apache Kafka",
            )
        causes = [heard for heard in self._heard if _is_cause(heard)]
        return self._explained(causes[-1]) if causes else StoreUnavailable(f"topic {topic}: {said}", UNAVAILABLE)

    def _explained(self, heard: _Heard) -> LooplineError:
        if heard.name == "_AUTHENTICATION":
            return self._nobody(heard.text)
        if "PLAINTEXT broker listener" in heard.text:
            return InvalidEnvironment(f"{_server(heard.text)} speaks no TLS", "name its port for TLS, or leave out tls")
        if _CLIENT_REFUSED.search(heard.text):
            return InvalidEnvironment(
                f"{_server(heard.text)} refuses the certificate of {self._who}",
                "tls.certificate must be one that the brokers' own CA has issued; ask who runs them",
            )
        return self._unverified(_server(heard.text))

    def _nobody(self, text: str) -> LooplineError:
        """Tell what is wrong with who one is."""
        if not text.startswith("Failed to acquire"):
            return InvalidEnvironment(
                f"{_server(text)} refuses {self._who}: {_short(text)}",
                "mend sasl: mechanism, username and password, or who issues the token and for which audience",
            )
        if _LATER.search(text):
            return StoreUnavailable(f"no token for {self._who}: {_short(text)}", "is the issuer of tokens reached?")
        return InvalidEnvironment(
            f"the issuer gives {self._who} no token: {_short(text)}", "mend sasl: client_id, client_secret, scope"
        )

    def _unverified(self, server: str) -> LooplineError:
        if server not in self._why:
            self._why[server] = _why_unverified(server, self._ca)
        why = self._why[server]
        if "expired" in why:
            return InvalidEnvironment(f"the certificate of {server} has expired", "have whoever runs it renew it")
        if "ostname" in why or "IP address" in why:
            return InvalidEnvironment(
                f"the certificate of {server} is another host's",
                "let bootstrap_servers name the hosts as it does",
            )
        by = self._ca or "the system's certificates"
        return InvalidEnvironment(
            f"the certificate of {server} is issued by nobody whom {by} knows",
            "name the file of the brokers' CA as tls.ca",
        )


def _is_cause(heard: _Heard) -> bool:
    if _PASSES.search(heard.text) and not _no_token(heard):
        return False
    return heard.name in {"_AUTHENTICATION", "_SSL"} or bool(
        _CLIENT_REFUSED.search(heard.text) or "PLAINTEXT broker listener" in heard.text
    )


def _no_token(heard: _Heard) -> bool:
    return heard.text.startswith("Failed to acquire")


def _server(text: str) -> str:
    found = _AT.search(text)
    return f"{found[1]}:{found[2]}" if found else "the broker"


def _short(text: str) -> str:
    """Return what was said without where and when, which is told already."""
    return one_line(re.sub(r"^\S+://\S+?: | \(after \d+ms in state \w+\)", "", text))


def _why_unverified(server: str, ca: str | None) -> str:
    """Ask once more with this Python's TLS, which says more: that a certificate expired, or is another's."""
    host, _, port = server.rpartition(":")
    try:
        context = ssl.create_default_context(cafile=ca)
        with socket.create_connection((host.strip("[]"), int(port)), LOOK_SECONDS) as plain:
            context.wrap_socket(plain, server_hostname=host.strip("[]")).close()
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    except (OSError, ValueError):
        pass
    return ""
