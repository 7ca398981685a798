"""Each round seals and anchors what is new; what keeps that from being done is an alarm."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from loopline.platform_core.audit import anchoring, keys, place, recording, removing, sealing
from loopline.platform_core.audit.entry import AuditEntry, instant
from loopline.platform_core.audit.tables import audit_entries
from loopline.platform_core.environment import Environment
from loopline.platform_core.errors import Refused, StoreUnavailable
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.platform import Platform
from loopline.platform_core.retention import Retention
from loopline.platform_core.testing.fakes.anchors import InMemoryAnchors
from loopline.watchdog import audit_look
from loopline.watchdog.audit_look import AuditLook

NOW = datetime.now(UTC)


class Away(InMemoryAnchors):
    """Anchors whose store does not answer."""

    def names(self, tenant: str) -> list[str]:
        """Say so."""
        raise StoreUnavailable("the anchors are away", "wait")


@pytest.fixture
def anchors() -> InMemoryAnchors:
    """Where checkpoints go."""
    return InMemoryAnchors()


@pytest.fixture
def platform(tmp_path: Path, anchors: InMemoryAnchors) -> Iterator[Platform]:
    """A platform of ledger and anchors."""
    url = f"sqlite:///{tmp_path}/ledger.db"
    opened = Platform(Environment("test", tmp_path / "e", {"anchors": anchors}, url, None, tmp_path))
    opened.ledger.record(Entry("x.y", NOW))
    yield opened
    opened.close()


def test_what_is_new_is_sealed_and_anchored(platform, anchors, monkeypatch):
    """At once the first time; then new anchors come a while apart, with all that was sealed meanwhile.

    Without a key nothing is: an installation that never asked for it has no alarm of it.
    """
    assert AuditLook(platform).look().alarms == ()
    assert anchors.kept == {}
    keys.write(keys.new(), place.key_file(platform))
    look = AuditLook(platform)
    assert look.look().alarms == ()
    for _ in range(2):
        platform.ledger.record(Entry("x.y", NOW))
        assert look.look().alarms == ()
    assert list(anchors.kept) == [f"default/{1:020d}"]
    monkeypatch.setattr(audit_look, "ANCHOR_SECONDS", 0)
    look.look()
    assert list(anchors.kept) == [f"default/{1:020d}", f"default/{3:020d}"]


def test_a_key_that_did_not_sign_what_is_there_is_an_alarm(platform):
    """It stands until the right one is back."""
    keys.write(right := keys.new(), place.key_file(platform))
    look = AuditLook(platform)
    look.look()
    platform.ledger.record(Entry("x.y", NOW))
    for file in place.key_file(platform).parent.iterdir():
        file.unlink()
    keys.write(keys.new(), place.key_file(platform))
    (alarm,) = look.look().alarms
    assert (alarm.cause, alarm.severity) == ("audit:sealed", "error")
    assert "not signed by the key" in alarm.problem
    for file in place.key_file(platform).parent.iterdir():
        file.unlink()
    keys.write(right, place.key_file(platform))
    assert look.look().alarms == ()


def test_anchors_that_are_away_for_a_while_are_no_alarm(platform, monkeypatch):
    """They are when it lasts; meanwhile the record is sealed."""
    keys.write(keys.new(), place.key_file(platform))
    platform.environment.bindings["anchors"] = Away()
    look = AuditLook(platform)
    assert look.look().alarms == ()
    monkeypatch.setattr(audit_look, "_PATIENT_SECONDS", 0)
    (alarm,) = look.look().alarms
    assert (alarm.cause, alarm.problem) == (
        "audit:anchored",
        "the audit's record is not anchored: the anchors are away",
    )


POLICY = Retention({"default": 200})


@pytest.fixture
def aged(platform: Platform, anchors: InMemoryAnchors) -> Platform:
    """A platform whose record has a policy of a year ago and an entry 300 days old."""
    key = keys.new()
    keys.write(key, place.key_file(platform))
    opened = Platform(replace(platform.environment, retention=POLICY))
    for ago in (365, 300):
        at = NOW - timedelta(days=ago)
        removing.Keeper(opened.ledger, POLICY, now=lambda at=at: at).say("alice")
        with opened.ledger.writing() as connection:
            recording.record(connection, AuditEntry("x.old", "alice", instant(at)), at)
        sealing.seal(opened.ledger, key, now=lambda at=at: at)
        anchoring.anchor(opened.ledger, anchors, key.verifying)
    return opened


def held(platform: Platform, what: str) -> int:
    """Count entries that tell something."""
    with platform.ledger.reading() as connection:
        told = audit_entries.c.body.like(f'%"what":"{what}"%')
        return connection.scalar(select(func.count()).select_from(audit_entries).where(told))


def test_what_is_past_its_time_is_let_go_by_itself(aged):
    """Once a day at most; that it was done is in the record."""
    look = AuditLook(aged)
    assert look.look().alarms == ()
    assert (held(aged, "x.old"), held(aged, "audit.retained"), held(aged, "x.y")) == (0, 1, 1)


def test_a_policy_that_keeps_for_less_stands_as_an_alarm(aged, monkeypatch):
    """From the moment that a file says so, until it holds; taken back, it is over."""
    monkeypatch.setattr(audit_look, "SAY_SECONDS", 0)
    shorter = AuditLook(Platform(replace(aged.environment, retention=Retention({"default": 190}))))
    for _ in range(2):
        (alarm,) = shorter.look().alarms
        assert (alarm.cause, alarm.severity) == ("audit:shorter", "warning")
        assert "default=190" in alarm.problem
    assert AuditLook(aged).look().alarms == ()
    (alarm,) = AuditLook(Platform(replace(aged.environment, retention=Retention({"default": 190})))).look().alarms
    assert alarm.cause == "audit:shorter"


def test_what_nobody_lets_go_of_is_an_alarm(aged, monkeypatch):
    """Where this role of the database may not, another one has a week; then people are told, in each round."""

    def refused(*_: object, **__: object) -> None:
        raise Refused("this role of the database may not", "ask its owner")

    monkeypatch.setattr(removing.Keeper, "retain", refused)
    look = AuditLook(aged)
    for _ in range(2):
        (alarm,) = look.look().alarms
        assert (alarm.cause, alarm.problem) == (
            "audit:retained",
            "the audit's record is not retained: this role of the database may not",
        )
    monkeypatch.setattr(audit_look, "_OVERDUE", timedelta(days=170))
    assert AuditLook(aged).look().alarms == ()
