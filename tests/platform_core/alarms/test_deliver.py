"""People are told once that it is wrong and once that it is over: at a pace, whom it concerns, also after a crash."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from loopline.platform_core import alarms
from loopline.platform_core.alarms import Alarm, deliveries
from loopline.platform_core.alarms.deliver import _Round, deliver
from loopline.platform_core.alarms.pages import PORTAL_URL
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.freezes import freeze, thaw
from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.platform import Platform
from loopline.platform_core.testing.fakes.notifier import InMemoryNotifier
from tests.platform_core.alarms.conftest import titles

REF = ModelRef("retail", "cancellations")
NOW = datetime.now(UTC)


def alarm(cause: str, severity="error", ref: ModelRef | None = REF) -> Alarm:
    """Make an alarm."""
    return Alarm(cause, severity, f"{cause} is wrong", "mend it", ref)


def after(**passed: float) -> datetime:
    """Return a moment of the test's day."""
    return datetime.now(UTC) + timedelta(**passed)


def lies_back(platform: Platform, cause: str, **ago: float) -> None:
    """Let an alarm have been raised that long ago."""
    with platform.ledger.writing() as connection:
        moment = datetime.now(UTC) - timedelta(**ago)
        connection.execute(update(tables.alarms).where(tables.alarms.c.cause == cause).values(raised_at=moment))


def test_once_wrong_once_over(platform, day, night):
    """However often it is looked, each notifier says it twice in all; the ledger has who was told what."""
    alarms.raise_alarm(platform, alarm("a"))
    for _ in range(3):
        deliver(platform)
    (standing,) = alarms.standing(platform.ledger)
    assert standing.notified == ("day", "night")
    alarms.clear(platform, "a")
    for _ in range(3):
        deliver(platform)
    expected = ["[error] retail/cancellations: a is wrong", "[over] retail/cancellations: a is wrong"]
    assert titles(day) == titles(night) == expected
    told = [entry for entry in platform.ledger.entries(kinds=["alarm.told"]) if entry.details["notifier"] == "day"]
    assert [(entry.details["what"], entry.details["causes"]) for entry in told] == [("raised", ["a"]), ("over", ["a"])]
    assert [entry.details["message"] for entry in told] == [identity for identity, _ in day.inbox]


def test_a_message_without_a_page_of_its_own_links_to_the_portal(platform, day, monkeypatch):
    """Where somebody said how people reach it; what has a page keeps that."""
    monkeypatch.setenv(PORTAL_URL, "https://loop.test/ml/")
    alarms.raise_alarm(platform, alarm("a"))
    alarms.raise_alarm(platform, replace(alarm("b"), link="https://dagster.test/x"))
    deliver(platform)
    looks = [line for _, text in day.inbox for line in text.splitlines() if line.startswith("look: ")]
    assert looks == ["look: https://loop.test/ml/alarms", "look: https://dagster.test/x"]


def test_each_is_told_what_concerns_it(platform, day, night):
    """Severity and team choose; what is the platform's own goes to whoever is there for all."""
    for one in (alarm("a", "warning"), alarm("b", ref=ModelRef("mill", "jams")), alarm("c", ref=None), alarm("d")):
        alarms.raise_alarm(platform, one)
    deliver(platform)
    assert len(day.inbox) == 4
    assert titles(night) == ["[error] retail/cancellations: d is wrong"]


def test_the_gravest_comes_first(platform, day):
    """Of several at once, errors before warnings before information."""
    for severity in ("info", "warning", "error"):
        alarms.raise_alarm(platform, alarm(severity, severity))
    deliver(platform)
    assert [re.match(r"\[(\w+)", title)[1] for title in titles(day)] == ["error", "warning", "info"]


def test_a_cause_that_flutters_sends_two_messages_a_cooldown(platform, day):
    """Twenty times wrong and well again in an hour: wrong and over, and nothing more until the hour is gone."""
    for number in range(20):
        alarms.raise_alarm(platform, alarm("a"))
        deliver(platform, after(minutes=number))
        alarms.clear(platform, "a")
        deliver(platform, after(minutes=number))
    assert [title[:6] for title in titles(day)] == ["[error", "[over]"]
    alarms.raise_alarm(platform, alarm("a"))
    deliver(platform, after(minutes=30))
    assert len(day.inbox) == 2
    deliver(platform, after(minutes=61))
    assert [title[:6] for title in titles(day)] == ["[error", "[over]", "[error"]


