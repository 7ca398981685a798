"""Notifier for a Slack channel, by an incoming webhook."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, urlsplit

from loopline.platform_core.contracts.http_post import SecretUrl, post
from loopline.platform_core.contracts.notifier import Message, Notifier, cut

SIGNS = {"info": "🔵", "warning": "🟠", "error": "🔴"}
HEADLINE, SECTION = 150, 2900
"""Characters that Slack takes in a headline (of 150) and in a block of text (of 3,000)."""


class SlackNotifier(Notifier):
    """Posts blocks to an incoming webhook's ``url``, which is a secret; the workspace decides the channel.

    What comes from outside is plain text in Slack's sense, so that it mentions nobody. Slack drops no message that
    comes twice, so the id stands in the last line.
    """

    url: SecretUrl

    def send(self, message: Message) -> None:
        """Post it."""
        body = json.dumps(self.payload(message)).encode()
        post(self.url.get_secret_value(), body, {"content-type": "application/json"}, self.timeout_seconds)

    def payload(self, message: Message) -> dict[str, Any]:
        """Write a message as blocks; ``text`` is what a notification shows."""
        sign = "🟢" if message.what == "over" else SIGNS[message.severity]
        blocks: list[dict[str, Any]] = [
            {"type": "header", "text": _plain(f"{sign} {message.title}", HEADLINE)},
            {"type": "section", "text": _plain(message.problem, SECTION)},
            {"type": "section", "text": _plain(f"→ {message.fix}", SECTION)},
        ]
        blocks += [{"type": "section", "text": _link(message.link)}] if _opens(message.link) else []
        said = [message.note, f"cause {message.cause}", f"since {message.since:%Y-%m-%d %H:%M} UTC"]
        said += [f"over at {message.until:%Y-%m-%d %H:%M} UTC"] if message.until else []
        last = " · ".join(part for part in (*said, message.message_id) if part)
        blocks.append({"type": "context", "elements": [_plain(last, SECTION)]})
        return {"text": _escaped(f"{sign} {message.title}"), "blocks": blocks}


def _plain(text: str, longest: int) -> dict[str, Any]:
    whole = text if len(text) <= longest else cut(text, longest - 40)
    return {"type": "plain_text", "text": whole or " ", "emoji": False}


def _link(url: str) -> dict[str, str]:
    return {"type": "mrkdwn", "text": f"<{quote(url, safe=':/?#[]@!$&()*+,;=%~')}|Look at it>"}


def _opens(url: str) -> bool:
    return urlsplit(url).scheme in {"http", "https"}


def _escaped(text: str) -> str:
    """Escape the three characters by which Slack's text mentions and links."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
