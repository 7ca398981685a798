"""What was live at a moment, and why, by the ledger alone."""

from __future__ import annotations

from datetime import timedelta

import pytest

from loopline.platform_core.errors import NotFound
from loopline.platform_core.loop import freezes
from loopline.platform_core.loop.cycles import gates
from loopline.platform_core.loop.cycles.gates import GateReading, Verdict
from loopline.platform_core.loop.history import live_at, story
from loopline.platform_core.loop.rollouts import rollback
from loopline.platform_core.specs import P99, Rollout
from loopline.platform_core.turn import start_rollout

MINUTE = timedelta(minutes=1)


@pytest.fixture
def past(loop, ref):
    """Play two versions going live, a third taken back by the judge, and the second by a person; gives the times."""
    loop.rule = Rollout(percents=(20, 100), bake_minutes=10, min_requests=20, judges=(P99(50),))
    times = {"first": loop.now}
    loop.roll_out("first")
    times["canary"] = loop.later(60 * 48)
    record = loop.roll_out("second")
    for _ in range(2):
        loop.ask(150)
        times["second"] = loop.later(10)
        loop.step(record)
    times["third"] = loop.later(60 * 48)
    record = loop.roll_out("third")
    loop.ask(150, latency_ms=80.0)
    times["harm"] = loop.later(1)
    loop.step(record)
    times["back"] = loop.later(60)
    rollback.roll_back(loop.platform, ref, "bob", "complaints", loop.now)
    return times


def test_before_the_first_version_nothing_was_live(loop, ref, past):
    """That is said, not guessed."""
    with pytest.raises(NotFound, match="nothing of retail/cancellations was live at 2011-03-01 11:59"):
        live_at(loop.ledger, ref, past["first"] - MINUTE)


def test_each_moment_has_its_versions(loop, ref, past):
    """Stable, candidate and percent as they were, and since when the stable version was it."""

    def said(moment, minutes=0):
        account = live_at(loop.ledger, ref, past[moment] + minutes * MINUTE)
        candidate = account.candidate and account.candidate.version
        return account.stable.version, candidate, account.percent, account.since

    assert said("first") == ("1", None, 0, past["first"])
    assert said("canary", -1) == ("1", None, 0, past["first"])
    assert said("canary") == ("1", "2", 20, past["first"])
    assert said("canary", 10) == ("1", "2", 100, past["first"])
    assert said("second") == ("2", None, 0, past["second"])
    assert said("third") == ("2", "3", 20, past["second"])
    assert said("harm") == ("2", None, 0, past["second"])
    assert said("back") == ("1", None, 0, past["back"])


def test_why_is_the_chain_from_cause_to_promotion(loop, ref, past):
    """Cycle, gates with figures, steps with figures, verdict; only what was known by then."""
    account = live_at(loop.ledger, ref, past["second"])
    assert account.cycle == account.stable.cycle
    said = "\n".join(account.why)
    for part in (
        f"cycle {account.cycle} opened: drift of second",
        "version 2 passed its gates: AtLeast(roc_auc) v1 passed: 0.72 against 0.65",
        "rollout of version 2 started: its gates passed",
        "rollout of version 2 advanced to 20 percent: first step: 20 percent",
        "candidate: requests 150, errors 0, p99 ms 1, mean score 0.5",
        f"cycle {account.cycle} promoted after 0.3 h: no harm in 150 requests at 100 percent",
    ):
        assert part in said
    assert not any("version 1 " in line or "version 3 " in line for line in account.why)
    assert account.why == sorted(account.why, key=lambda line: line[:19])


def test_why_names_the_person_who_took_it_back(loop, ref, past):
    """After a rollback, that is the reason why the earlier version answers."""
    assert "taken back by bob: version 1 answers" in live_at(loop.ledger, ref, past["back"]).why[-1]


def test_the_candidates_chain_is_told_beside_the_stable_ones(loop, ref, past):
    """Both versions that answer have a why."""
    said = "\n".join(live_at(loop.ledger, ref, past["canary"]).why)
    assert "drift of first" in said
    assert "drift of second" in said


def test_the_story_tells_everything_in_order(loop, ref, past):
    """With freezes of everything, until a moment if one is given; each entry has a sentence of its own."""
    freezes.freeze(loop.ledger, None, "ada", "audit", loop.now)
    told = story(loop.ledger, ref)
    assert [t.entry.entry_id for t in told] == sorted(t.entry.entry_id for t in told)
    assert told[0].text == f"2011-03-01 12:00:00 cycle {told[0].entry.cycle} opened: drift of first"
    assert told[-1].text.endswith("everything frozen by ada: audit")
    assert any("rolled back: P99 80 above 50 (" in t.text for t in told)
    assert all(t.entry.kind not in t.text for t in told)
    assert {t.entry.at for t in story(loop.ledger, ref, until=past["first"])} == {past["first"]}


def test_an_override_is_part_of_why(loop, ref):
    """Who let a version through is never lost."""
    failed = Verdict((GateReading("AtLeast(roc_auc)", 1, 0.5, 0.65, passed=False, detail="few rows"),))
    version, cycle = loop.candidate("first", failed)
    gates.override(loop.ledger, ref, version, "AtLeast(roc_auc)", "ada", "small market", loop.now)
    start_rollout(loop.platform, ref, loop.model, version, cycle, loop.now)
    why = live_at(loop.ledger, ref, loop.now).why
    assert any("did not pass its gates: AtLeast(roc_auc) v1 failed: 0.5 against 0.65 (few rows)" in w for w in why)
    assert any("ada overrode AtLeast(roc_auc) for version 1: small market" in w for w in why)