@pytest.mark.parametrize(
    ("heard", "steps"),
    [
        (("error over error", "error over error"), "error over error"),
        (("error over error", "error over error"), "error warning over error"),
        (("error over error", "error over error"), "error info over error"),
        (("error over error over", "error over error over"), "error warning over error warning over"),
        (("error", "error"), "error warning error"),
        (("warning error over", "error over"), "warning error warning over"),
        (("warning over error", "error"), "warning over error"),
        (("info info info", ""), "info over info over info over"),
        (("info error over", "error over"), "info over error over"),
        (("info error over", "error over"), "info error over"),
        (("error over info", "error over"), "error over info over"),
        (("error error over", "error error over"), "error over+error over"),
        (("error over", "error over"), "error over+info+over"),
        (("info error", "error"), "info over+error"),
    ],
)
def test_each_episode_is_told_and_its_end_to_whoever_was_told(platform, day, night, heard, steps):
    """However its severity changes: a step is told two hours after the last, and what ``+`` joins at once."""
    for number, step in enumerate(steps.split()):
        for what in step.split("+"):
            alarms.clear(platform, "a") if what == "over" else alarms.raise_alarm(platform, alarm("a", what))
        for minutes in (0, 1):
            deliver(platform, after(hours=2 * number, minutes=minutes))
    for notifier, expected in zip((day, night), heard, strict=True):
        assert [re.match(r"\[(\w+)", title)[1] for title in titles(notifier)] == expected.split()


def test_an_information_names_who_told_it(platform, day):
    """As any other alarm does."""
    alarms.raise_alarm(platform, alarm("cycle:1", "info"))
    deliver(platform)
    assert [one.notified for one in alarms.standing(platform.ledger)] == [("day",)]


def test_what_came_and_went_between_two_looks_is_told_in_one(platform, day):
    """It was wrong, so somebody should know; that it is over is said at once."""
    alarms.raise_alarm(platform, alarm("a"))
    alarms.clear(platform, "a")
    deliver(platform)
    deliver(platform)
    assert titles(day) == ["[over] retail/cancellations: a is wrong"]
    assert "came and went" in day.inbox[0][1]


def test_a_new_notifier_tells_no_history(platform, day):
    """What was over long before it was bound is not news."""
    alarms.raise_alarm(platform, alarm("a"))
    lies_back(platform, "a", hours=2)
    alarms.clear(platform, "a")
    deliver(platform)
    assert day.inbox == []


def test_beyond_the_budget_news_come_as_one_an_hour(platform, day):
    """Five messages a day, then one that sums up the rest, and no second one within the hour."""
    for number in range(12):
        alarms.raise_alarm(platform, alarm(f"a{number}"))
    deliver(platform)
    assert len(day.inbox) == 6
    summary = day.inbox[-1][1]
    assert "7 more alarms stand and 0 are over" in summary
    assert all(f"a{number} is wrong" in summary for number in range(5, 12))
    assert "5 messages were sent in 24 hours" in summary
    alarms.raise_alarm(platform, alarm("late"))
    alarms.clear(platform, "a0")
    deliver(platform, after(minutes=20))
    assert len(day.inbox) == 6
    deliver(platform, after(minutes=61))
    assert "1 more alarms stand and 1 are over" in day.inbox[-1][1]
    deliver(platform, after(minutes=130))
    assert len(day.inbox) == 7
    alarms.raise_alarm(platform, alarm("tomorrow"))
    deliver(platform, after(hours=25))
    assert titles(day)[-1] == "[error] retail/cancellations: tomorrow is wrong"


def test_a_notifier_that_is_down_tells_later(platform, day, night):
    """It is tried again, at growing pauses; the other one is not held up; each message comes once, in the end."""
    day.feel("busy")
    alarms.raise_alarm(platform, alarm("a"))
    alarms.raise_alarm(platform, alarm("b"))
    sent = deliver(platform, after(seconds=0))
    assert [(one.notifier, bool(one.problem)) for one in sent] == [("day", True), ("night", False), ("night", False)]
    assert deliver(platform, after(seconds=10)) == []  # not yet
    assert len(deliver(platform, after(seconds=20))) == 1  # one try finds it down, not one a message
    assert deliver(platform, after(seconds=40)) == []
    day.feel("well")
    deliver(platform, after(seconds=60))
    deliver(platform, after(seconds=90))
    assert len(day.inbox) == len(night.inbox) == 2


