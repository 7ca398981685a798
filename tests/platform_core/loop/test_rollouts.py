"""A rollout goes from a few percent to all, is judged at each step, and finds its way back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from loopline.platform_core.contracts.serving import ObservedState
from loopline.platform_core.errors import NotFound, Refused, Unsupported
from loopline.platform_core.loop import freezes
from loopline.platform_core.loop.cycles import cycles, gates
from loopline.platform_core.loop.cycles.gates import GateReading, Verdict
from loopline.platform_core.loop.deployments import deployments
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.loop.rollouts import rollback, rollouts, skews
from loopline.platform_core.loop.sentences import tell
from loopline.platform_core.specs import P99, ErrorRate, Finding, Judge, LogMetric, Rollout, Traffic
from loopline.platform_core.testing.fakes.serving import InMemoryServing
from loopline.platform_core.testing.fakes.serving_vendors import OneVersionServing
from loopline.platform_core.turn import start_rollout

FAILED = Verdict((GateReading("AtLeast(roc_auc)", 1, 0.5, 0.65, passed=False, detail=""),))
JUDGES = (ErrorRate(0.05), P99(50))


@dataclass(frozen=True)
class Broken(Judge):
    """A team's own judge with a mistake in it."""

    def find(self, candidate: Traffic, stable: Traffic) -> Finding:
        """Divide by nothing."""
        raise ZeroDivisionError("no stable traffic")


@dataclass(frozen=True)
class HigherMean(Judge):
    """The candidate's mean score lies above the stable version's by more than the bound."""

    def find(self, candidate: Traffic, stable: Traffic) -> Finding:
        """Compare means."""
        gap = float(candidate.scores.mean() - stable.scores.mean())
        return Finding(self.name, gap, self.at_most, gap > self.at_most, f"of {len(stable.scores)} stable scores")


class NotLoading(InMemoryServing):
    """An endpoint that stays at generation 1: the candidate's package cannot be loaded."""

    def observe(self, model: str) -> ObservedState:
        """Say so."""
        return ObservedState(1, ready=True, problem="manifest.json: no such file")


class Unread(InMemoryServing):
    """An endpoint whose log nobody may read."""

    def predictions(self, model: str, after: str | None = None) -> tuple[pa.Table, str]:
        """Refuse."""
        raise AssertionError("the log was read")


@pytest.fixture
def canary(loop):
    """Make version 1 live and start the rollout of version 2; gives the latter."""
    loop.rule = Rollout(percents=(20, 50, 100), bake_minutes=10, min_requests=20, judges=JUDGES)
    return loop.second(hours=48)


def kinds(loop, ref):
    """Return what the ledger says of rollouts."""
    return [entry.kind for entry in loop.ledger.entries(ref) if entry.kind.startswith("rollout.")]


def test_the_first_version_ever_is_promoted_at_once(loop, ref):
    """There is nothing to compare it with, nor to go back to; its cycle ends well."""
    record = loop.roll_out("first")
    assert (record.state, record.version) == ("promoted", "1")
    live = loop.live
    assert (live.stable.version, live.candidate, live.stable.cycle) == ("1", None, record.cycle)
    assert live.stable.package == loop.home / "packages" / "retail.cancellations" / "1"
    assert live.stable.package.joinpath("manifest.json").read_text() == '"first"'
    closed = cycles.cycle(loop.ledger, record.cycle)
    assert (closed.state, closed.verdict) == ("promoted", "nothing was live")
    assert kinds(loop, ref) == ["rollout.started", "rollout.promoted"]


@pytest.mark.parametrize("shadow_requests", [0, 100])
def test_a_rollout_begins_without_reading_what_was_logged_before(loop, ref, shadow_requests):
    """Only where the log ends matters: months of rows may have come since the last rollout."""
    loop.platform.environment.bindings["serving"] = Unread()
    loop.roll_out("first")
    loop.ask(30)
    loop.rule = Rollout(percents=(20, 100), bake_minutes=10, min_requests=20, shadow_requests=shadow_requests)
    record = loop.roll_out("second")
    assert (record.step, record.cursor) == (-1 if shadow_requests else 0, "30")


