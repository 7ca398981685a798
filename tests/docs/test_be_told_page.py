"""What the page on alarms shows works as it stands."""

from __future__ import annotations

import hashlib
import hmac
import re
from pathlib import Path

import pytest

from loopline.platform_core import environment
from loopline.platform_core.testing.notifier import MESSAGE
from loopline.platform_core.testing.parts.http_sink import HttpSink
from loopline.resources.webhook.notifier import WebhookNotifier
from tests.docs.page import Page

PAGE = Page("how-to/be-told.md")


def test_the_example_binds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both notifiers are what the table says of settings that are left out."""
    monkeypatch.setenv("LOOPLINE_SLACK_URL", "https://hooks.slack.example/x")
    monkeypatch.setenv("LOOPLINE_SMTP_PASSWORD", "x")
    file = tmp_path / "e.yaml"
    file.write_text(f"bindings: {{}}\n{PAGE.blocks('yaml')[0]}")
    slack, mail = environment.read(file, only=("notifier",)).notifiers.values()
    assert (slack.name, mail.name, mail.teams) == ("on-call", "retail", ("retail",))
    for setting in ("cooldown_minutes", "daily_budget", "timeout_seconds"):
        (said,) = re.findall(rf"^\| `{setting}` \|.*\| (\d+) \|$", PAGE.text, re.MULTILINE)
        assert getattr(slack, setting) == int(said)


def test_the_signature_is_checked_as_shown() -> None:
    """The three lines tell our message from another."""
    with HttpSink() as sink:
        WebhookNotifier(url=sink.url, secret="key").send(MESSAGE)
        (got,) = sink.posted
    for body, genuine in ((got.body, True), (got.body + b" ", False)):
        names = {"headers": got.headers, "body": body, "secret": b"key", "hmac": hmac, "hashlib": hashlib}
        exec(PAGE.blocks("python")[0], names)
        assert names["genuine"] is genuine
