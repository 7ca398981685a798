"""Slack's notifier keeps its promises to a server that shows messages as Slack does."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from loopline.platform_core.testing.notifier import HOSTILE, MESSAGE, Mood, NotifierKit, Received
from loopline.platform_core.testing.parts.http_sink import HttpSink
from loopline.resources.slack.notifier import SlackNotifier

TOKEN = "T000/B000/s3cret"


class Channel:
    """Shows messages as Slack does: plain text as it is, the rest with mentions, links and escapes resolved."""

    def __init__(self, sink: HttpSink) -> None:
        self.sink = sink

    def feel(self, mood: Mood) -> None:
        self.sink.mood = mood

    def received(self) -> Sequence[Received]:
        return [self._shown(json.loads(one.body)) for one in self.sink.posted]

    def _shown(self, payload: dict[str, Any]) -> Received:
        assert _rich(payload["text"])
        shown = [_text(block) for block in payload["blocks"]]
        for block in payload["blocks"]:
            limit = 150 if block["type"] == "header" else 3000
            assert all(0 < len(part["text"]) <= limit for part in _parts(block))
        identity = re.search(r"\S+$", shown[-1])
        assert identity
        return Received(shown[0], "\n".join(shown), identity[0], {})


def _parts(block: dict[str, Any]) -> list[dict[str, Any]]:
    return block["elements"] if block["type"] == "context" else [block["text"]]


def _text(block: dict[str, Any]) -> str:
    return "\n".join(p["text"] if p["type"] == "plain_text" else _rich(p["text"]) for p in _parts(block))


def _rich(text: str) -> str:
    """Resolve Slack's markup; a mention of everybody is what no message may do."""
    assert not re.search(r"<[!@#]", text)
    text = re.sub(r"<([^|>]*)\|([^>]*)>", r"\2 (\1)", text)
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


@pytest.fixture
def notifier(sink: HttpSink) -> SlackNotifier:
    """A notifier that posts to it."""
    return SlackNotifier(url=f"{sink.url}/services/{TOKEN}", timeout_seconds=0.5)


class TestSlack(NotifierKit):
    """Every promise, over a real connection."""

    tested_on = "strict fake: an HTTP receiver"

    @pytest.fixture
    def receiver(self, sink: HttpSink) -> Channel:
        return Channel(sink)

    @pytest.fixture
    def secrets(self) -> list[str]:
        return [TOKEN, "s3cret"]


def test_a_link_cannot_be_bent(notifier: SlackNotifier) -> None:
    """A link that would close its own bracket is quoted; one that is no link is left out."""
    bent = notifier.payload(replace(MESSAGE, link="https://d.example/a|<!channel>b"))
    (link,) = [b["text"]["text"] for b in bent["blocks"] if b["text" if "text" in b else "elements"] and _is_link(b)]
    assert link == "<https://d.example/a%7C%3C!channel%3Eb|Look at it>"
    assert not [b for b in notifier.payload(replace(MESSAGE, link="javascript:alert(1)"))["blocks"] if _is_link(b)]


def test_the_notification_mentions_nobody(notifier: SlackNotifier) -> None:
    """The text that phones show is escaped too."""
    assert "<!channel>" not in notifier.payload(replace(MESSAGE, problem=HOSTILE))["text"]


def test_over_is_green(notifier: SlackNotifier) -> None:
    """Good news looks like it."""
    assert notifier.payload(replace(MESSAGE, what="over"))["text"].startswith("🟢 [over]")


def _is_link(block: dict[str, Any]) -> bool:
    return block.get("text", {}).get("type") == "mrkdwn"