def test_a_good_candidate_goes_step_by_step_to_all(loop, ref, canary):
    """20, 50, 100 percent, each baked, then it is the stable version; the ledger has each step with figures."""
    assert (canary.state, canary.step, canary.percent) == ("running", 0, 20)
    assert [loop.baked(canary, 150).percent for _ in range(3)] == [50, 100, 100]
    live = loop.live
    assert (live.stable.version, live.candidate, live.percent) == ("2", None, 0)
    assert loop.platform.registry.by_alias(ref.dotted, "champion").version == "2"
    assert loop.platform.registry.by_alias(ref.dotted, "candidate") is None
    assert cycles.cycle(loop.ledger, canary.cycle).state == "promoted"
    assert kinds(loop, ref)[2:] == ["rollout.started", *["rollout.advanced"] * 3, "rollout.promoted"]
    figures = loop.ledger.entries(ref, ["rollout.promoted"])[-1].details
    assert figures["candidate"]["requests"] == 150
    assert {f["judge"] for f in figures["findings"]} == {"ErrorRate", "P99"}


def test_it_waits_for_the_bake_time_and_for_enough_requests(loop, canary):
    """Each alone is not enough; the reason says what is missing."""
    assert loop.step(canary).reason == "0 of 20 requests answered"
    loop.ask(150)
    loop.later(9.9)
    decision = loop.step(canary)
    assert (decision.action, decision.percent) == ("wait", 20)
    assert decision.reason == "bakes until 2011-03-03 12:10:00 UTC"
    loop.later(0.1)
    assert loop.step(canary).action == "advance"
    loop.later(60)
    assert loop.step(canary).reason == "0 of 20 requests answered"


@pytest.mark.parametrize(("judge", "scores", "latency_ms"), [("ErrorRate", {"2": None}, 1.0), ("P99", {}, 80.0)])
def test_harm_is_taken_back_at_once(loop, canary, judge, scores, latency_ms):
    """Before the bake time is over, as soon as there are enough requests; errors leave no score and still count."""
    ref = canary.ref
    loop.ask(150, scores, latency_ms)
    loop.later(0.5)
    decision = loop.step(canary)
    assert (decision.action, decision.percent) == ("roll_back", 0)
    assert decision.reason.startswith(judge)
    live = loop.live
    assert (live.stable.version, live.candidate, live.percent) == ("1", None, 0)
    assert loop.serving._states[ref.dotted].candidate is None
    assert loop.platform.registry.by_alias(ref.dotted, "candidate") is None
    closed = cycles.cycle(loop.ledger, canary.cycle)
    assert (closed.state, closed.verdict) == ("rolled_back", decision.reason)
    assert kinds(loop, ref)[-1] == "rollout.rolled_back"
    assert loop.step(canary).reason == "the rollout is rolled_back"


def test_too_few_requests_are_never_harm(loop, canary):
    """One slow answer of one is no finding."""
    loop.ask(40, latency_ms=80.0)
    assert loop.step(canary).action == "wait"


def test_only_what_was_answered_in_the_step_is_judged(loop, canary):
    """Slow answers of the step before do not haunt the next one."""
    loop.ask(150, latency_ms=40.0)
    loop.later(10)
    loop.step(canary)
    loop.ask(150)
    decision = loop.step(canary)
    assert decision.figures["candidate"]["p99_ms"] == 1.0


def test_at_all_percent_the_candidate_is_compared_with_what_the_stable_version_makes_of_the_same(loop, canary):
    """It answers nobody then; what it says when the candidate's requests are replayed stands in, and no other week."""
    loop.rule = Rollout(percents=(20, 100), bake_minutes=10, min_requests=20, judges=(HigherMean(0.1),))
    assert loop.baked(canary, 150).percent == 100
    loop.ask(60, {"2": 0.9})
    decision = loop.step(canary)
    assert decision.action == "roll_back"
    assert decision.findings[0].value == pytest.approx(0.4)
    assert decision.figures["stable"] == {"requests": 60, "errors": 0, "mean_score": 0.5}


def test_a_judge_that_raises_keeps_the_rollout_where_it_is(loop, canary):
    """It found no harm, but nobody may go on unjudged; the reason names the error."""
    loop.rule = Rollout(percents=(20, 100), bake_minutes=10, min_requests=20, judges=(Broken(0.1),))
    decision = loop.baked(canary, 150)
    assert (decision.action, decision.percent) == ("wait", 20)
    assert decision.reason == "raised ZeroDivisionError: no stable traffic"


def test_a_candidate_that_does_not_load_is_taken_back_after_the_bake_time(loop, ref, canary):
    """The stable version answers for it meanwhile, so there would never be enough requests."""
    serving = loop.platform.environment.bindings["serving"] = NotLoading()
    deployments.reapply(loop.platform)
    assert serving.observe(ref.dotted).problem
    assert loop.step(canary).action == "wait"
    loop.later(10)
    decision = loop.step(canary)
    assert (decision.action, decision.reason) == (
        "roll_back",
        "the candidate does not load: manifest.json: no such file",
    )


