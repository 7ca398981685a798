"""The webhook's notifier keeps its promises to a real HTTP server, and signs what it says."""

from __future__ import annotations

import hashlib
import hmac
import json
import traceback
from collections.abc import Sequence

import pytest
from pydantic import ValidationError

from loopline.platform_core.errors import Refused, StoreUnavailable
from loopline.platform_core.testing.notifier import MESSAGE, Mood, NotifierKit, Received
from loopline.platform_core.testing.parts.http_sink import HttpSink
from loopline.resources.webhook.notifier import WebhookNotifier

TOKEN, SECRET = "t0ken-in-the-path", "s3cret-of-the-signature"


class Program:
    """Whoever acts on the messages: it reads the JSON."""

    def __init__(self, sink: HttpSink) -> None:
        self.sink = sink

    def feel(self, mood: Mood) -> None:
        self.sink.mood = mood

    def received(self) -> Sequence[Received]:
        read = [(json.loads(one.body), one.headers) for one in self.sink.posted]
        return [
            Received(said["title"], "\n".join(map(str, said.values())), headers["x-loopline-message"], headers)
            for said, headers in read
        ]


@pytest.fixture
def notifier(sink: HttpSink) -> WebhookNotifier:
    """A notifier that posts to it."""
    return WebhookNotifier(
        url=f"{sink.url}/{TOKEN}", secret=SECRET, headers={"authorization": f"Bearer {TOKEN}"}, timeout_seconds=0.5
    )


class TestWebhook(NotifierKit):
    """Every promise, over a real connection."""

    tested_on = "strict fake: an HTTP receiver"

    @pytest.fixture
    def receiver(self, sink: HttpSink) -> Program:
        return Program(sink)

    @pytest.fixture
    def secrets(self) -> list[str]:
        return [TOKEN, SECRET]


def test_the_signature_is_over_time_and_body(notifier: WebhookNotifier, sink: HttpSink) -> None:
    """A receiver that knows the secret can tell that the message is ours, and when it was sent."""
    notifier.send(MESSAGE)
    (got,) = sink.posted
    signed = f"{got.headers['x-loopline-timestamp']}.".encode() + got.body
    expected = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    assert got.headers["x-loopline-signature"] == f"sha256={expected}"
    assert got.headers["authorization"] == f"Bearer {TOKEN}"


def test_without_a_secret_nothing_is_signed(sink: HttpSink) -> None:
    """No signature is better than one over nothing."""
    WebhookNotifier(url=sink.url).send(MESSAGE)
    assert "x-loopline-signature" not in sink.posted[0].headers


def test_a_busy_receiver_says_when(notifier: WebhookNotifier, sink: HttpSink) -> None:
    """``Retry-After`` is what the next try waits for."""
    sink.mood = "busy"
    with pytest.raises(StoreUnavailable) as caught:
        notifier.send(MESSAGE)
    assert caught.value.delay_seconds == 7


def test_a_redirection_is_not_followed(notifier: WebhookNotifier, sink: HttpSink) -> None:
    """It may lead where nobody allowed."""
    sink.mood = "moved"
    with pytest.raises(Refused, match="302"):
        notifier.send(MESSAGE)
    assert not sink.posted


def test_nobody_there_is_worth_another_try() -> None:
    """A port that nobody listens on is transient, and its error names the host only."""
    with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1 does not answer: ConnectionRefusedError"):
        WebhookNotifier(url=f"http://127.0.0.1:9/{TOKEN}", timeout_seconds=0.5).send(MESSAGE)


@pytest.mark.parametrize("value", [f"Bearer {TOKEN}\n", f"Bearer {TOKEN}→"])
def test_a_header_that_cannot_be_sent_is_refused_unseen(
    sink: HttpSink, caplog: pytest.LogCaptureFixture, value: str
) -> None:
    """A line break or what is no Latin-1: neither the error nor what is behind it shows the header, a secret."""
    with pytest.raises(Refused, match="a header or the address cannot be sent") as caught:
        WebhookNotifier(url=sink.url, headers={"authorization": value}).send(MESSAGE)
    assert caught.value.__context__ is None
    assert TOKEN not in "".join(traceback.format_exception(caught.value)) + caplog.text
    assert not sink.posted


def test_an_address_that_is_none_is_refused_unseen() -> None:
    """The error says what is wrong without the address, which may be a secret."""
    with pytest.raises(ValidationError) as caught:
        WebhookNotifier(url=f"ftp://{TOKEN}")
    assert TOKEN not in str(caught.value)
