"""Notifier by webhook: a signed HTTP POST of JSON."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from dataclasses import asdict
from typing import Annotated

from pydantic import Field, SecretStr

from loopline.platform_core.contracts.base import NO_CREDENTIAL
from loopline.platform_core.contracts.http_post import SecretUrl, post
from loopline.platform_core.contracts.notifier import Message, Notifier, cut


class WebhookNotifier(Notifier):
    """Posts a message as one JSON object; whoever answers 2xx has it.

    With a ``secret``, the header ``X-Loopline-Signature`` is ``sha256=`` and the HMAC of ``<timestamp>.<body>``, where
    the timestamp is that of ``X-Loopline-Timestamp`` (seconds since 1970). ``X-Loopline-Message`` is the message's id.
    ``headers`` are sent along, such as ``Authorization``. An address without a token, and headers whose names are no
    credential's, may stand in the file in clear; none of them is ever shown.
    """

    url: Annotated[SecretUrl, NO_CREDENTIAL]
    secret: SecretStr = SecretStr("")
    headers: Annotated[dict[str, SecretStr], NO_CREDENTIAL] = Field(default_factory=dict)

    def send(self, message: Message) -> None:
        """Post it."""
        body = self.body(message)
        own = {"content-type": "application/json", "x-loopline-message": message.message_id, **self._signed(body)}
        given = {name: value.get_secret_value() for name, value in self.headers.items()}
        post(self.url.get_secret_value(), body, own | given, self.timeout_seconds)

    def body(self, message: Message) -> bytes:
        """Write a message as JSON: its fields, its title, times in ISO 8601."""
        fields = asdict(message) | {"title": message.title, "problem": cut(message.problem), "fix": cut(message.fix)}
        return json.dumps(fields, default=lambda instant: instant.isoformat()).encode()

    def _signed(self, body: bytes) -> dict[str, str]:
        secret = self.secret.get_secret_value().encode()
        if not secret:
            return {}
        timestamp = str(int(time.time()))
        digest = hmac.new(secret, f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
        return {"x-loopline-timestamp": timestamp, "x-loopline-signature": f"sha256={digest}"}