def test_starting_again_is_the_same_rollout(loop, ref, canary):
    """A run that crashed after starting it may be repeated; also after the rollout has ended."""
    again = start_rollout(loop.platform, ref, loop.model, "2", canary.cycle, loop.later(1))
    assert again == canary
    assert kinds(loop, ref).count("rollout.started") == 2
    assert rollouts.running(loop.ledger, ref) == canary
    assert rollouts.active(loop.ledger) == rollouts.due(loop.ledger, loop.now) == [canary]
    assert rollouts.due(loop.ledger, canary.step_started_at - timedelta(minutes=1)) == []


def test_gates_that_did_not_pass_refuse_the_rollout(loop, ref):
    """An override opens the way, and takes up the cycle that was rejected."""
    version, cycle = loop.candidate("first", FAILED)
    with pytest.raises(Refused, match=r"AtLeast\(roc_auc\)"):
        start_rollout(loop.platform, ref, loop.model, version, cycle, loop.now)
    cycles.close_cycle(loop.ledger, cycle, "rejected", "gates", loop.now)
    gates.override(loop.ledger, ref, version, "AtLeast(roc_auc)", "ada", "small market", loop.now)
    assert start_rollout(loop.platform, ref, loop.model, version, cycle, loop.now).state == "promoted"
    assert cycles.cycle(loop.ledger, cycle).state == "promoted"


def test_one_rollout_of_a_model_runs_at_a_time(loop, ref, canary):
    """A second version waits for the first one's end."""
    version = loop.publish("third")
    gates.record_verdict(loop.ledger, ref, "other", version, Verdict(()), loop.now)
    with pytest.raises(Refused, match=f"rollout {canary.rollout_id}"):
        start_rollout(loop.platform, ref, loop.model, version, "other", loop.now)


def test_a_version_that_is_live_is_not_rolled_out_again(loop, ref, canary):
    """There would be nothing to compare."""
    rollback.roll_back(loop.platform, ref, "ada", "test", loop.now)
    gates.record_verdict(loop.ledger, ref, "other", "1", Verdict(()), loop.now)
    with pytest.raises(Refused, match="live already"):
        start_rollout(loop.platform, ref, loop.model, "1", "other", loop.now)


def test_a_rollback_by_hand_ends_the_rollout(loop, ref, canary):
    """The stable version answers alone again, and the cycle is rolled back in that person's name."""
    live = rollback.roll_back(loop.platform, ref, "bob", "complaints", loop.now)
    assert (live.stable.version, live.candidate, live.percent) == ("1", None, 0)
    assert rollouts.rollout(loop.ledger, canary.rollout_id).state == "rolled_back"
    assert cycles.cycle(loop.ledger, canary.cycle).state == "rolled_back"
    assert loop.ledger.entries(ref, ["rollout.rolled_back"])[-1].actor == "bob"


def test_while_its_rollout_runs_only_that_closes_a_cycle(loop, canary):
    """A run that failed after starting it does not make the cycle fail."""
    assert cycles.close_cycle(loop.ledger, canary.cycle, "failed", "run died", loop.now).state == "open"


def test_a_person_holds_a_rollout_and_lets_it_go_on(loop, ref, canary):
    """Held, it stays at its percent, though everything is well."""
    held = rollouts.hold(loop.ledger, ref, "ada", "release party", loop.now)
    assert (held.state, held.percent) == ("held", 20)
    assert loop.baked(canary, 150).reason == "held by a person"
    rollouts.resume(loop.ledger, ref, "ada", "party over", loop.now)
    assert loop.step(canary).action == "advance"
    assert [k for k in kinds(loop, ref) if k in {"rollout.held", "rollout.resumed"}] == [
        "rollout.held",
        "rollout.resumed",
    ]


def test_harm_is_taken_back_also_where_the_rollout_is_held_or_frozen(loop, ref, canary):
    """Going back is always allowed."""
    rollouts.hold(loop.ledger, ref, "ada", "release party", loop.now)
    freezes.freeze(loop.ledger, None, "ada", "release party", loop.now)
    loop.ask(150, latency_ms=80.0)
    assert loop.step(canary).action == "roll_back"


def test_holding_needs_a_rollout_and_a_name(loop, ref):
    """Neither what does not run nor nobody."""
    with pytest.raises(NotFound, match="no rollout of retail/cancellations is running"):
        rollouts.hold(loop.ledger, ref, "ada", "why", loop.now)
    with pytest.raises(Refused, match="no person"):
        rollouts.resume(loop.ledger, ref, "", "why", loop.now)
    with pytest.raises(NotFound, match="no rollout 'x'"):
        rollouts.rollout(loop.ledger, "x")