def test_nobody_waits_for_a_clock_that_was_put_right(platform, day):
    """What was put off, told and summed up while it was a day ahead holds up nothing of today."""
    day.feel("busy")
    alarms.raise_alarm(platform, alarm("a"))
    deliver(platform, after(days=1))
    day.feel("well")
    deliver(platform)
    assert titles(day) == ["[error] retail/cancellations: a is wrong"]
    for number in range(6):
        alarms.raise_alarm(platform, alarm(f"b{number}"))
    deliver(platform, after(days=1))
    alarms.clear(platform, "b0")
    deliver(platform, after(days=1, minutes=1))
    told = len(day.inbox)
    for cause in ("b0", "c"):
        alarms.raise_alarm(platform, alarm(cause))
    deliver(platform)
    assert titles(day)[told:] == [f"[error] retail/cancellations: {cause} is wrong" for cause in ("b0", "c")]


def test_what_came_and_went_while_it_was_down_is_told_too(platform, day):
    """Whoever was away learns that something was."""
    day.feel("busy")
    alarms.raise_alarm(platform, alarm("a"))
    deliver(platform)
    lies_back(platform, "a", hours=5)
    alarms.clear(platform, "a")
    day.feel("well")
    deliver(platform, after(minutes=2))
    assert titles(day) == ["[over] retail/cancellations: a is wrong"]


def test_a_notifier_that_does_not_deliver_is_an_alarm_for_the_others(platform, day, night):
    """Three times in a row in vain: the others tell it, and it is over when one message goes through."""
    night.feel("refuses")
    alarms.raise_alarm(platform, alarm("a"))
    for minutes in (0, 1, 5, 10):
        deliver(platform, after(minutes=minutes))
    assert "[error] the notifier night does not deliver: the receiver of night refuses" in titles(day)
    night.feel("well")
    deliver(platform, after(hours=2))
    deliver(platform, after(hours=2, minutes=1))
    assert titles(day)[-1].startswith("[over] the notifier night")
    assert titles(night) == ["[error] retail/cancellations: a is wrong"]


def test_a_refused_message_does_not_hold_up_the_next(platform, day, monkeypatch):
    """The receiver takes not this one, but the other."""
    send = InMemoryNotifier.send

    def picky(self, message):
        self.feel("refuses" if message.cause == "a" else "well")
        send(self, message)

    monkeypatch.setattr(InMemoryNotifier, "send", picky)
    alarms.raise_alarm(platform, alarm("a"))
    alarms.raise_alarm(platform, alarm("b"))
    deliver(platform)
    assert titles(day) == ["[error] retail/cancellations: b is wrong"]


@pytest.mark.parametrize(
    "raised", [ValueError("Invalid header b'Bearer s3cr'"), UnicodeEncodeError("ascii", "s3cr→", 4, 5, "not in range")]
)
def test_a_vendor_that_fails_holds_nobody_up_and_shows_no_secret(platform, day, night, caplog, raised):
    """Whatever it raises, the others are told; neither the error, nor what is told of it, nor the ledger has its words.

    In the end the notifier is an alarm as one that refuses is.
    """
    send, put_off, errors = InMemoryNotifier.send, _Round._put_off, []

    def fails(self, message):
        if self.name == "night":
            raise raised
        send(self, message)

    def noted(self, batch, known, error):
        errors.append(error)
        put_off(self, batch, known, error)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(InMemoryNotifier, "send", fails)
        patch.setattr(_Round, "_put_off", noted)
        alarms.raise_alarm(platform, alarm("a"))
        said = f"its vendor failed: {type(raised).__name__}"
        sent = deliver(platform)
        assert [(one.notifier, one.problem) for one in sent] == [("day", ""), ("night", said)]
        for minutes in (1, 5, 10):
            sent += deliver(platform, after(minutes=minutes))
    assert f"[error] the notifier night does not deliver: {said}" in titles(day)
    assert all(error.__context__ is error.__cause__ is None for error in errors)
    assert errors
    for shown in (errors, sent, day.inbox, platform.ledger.entries(), caplog.text):
        assert "s3cr" not in repr(shown)


