"""Secrets planted in settings, and looked for in all that is told of a failure: by value, however they are written."""

from __future__ import annotations

import base64
import json
import logging
import re
import sqlite3
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_urlsafe
from urllib.parse import quote

import pytest

from loopline.platform_core import alarms, environment, redaction
from loopline.platform_core.contracts.secrets import Held
from loopline.platform_core.errors import StoreUnavailable, one_line
from loopline.platform_core.foundation.credentials import keep, keep_within
from loopline.platform_core.foundation.logs import JsonLines
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.cycles.cycles import close_cycle, open_cycle
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.platform import Platform
from loopline.platform_core.redaction import HIDDEN, Redacted, redacted, told
from loopline.platform_core.specs import Drift
from loopline.resources.webhook.notifier import WebhookNotifier

NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
def secret() -> str:
    """Give a secret that a URL cannot hold as it is; whoever reads it from a store keeps it."""
    made = f"{token_urlsafe(12)}/+ @{token_urlsafe(6)}"
    return Held("planted", f"{made}\n").pick().get_secret_value().strip()


@pytest.fixture
def heard() -> Iterator[list[str]]:
    """Write each log record of this process down, as a plain handler does and as ours."""
    lines: list[str] = []

    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.extend((self.format(record), JsonLines().format(record), str(record.exc_info)))

    kept = Keeping()
    logging.getLogger().addHandler(kept)
    yield lines
    logging.getLogger().removeHandler(kept)


def failing(secret: str) -> None:
    """Fail as a library does, whose words ours pass on."""

    def asked() -> None:
        raise OSError(f"cannot reach https://api/v1?key={quote(secret, safe='')}")

    try:
        asked()
    except OSError as error:
        raise StoreUnavailable(f"it is away: {error}", f"see {secret}") from error


def test_a_secret_is_known_however_it_is_written(secret: str) -> None:
    """Quoted, in JSON, in base64 beside a name; a text that was redacted stays as it is."""
    written = [
        secret,
        quote(secret),
        re.sub("%..", lambda escape: escape[0].lower(), quote(secret, safe="")),
        json.dumps({"key": secret}),
        repr([secret]),
        base64.b64encode(secret.encode()).decode(),
        base64.b64encode(f"ann:{secret}".encode()).decode(),
        base64.urlsafe_b64encode(f"annie:{secret}".encode()).decode(),
    ]
    for text in written:
        once = redacted(f"before {text} behind")
        assert HIDDEN in once, text
        assert once.startswith("before ")
        assert once.endswith(" behind")
        assert redacted(once) == once
        assert secret not in once


def test_lines_of_a_secret_are_known_alone_and_on_one_line() -> None:
    """A private key is told by none of its lines; what stands in every such key stays readable."""
    lines = [token_urlsafe(40) for _ in range(3)]
    key = "-----BEGIN PRIVATE KEY-----\n" + "\n".join(lines) + "\n-----END PRIVATE KEY-----\n"
    Held("pem", key).pick()
    for text in (key, one_line(key), repr(key), json.dumps({"pem": key}), *lines):
        assert not [line for line in lines if line in redacted(text)]
    assert redacted("write -----BEGIN PRIVATE KEY-----") == "write -----BEGIN PRIVATE KEY-----"


@pytest.mark.parametrize(
    "value",
    ["true", "1", "", "postgres", "password1", "loopline-dev", "2030-01-01", "20300101", "10.0.0.5", "hunter2", "*"],
)
def test_what_may_be_any_text_s_word_is_hidden_in_urls_alone(value: str) -> None:
    """It would blank words, names, times and figures of every error; as a URL's password it is known by its place."""
    keep(value)
    plain = f"{value} of {value} rows at '{value}', {value}={value} in /{value}/"
    assert redacted(plain) == plain
    assert not value or redacted(f"postgresql://ann:{value}@db/{value}") == f"postgresql://ann:{HIDDEN}@db/{value}"


@pytest.mark.parametrize("part", ["qZDCgZIXQjEemVdW", ""], ids=["letters alone", "as it comes"])
def test_a_url_that_is_a_secret_is_known_by_its_pieces(part: str) -> None:
    """A library shows a host and a path, or a query, and not what it was given; words of a path stay."""
    password, token, part = token_urlsafe(12), token_urlsafe(12), part or token_urlsafe(12)
    keep(f"https://ann:{password}@hooks.example/services/{part}?key={token}&page=2")
    for text in (password, f"/services/{part}", f"/services?page=2&key={token}"):
        assert not [each for each in (password, token, part) if each in redacted(text)]
    assert (
        redacted("hooks.example does not answer at /services?page=2")
        == "hooks.example does not answer at /services?page=2"
    )


def test_of_a_document_the_credentials_are_known() -> None:
    """A service account's file names public addresses too."""
    key, account = token_urlsafe(20), "https://accounts.example/o/oauth2/auth"
    keep(json.dumps({"type": "service_account", "private_key": key, "auth_uri": account}))
    assert redacted(f"{key} {account} service_account") == f"{HIDDEN} {account} service_account"


def test_settings_are_looked_at_for_credentials() -> None:
    """Passwords in URLs, by a key's name, and a vendor's ``SecretStr``; a header that is none stays readable."""
    url, named, signing, key = (token_urlsafe(12) for _ in range(4))
    keep_within(
        {"ledger": f"postgresql://ann:{url}@db/x", "options": {"sasl.password": named}, "secret": "secret://chat-1"}
    )
    headers = {"Accept": "application/vnd.api-v1+json", "X-Api-Key": key}
    WebhookNotifier(name="x", url="https://hook.example/in-2", secret=signing, headers=headers)
    said = redacted(f"{url} {named} {signing} {key}")
    assert said == " ".join([HIDDEN] * 4)
    plain = "secret://chat-1 application/vnd.api-v1+json https://hook.example/in-2"
    assert redacted(plain) == plain