def test_a_freeze_stops_forward_steps(loop, ref, canary):
    """The rollout goes on after the thaw."""
    freezes.freeze(loop.ledger, ref, "ada", "audit", loop.now)
    assert loop.baked(canary, 150).reason == "frozen by ada: audit"
    freezes.thaw(loop.ledger, ref, "ada", "over", loop.now)
    assert loop.step(canary).percent == 50


def test_a_version_served_otherwise_than_trained_goes_no_further(loop, ref, canary):
    """A skew check that failed blocks promotion until a later one passes; another version's check says nothing."""
    loop.ask(150)
    loop.later(10)
    for version, passed in (("1", False), ("2", False)):
        details = {"passed": passed}
        loop.ledger.record(Entry(skews.CHECKED, loop.now, *ref, version=version, reason="3 rows", details=details))
    decision = loop.step(canary)
    assert (decision.action, decision.reason) == ("wait", "skew: 3 rows")
    loop.ledger.record(Entry(skews.CHECKED, loop.now, *ref, version="2", reason="0 rows", details={"passed": True}))
    assert loop.step(canary).action == "advance"


def test_a_rollout_that_starts_in_a_freeze_waits_at_zero_percent(loop, ref):
    """What was trained is not lost; nothing goes live before the thaw."""
    loop.roll_out("first")
    version, cycle = loop.candidate("second")
    freezes.freeze(loop.ledger, None, "ada", "audit", loop.now)
    record = start_rollout(loop.platform, ref, loop.model, version, cycle, loop.now)
    assert (record.state, record.percent) == ("running", 0)
    assert loop.live.candidate is None
    freezes.thaw(loop.ledger, None, "ada", "over", loop.now)
    assert loop.step(record).percent == 20


def test_without_steps_a_version_replaces_the_one_before_at_once(loop, ref):
    """For a serving that answers with one version; with steps such a serving is refused."""
    loop.roll_out("first")
    loop.platform.environment.bindings["serving"] = OneVersionServing()
    version, cycle = loop.candidate("second")
    with pytest.raises(Unsupported, match=r"one version at a time.*canary"):
        start_rollout(loop.platform, ref, loop.model, version, cycle, loop.now)
    loop.rule = Rollout(percents=())
    record = start_rollout(loop.platform, ref, loop.model, version, cycle, loop.now)
    assert record.state == "promoted"
    assert loop.serving._states[ref.dotted].stable.version == "2"


def test_looking_changes_nothing(loop, ref, canary):
    """Whoever only asks what would be done finds the same rollout afterwards."""
    loop.ask(150)
    loop.later(10)
    seen = rollouts.decide(loop.platform, loop.model, canary, loop.now)
    assert (seen.action, seen.percent) == ("advance", 50)
    assert rollouts.rollout(loop.ledger, canary.rollout_id) == canary


def test_a_step_that_another_process_took_is_not_taken_twice(loop, ref, canary, monkeypatch):
    """Both decided on the same record; the second one's update finds another step and does nothing."""
    loop.ask(150)
    loop.later(10)
    monkeypatch.setattr(rollouts, "rollout", lambda ledger, rollout_id: canary)
    first, second = loop.step(canary), loop.step(canary)
    assert (first.action, second.action) == ("advance", "wait")
    assert second.reason == "another process took this step"
    assert loop.live.percent == 50
    assert kinds(loop, ref).count("rollout.advanced") == 2


def test_it_goes_forward_only_within_its_hours(sqlite_loop):
    """A Saturday's step waits for Monday and says so; harm goes back on the Sunday."""
    loop = sqlite_loop
    loop.rule = Rollout((20, 100), 10, 20, JUDGES, hours="Mon-Fri 09:00-17:00 UTC")
    loop.roll_out("first")
    loop.now = datetime(2011, 3, 4, 16, 55, tzinfo=UTC)
    record = loop.roll_out("second")
    waits = loop.baked(record, 150)
    assert (waits.action, waits.reason) == ("wait", "outside its hours until 2011-03-07 09:00 UTC")
    loop.now = datetime(2011, 3, 7, 9, 0, tzinfo=UTC)
    assert loop.step(record).percent == 100
    loop.now = datetime(2011, 3, 12, 3, 0, tzinfo=UTC)
    loop.ask(150, {"2": None})
    assert loop.step(record).action == "roll_back"


