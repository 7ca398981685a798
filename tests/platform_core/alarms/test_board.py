"""An alarm is one entry a cause while it stands, whoever raises it how often."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from loopline.platform_core import alarms
from loopline.platform_core.alarms import Alarm, active_alarms
from loopline.platform_core.errors import NotFound, Refused
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.sentences import tell
from loopline.platform_core.platform import Platform

REF = ModelRef("retail", "cancellations")
DRIFT = Alarm(f"drift:{REF}", "warning", "value 0.41", "retrain", REF, "http://d/assets")


def kinds(platform: Platform) -> list[str]:
    """Return the kinds of the ledger's entries."""
    return [entry.kind for entry in platform.ledger.entries()]


def test_one_entry_a_cause_while_it_stands(platform):
    """Raising again changes nothing; clearing and raising again is a new entry."""
    assert [alarms.raise_alarm(platform, DRIFT) for _ in range(3)] == [True, False, False]
    assert alarms.clear(platform, DRIFT.cause)
    assert not alarms.clear(platform, DRIFT.cause)
    assert not alarms.clear(platform, "never raised")
    assert alarms.raise_alarm(platform, DRIFT)
    assert kinds(platform) == ["alarm.raised", "alarm.cleared", "alarm.raised"]


def test_the_entry_says_everything(platform):
    """The model's history tells of its alarm, with words, severity and page."""
    alarms.raise_alarm(platform, DRIFT)
    (entry,) = platform.ledger.entries(REF)
    assert (entry.team, entry.model, entry.reason) == (*REF, "value 0.41")
    assert entry.details == {"cause": DRIFT.cause, "severity": "warning", "fix": "retrain", "link": "http://d/assets"}
    assert "alarm drift:retail/cancellations (warning): value 0.41" in tell(entry)
    alarms.clear(platform, DRIFT.cause, "quiet again")
    over = "alarm drift:retail/cancellations over after 0.0 minutes: quiet again"
    assert over in tell(platform.ledger.entries(REF)[-1])


def test_what_stands_has_the_newest_words(platform):
    """Raised again with other words: those are shown, and the time stays that of the first."""
    alarms.raise_alarm(platform, DRIFT)
    (first,) = alarms.standing(platform.ledger)
    alarms.raise_alarm(platform, replace(DRIFT, severity="error", problem="value 0.9"))
    (then,) = alarms.standing(platform.ledger)
    assert first.alarm == DRIFT
    assert (then.alarm.severity, then.alarm.problem) == ("error", "value 0.9")
    assert (then.since, then.episode) == (first.since, first.episode)
    assert kinds(platform) == ["alarm.raised", "alarm.worse"]


def test_standing_and_past(platform):
    """What is over is not standing, and the oldest comes first; a team's alarm and the platform's own have no model."""
    platforms_own, teams = (
        Alarm("daemon", "error", "dead", "start it"),
        replace(DRIFT, cause="t", subject=ModelRef("a", "")),
    )
    for alarm in (DRIFT, platforms_own, teams):
        alarms.raise_alarm(platform, alarm)
    alarms.clear(platform, "daemon")
    assert [one.alarm for one in alarms.standing(platform.ledger)] == [DRIFT, teams]
    assert [one.alarm.about for one in alarms.standing(platform.ledger)] == ["retail/cancellations", "a"]
    (over,) = alarms.past(platform.ledger)
    assert over.alarm == platforms_own
    assert over.until >= over.since
    assert [one.alarm for one in alarms.standing(platform.ledger, "drift:")] == [DRIFT]


def test_many_who_raise_the_same_at_once(platform):
    """Eight threads find the same thing wrong: one entry, and one of them is told that it was the first."""
    with ThreadPoolExecutor(8) as pool:
        first = list(pool.map(lambda _: alarms.raise_alarm(platform, DRIFT), range(8)))
    assert sum(first) == 1
    assert kinds(platform) == ["alarm.raised"]


def test_acknowledging_takes_a_name_and_a_reason(platform):
    """Who and why are kept with the alarm and in the ledger; it still stands."""
    alarms.raise_alarm(platform, DRIFT)
    with pytest.raises(Refused):
        alarms.acknowledge(platform, DRIFT.cause, "ada", " ")
    with pytest.raises(NotFound):
        alarms.acknowledge(platform, "drift:nobody", "ada", "I look")
    taken = alarms.acknowledge(platform, DRIFT.cause, "ada", "I look")
    assert taken.acknowledged == "ada: I look"
    assert taken.until is None
    assert platform.ledger.entries(REF)[-1].actor == "ada"
    alarms.clear(platform, DRIFT.cause)
    alarms.raise_alarm(platform, DRIFT)
    assert alarms.standing(platform.ledger)[0].acknowledged == ""


def test_it_is_over_just_after_somebody_took_it_on(platform, monkeypatch):
    """Whoever took it on has it as it was then, with who was told."""
    alarms.raise_alarm(platform, DRIFT)
    alarms.raise_alarm(platform, replace(DRIFT, cause="another"))
    writing = platform.ledger.writing

    @contextmanager
    def then_over(ref=None):
        with writing(ref) as connection:
            yield connection
        monkeypatch.undo()
        alarms.clear(platform, DRIFT.cause)

    monkeypatch.setattr(platform.ledger, "writing", then_over)
    taken = alarms.acknowledge(platform, DRIFT.cause, "ada", "I look")
    assert (taken.alarm, taken.acknowledged, taken.until) == (DRIFT, "ada: I look", None)
    assert kinds(platform)[-2:] == ["alarm.acknowledged", "alarm.cleared"]


@pytest.mark.parametrize("again", [True, False])
def test_it_is_over_while_another_waits_to_say_so(platform, monkeypatch, again):
    """What is over by then is not over twice; what was raised anew by then ends as that episode."""
    alarms.raise_alarm(platform, DRIFT)
    turn = active_alarms._turn

    def slow(cause):
        monkeypatch.undo()
        alarms.clear(platform, cause)
        if again:
            alarms.raise_alarm(platform, DRIFT)
        return turn(cause)

    monkeypatch.setattr(active_alarms, "_turn", slow)
    assert alarms.clear(platform, DRIFT.cause) is again
    raised = [entry.entry_id for entry in platform.ledger.entries(kinds=["alarm.raised"])]
    over = [entry.details["episode"] for entry in platform.ledger.entries(kinds=["alarm.cleared"])]
    assert over == raised


def test_what_is_over_for_long_is_left_out_when_asked(platform):
    """A watchdog that goes round for years does not read everything that ever stood."""
    alarms.raise_alarm(platform, DRIFT)
    alarms.clear(platform, DRIFT.cause)
    now = datetime.now(UTC)
    assert len(alarms.past(platform.ledger, now - timedelta(minutes=1))) == 1
    assert alarms.past(platform.ledger, now + timedelta(minutes=1)) == []