def test_an_environment_s_variables_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable is put into a URL as a secret is."""
    password = token_urlsafe(12)
    monkeypatch.setenv("PLANTED", password)
    file = tmp_path / "e.yaml"
    file.write_text('name: e\nledger: "postgresql://ann:${PLANTED}@db/x"\nbindings: {}\n')
    environment.read(file, only=())
    assert redacted(f"no {password} here") == f"no {HIDDEN} here"


def test_no_error_of_ours_tells_it(secret: str) -> None:
    """Neither half of it, nor a library's words on one line, cut where they are."""
    with pytest.raises(StoreUnavailable) as caught:
        failing(secret)
    assert HIDDEN in caught.value.problem
    assert caught.value.fix == f"see {HIDDEN}"
    long = one_line(f"{'x' * 290} {secret}")
    assert secret[:6] not in long


def test_no_log_tells_it(secret: str, heard: list[str]) -> None:
    """In the words, an argument, a traceback of what it was raised from, or what a step noted."""
    log = logging.getLogger("loopline.test")
    log.warning("asking %s with %s", {"key": secret}, secret)
    log.warning("asking " + quote(secret))  # noqa: G003 - as others do
    log.error("noted", extra={"facts": {"url": secret}})
    try:
        failing(secret)
    except StoreUnavailable:
        log.exception("it failed")
    log.error("100%% of %d", 5)
    assert len(heard) == 15
    assert not [line for line in heard if secret in line or quote(secret, safe="") in line]
    assert "failing" in heard[9]
    assert json.loads(heard[10])["error"] == "StoreUnavailable"
    assert heard[12] == "100% of 5"


def test_what_it_was_raised_from_tells_nothing_either(secret: str) -> None:
    """An error keeps its type and its place; one that cannot be mended is stood in for."""
    plain = ValueError("all well")
    assert told(plain) is plain
    with pytest.raises(StoreUnavailable) as caught:
        failing(secret)
    assert told(caught.value) is caught.value
    assert isinstance(caught.value.__cause__, Redacted)
    said = "".join(traceback.format_exception(caught.value))
    assert "OSError: cannot reach" in said
    assert "in failing" in said
    assert quote(secret, safe="") not in said
    group = told(ExceptionGroup("two", [ValueError(secret), KeyError(secret)]))
    assert secret not in "".join(traceback.format_exception(group))


def test_nothing_of_it_is_recorded(secret: str, tmp_path: Path) -> None:
    """The ledger, its cycles and the alarms: their file holds no trace, and the record is proven as ever."""
    url = f"sqlite:///{tmp_path}/ledger.db"
    with closing(Platform(environment.Environment("t", tmp_path / "t.yaml", {}, url, None, tmp_path))) as platform:
        details = {"error": [{"said": f"at {secret}"}], "rows": 3, "ok": True, "none": None}
        platform.ledger.record(Entry("a.b", NOW, reason=f"because of {secret}", details=details))
        alarm = alarms.Alarm("planted", "error", f"no {secret}", f"mend {quote(secret)}")
        assert alarms.raise_alarm(platform, alarm)
        assert not alarms.raise_alarm(platform, alarm)
        one = open_cycle(platform.ledger, ModelRef("t", "m"), Drift(), f"by {secret}", "key", NOW)
        close_cycle(platform.ledger, one.cycle_id, "failed", f"no {secret}", NOW)
        entry = platform.ledger.entries(kinds=["a.b"])[0]
        assert entry.reason == f"because of {HIDDEN}"
        assert entry.details == details | {"error": [{"said": f"at {HIDDEN}"}]}
    with sqlite3.connect(tmp_path / "ledger.db") as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert b"because of" in written
    assert secret.encode() not in written
    assert quote(secret).encode() not in written


def test_a_process_or_a_thread_that_ends_by_it_tells_nothing(secret: str) -> None:
    """Its last words go into the log of the program."""
    code = (
        "import sys, threading\n"
        "from loopline.platform_core.foundation.credentials import keep\n"
        "secret = sys.stdin.read()\n"
        "keep(secret)\n"
        "def fail(): raise ValueError(secret)\n"
        "one = threading.Thread(target=fail); one.start(); one.join()\n"
        "fail()\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], input=secret, capture_output=True, text=True, check=False)
    assert ended.stderr.count(f"ValueError: {HIDDEN}") == 2
    assert secret not in ended.stderr


def test_many_secrets_fill_no_memory_and_the_newest_stay() -> None:
    """One that changes each hour is forgotten at last."""
    first = token_urlsafe(12)
    keep(first)
    for _ in range(redaction.MOST):
        redaction.keep(token_urlsafe(12))
    assert redacted(first) == first
    assert len(redaction._known) == redaction.MOST


def test_threads_may_keep_and_redact_at_once() -> None:
    """Whoever redacts meanwhile sees the old ones or the new."""
    kept = [token_urlsafe(12) for _ in range(40)]
    threads = [threading.Thread(target=keep, args=(each,)) for each in kept]
    for one in threads:
        one.start()
        redacted("x" * 1000)
    for one in threads:
        one.join()
    assert not [each for each in kept if each in redacted(" ".join(kept))]