@pytest.fixture
def doubtful(sqlite_loop):
    """Start a rollout of which the judges cannot say for sure; after two bake times of ten minutes it goes back."""
    loop = sqlite_loop
    loop.rule = Rollout((50, 100), 10, 20, (P99(50),), patience=2)
    record = loop.second(hours=48)
    loop.ask(200)
    loop.ask(8, latency_ms=60.0)
    loop.later(15)
    return record


def test_doubt_that_stays_keeps_the_old_version_after_its_patience(sqlite_loop, doubtful):
    """Two slow requests of a hundred are not proven to be too many; after two bake times it is taken back."""
    loop = sqlite_loop
    loop.later(4)
    assert loop.step(doubtful).reason.startswith("in doubt: P99")
    loop.later(1)
    taken = loop.step(doubtful)
    assert (taken.action, taken.reason[:35]) == ("roll_back", "still in doubt after 2 bake times: ")
    told = tell(loop.ledger.entries(doubtful.ref, ["rollout.rolled_back"])[-1])
    assert "still in doubt after 2 bake times: P99" in told


def test_doubt_does_not_end_a_rollout_that_a_person_holds(sqlite_loop, ref, doubtful):
    """Held for a day it stays; let go on, it has the rest of its patience, and only then goes back."""
    loop = sqlite_loop
    for _ in range(2):  # each time it is held, what is left of its patience is kept
        rollouts.hold(loop.ledger, ref, "ada", "the fair is on", loop.now)
        loop.later(60 * 24)
        assert loop.step(doubtful).reason.startswith("held by a person; in doubt: P99")
        rollouts.resume(loop.ledger, ref, "ada", "the fair is over", loop.now)
        loop.later(2)
        assert loop.step(doubtful).action == "wait"
    loop.later(1)
    assert loop.step(doubtful).reason.startswith("still in doubt after 2 bake times")


@pytest.mark.parametrize("everything", [True, False])
def test_doubt_does_not_end_a_rollout_that_is_frozen(sqlite_loop, ref, doubtful, everything):
    """Whether its model is or all are, also where it is held within the same time."""
    loop, scope = sqlite_loop, None if everything else ref
    freezes.freeze(loop.ledger, scope, "ada", "the fair is on", loop.now)
    rollouts.hold(loop.ledger, ref, "bob", "me too", loop.later(60))
    rollouts.resume(loop.ledger, ref, "bob", "as you like", loop.later(60))
    assert loop.step(doubtful).reason.startswith("frozen by ada: the fair is on; in doubt: P99")
    freezes.thaw(loop.ledger, scope, "ada", "the fair is over", loop.later(60))
    assert loop.step(doubtful).action == "wait"
    loop.later(4.9)
    assert loop.step(doubtful).action == "wait"
    loop.later(0.1)
    assert loop.step(doubtful).action == "roll_back"


def test_a_pause_of_before_gives_no_patience(sqlite_loop, ref, doubtful):
    """Neither an earlier rollout that ended while it was held, nor a freeze that was thawed before the step."""
    loop = sqlite_loop
    rollouts.hold(loop.ledger, ref, "ada", "the fair is on", loop.now)
    rollback.roll_back(loop.platform, ref, "ada", "never mind", loop.now)
    freezes.freeze(loop.ledger, ref, "ada", "the fair is on", loop.later(1))
    freezes.thaw(loop.ledger, ref, "ada", "the fair is over", loop.later(60 * 24))
    record = loop.roll_out("third")
    loop.ask(200)
    loop.ask(8, latency_ms=60.0)
    loop.later(19)
    assert loop.step(record).action == "wait"
    loop.later(1)
    assert loop.step(record).reason.startswith("still in doubt after 2 bake times")


def test_a_team_metric_over_the_log_takes_a_candidate_back_and_the_ledger_tells_its_figures(sqlite_loop):
    """Each step tells what every judge found, in numbers."""
    loop = sqlite_loop
    loop.rule = Rollout((50, 100), 10, 20, (LogMetric(0.6, metric=lambda log: log["score"].drop_null()),))
    record = loop.second(hours=48)
    assert loop.baked(record, 200).percent == 100
    told = tell(loop.ledger.entries(record.ref, ["rollout.advanced"])[-1])
    assert "judged: LogMetric(<lambda>) 0.5 of 0.6]" in told
    loop.ask(200, {"2": 0.9})
    assert loop.step(record).action == "roll_back"
    (finding,) = loop.ledger.entries(record.ref, ["rollout.rolled_back"])[-1].details["findings"]
    assert (finding["value"], finding["harm"]) == (pytest.approx(0.9), True)