def test_a_crash_before_the_ledger_knew_sends_the_same_message_again(platform, day, monkeypatch):
    """Under the same id, so that the receiver can drop it; while the lease lasts nobody else sends it."""

    def dies(self, *_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(deliveries.Post, "record_delivery", dies)
        alarms.raise_alarm(platform, alarm("a"))
        with pytest.raises(KeyboardInterrupt):
            deliver(platform)
    deliver(platform, after(seconds=30))
    assert len(day.inbox) == 1
    deliver(platform, after(minutes=3))
    deliver(platform, after(minutes=6))
    first, again = day.inbox
    assert first == again


@pytest.mark.parametrize("was", ["never told", "tried in vain", "over"])
def test_of_two_who_deliver_at_once_none_repeats_the_other(platform, day, monkeypatch, was):
    """A second watchdog goes its whole round while the first one sends its first message of several."""
    causes, send, seen = ["a", "b", "c"], InMemoryNotifier.send, []
    day.feel("busy" if was == "tried in vain" else "well")
    for cause in causes if was != "never told" else ():
        alarms.raise_alarm(platform, alarm(cause, "warning"))
    deliver(platform)
    day.feel("well")
    if was == "over":
        [alarms.clear(platform, cause) for cause in causes]
        deliver(platform)

    def slow(self, message):
        seen.append(message.cause)
        if len(seen) == 1:
            deliver(platform, after(days=2))
        send(self, message)

    for cause in causes:
        alarms.raise_alarm(platform, alarm(cause, "warning"))
    monkeypatch.setattr(InMemoryNotifier, "send", slow)
    deliver(platform, after(days=2))
    assert sorted(seen) == causes


def test_a_message_late_in_a_long_round_is_nobody_elses(platform, day, monkeypatch):
    """The receiver took five minutes for the one before; what is sent then is in hand from then on."""
    send, seen, took = InMemoryNotifier.send, [], [0.0]
    monkeypatch.setattr("loopline.platform_core.alarms.deliver.time.monotonic", lambda: took[0])

    def slow(self, message):
        seen.append(message.cause)
        took[0] += 300
        if len(seen) == 2:
            deliver(platform, after(seconds=310))
        send(self, message)

    monkeypatch.setattr(InMemoryNotifier, "send", slow)
    for cause in ("a", "b"):
        alarms.raise_alarm(platform, alarm(cause, "warning"))
    deliver(platform, after(seconds=0))
    assert seen == ["a", "b"]


@pytest.mark.parametrize("scope", [REF, None])
def test_a_freeze_silences_what_it_froze(platform, day, scope):
    """Of a frozen model nobody is told, which the ledger says once; a dead daemon is not what was frozen."""
    freeze(platform.ledger, scope, "ada", "stocktaking", NOW)
    alarms.raise_alarm(platform, alarm("drift:x", "warning"))
    alarms.raise_alarm(platform, alarm("daemon", ref=None))
    alarms.raise_alarm(platform, alarm("location:retail", ref=ModelRef("retail", "")))
    for _ in range(2):
        deliver(platform)
    assert titles(day) == ["[error] daemon is wrong", "[error] retail: location:retail is wrong"]
    (silenced,) = platform.ledger.entries(kinds=["alarm.silenced"])
    assert silenced.reason == "frozen by ada: stocktaking"
    thaw(platform.ledger, scope, "ada", "done", NOW)
    deliver(platform)
    assert titles(day)[-1] == "[warning] retail/cancellations: drift:x is wrong"
    assert "kept back while frozen by ada: stocktaking" in day.inbox[-1][1]


def test_a_freeze_is_written_down_once(platform, day, night, monkeypatch):
    """Whoever comes later, another notifier or the next round, writes nothing, not even to find it written."""
    silence, written = deliveries.silence, []
    monkeypatch.setattr(deliveries, "silence", lambda *said: written.append(said) or silence(*said))
    freeze(platform.ledger, REF, "ada", "stocktaking", NOW)
    alarms.raise_alarm(platform, alarm("a"))
    for _ in range(3):
        deliver(platform)
    assert len(written) == 1
    assert len(platform.ledger.entries(kinds=["alarm.silenced"])) == 1
    assert day.inbox == night.inbox == []


def test_good_news_of_a_frozen_model_is_told(platform, day):
    """Whoever was told before the freeze that it is wrong is told that it is over."""
    alarms.raise_alarm(platform, alarm("a"))
    deliver(platform)
    freeze(platform.ledger, REF, "ada", "stocktaking", NOW)
    alarms.clear(platform, "a")
    deliver(platform)
    assert titles(day)[-1].startswith("[over]")


def test_what_somebody_takes_on_is_told_to_nobody_else(platform, day, night):
    """The notifier that was down when it was raised is quiet about it; that it is over, those hear who were told."""
    night.feel("busy")
    alarms.raise_alarm(platform, alarm("a"))
    deliver(platform)
    alarms.acknowledge(platform, "a", "ada", "I look")
    night.feel("well")
    deliver(platform, after(minutes=5))
    assert night.inbox == []
    alarms.clear(platform, "a")
    deliver(platform, after(minutes=6))
    assert [title[:6] for title in titles(day)] == ["[error", "[over]"]
