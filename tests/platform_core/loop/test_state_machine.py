"""Whatever happens in whatever order, the loop keeps its word; every action may be the last before a kill."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from loopline.platform_core.contracts.registry import Publication
from loopline.platform_core.contracts.serving import DesiredState
from loopline.platform_core.environment import Environment
from loopline.platform_core.errors import NotFound, Refused, StoreUnavailable
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop import freezes
from loopline.platform_core.loop.cycles import cycles, gates
from loopline.platform_core.loop.cycles.gates import GateReading, Verdict
from loopline.platform_core.loop.deployments import deployments
from loopline.platform_core.loop.history import live_at, story
from loopline.platform_core.loop.rollouts import rollback, rollouts
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import P99, Drift, Model, Rollout
from loopline.platform_core.testing.fakes.registry import InMemoryRegistry
from loopline.platform_core.testing.fakes.serving import InMemoryServing
from loopline.platform_core.turn import start_rollout
from tests.platform_core.ledgers import new_ledger
from tests.repeats import repeats

REF = ModelRef("retail", "cancellations")
MODEL = Model(
    "cancellations", (), None, None,
    rollout=Rollout(percents=(30, 100), bake_minutes=10, min_requests=5, judges=(P99(50),)),
    drift=Drift(cooldown_hours=1, daily_budget=3),
)  # fmt: skip
READING = GateReading("AtLeast(auc)", 1, 0.7, 0.65, passed=True, detail="")


class Mortal(InMemoryServing):
    """An endpoint that dies when it is asked, as often as it is told to."""

    dies: int = 0

    def apply(self, state: DesiredState) -> None:
        """Take a state, or die before or after."""
        if self.dies:
            self.dies -= 1
            raise StoreUnavailable("killed", "start again")
        super().apply(state)


class TheLoop(RuleBasedStateMachine):
    """Sensors, people and kills, in any order."""

    model = MODEL

    @initialize()
    def begin(self) -> None:
        """Start with an empty ledger."""
        self.home = Path(mkdtemp(prefix="loop-"))
        self.serving, self.registry = Mortal(), InMemoryRegistry()
        bindings = {"serving": self.serving, "registry": self.registry}
        self.platform = Platform(Environment("test", self.home, bindings, new_ledger(self.home), None, self.home))
        self.now = datetime(2011, 3, 1, tzinfo=UTC)
        self.keys = self.versions = self.asked = 0

    def teardown(self) -> None:
        """Leave nothing behind."""
        if hasattr(self, "home"):
            self.platform.close()
            shutil.rmtree(self.home)

    @rule(minutes=st.sampled_from([1, 61, 24 * 60]))
    def time_passes(self, minutes: int) -> None:
        """Move the clock."""
        self.now += timedelta(minutes=minutes)

    @rule(repeat=st.booleans())
    def drift_alarms(self, repeat: bool) -> None:
        """A sensor opens a cycle, or repeats its tick."""
        self.keys += 0 if repeat else 1
        self._try(cycles.open_cycle, self.platform.ledger, REF, self.model.drift, "drift", str(self.keys), self.now)

    @rule(good=st.sampled_from([True, True, True, False]))
    def loop_turns(self, good: bool) -> None:
        """A person opens a cycle if none is, a version is trained and judged, and its rollout starts if it may."""
        self.keys += 1
        ledger, rule = self.platform.ledger, self.model.drift
        self._try(cycles.open_cycle, ledger, REF, rule, "by hand", str(self.keys), self.now, force=True)
        for cycle in cycles.open_cycles(ledger):
            version = self._published(cycle.cycle_id)
            if gates.version_of_cycle(ledger, REF, cycle.cycle_id) is None:
                reading = replace(READING, passed=good)
                gates.record_verdict(ledger, REF, cycle.cycle_id, version, Verdict((reading,)), self.now)
            self._try(start_rollout, self.platform, REF, self.model, version, cycle.cycle_id, self.now)

    @rule(state=st.sampled_from(["rejected", "failed"]))
    def run_fails(self, state: str) -> None:
        """The open cycle's run has failed for good."""
        for cycle in cycles.open_cycles(self.platform.ledger):
            cycles.close_cycle(self.platform.ledger, cycle.cycle_id, state, "run", self.now)

    @rule(slow=st.sampled_from([False, False, True]), count=st.sampled_from([0, 30]))
    def sensor_ticks(self, slow: bool, count: int) -> None:
        """Customers have asked for ten minutes; every rollout takes a step."""
        versions = [v.version for v in self.registry.versions(REF.dotted)]
        for _ in range(count if self.serving.observe(REF.dotted).ready else 0):
            self.asked += 1
            self.serving.answer(REF.dotted, str(self.asked), dict.fromkeys(versions, 0.5), 80.0 if slow else 1.0)
        self.now += timedelta(minutes=10)
        for record in rollouts.looked_after(self.platform.ledger):
            self._try(rollouts.step, self.platform, self.model, record.rollout_id, self.now)

    @rule(on=st.sampled_from([True, False, False]))
    def switch_is_turned(self, on: bool) -> None:
        """A person freezes or thaws."""
        (freezes.freeze if on else freezes.thaw)(self.platform.ledger, REF, "ada", "why", self.now)

    @rule(on=st.booleans())
    def rollout_is_held(self, on: bool) -> None:
        """A person holds or resumes."""
        self._try(rollouts.hold if on else rollouts.resume, self.platform.ledger, REF, "ada", "why", self.now)

    @rule()
    def person_rolls_back(self) -> None:
        """One step back at once."""
        before = deployments.deployment(self.platform.ledger, REF)
        ran = rollouts.running(self.platform.ledger, REF)
        after = self._try(rollback.roll_back, self.platform, REF, "bob", "why", self.now)
        if after is not None:
            assert after.candidate is None
            assert (after.stable.version != before.stable.version) == (ran is None)

    @rule()
    def killed_at_the_next_apply(self) -> None:
        """Whatever comes next dies between database and endpoint."""
        self.serving.dies = 1

    @invariant()
    def at_most_one_open_cycle_and_one_rollout(self) -> None:
        """Of a model."""
        assert len(cycles.open_cycles(self.platform.ledger)) <= 1
        assert len(rollouts.active(self.platform.ledger)) <= 1

    @invariant()
    def a_candidate_answers_only_in_a_rollout(self) -> None:
        """And with exactly that rollout's version and percent."""
        live = deployments.deployment(self.platform.ledger, REF)
        record = rollouts.running(self.platform.ledger, REF)
        if live is None or live.candidate is None:
            assert record is None or record.step < 0
        else:
            assert record is not None
            assert (live.candidate.version, live.percent) == (record.version, record.percent)

    @invariant()
    def a_shadow_is_there_only_before_a_first_percent_or_after_a_promotion(self) -> None:
        """And it is the version whose rollout is at that, or the one before the version that is watched."""
        live = deployments.deployment(self.platform.ledger, REF)
        record, after = rollouts.running(self.platform.ledger, REF), rollouts.watched(self.platform.ledger, REF)
        shadow = live.shadow.version if live and live.shadow else None
        if record is not None and record.in_shadow:
            assert (shadow, after) == (record.version, None)
        elif after is not None:
            assert live.stable.version == after.version
            assert shadow not in {None, after.version}
            assert live.candidate is None
        else:
            assert shadow is None

    @invariant()
    def nothing_went_live_unjudged(self) -> None:
        """Each version that answers, or is in shadow, passed its gates."""
        live = deployments.deployment(self.platform.ledger, REF)
        for served in (live.stable, live.candidate, live.shadow) if live else ():
            assert served is None or gates.require_passed(self.platform.ledger, REF, served.version)

    @invariant()
    def endpoint_and_aliases_follow_the_database(self) -> None:
        """As soon as a change was carried out to its end."""
        live = deployments.deployment(self.platform.ledger, REF)
        if live is not None and live.applied == live.generation:
            assert self.serving.observe(REF.dotted).generation == live.generation
            assert self.registry.by_alias(REF.dotted, "champion").version == live.stable.version
            candidate = self.registry.by_alias(REF.dotted, "candidate")
            assert (candidate and candidate.version) == (live.candidate and live.candidate.version)

    @invariant()
    def the_ledger_alone_knows_what_is_live(self) -> None:
        """And can tell all of it."""
        live = deployments.deployment(self.platform.ledger, REF)
        if live is not None:
            account = live_at(self.platform.ledger, REF, self.now)
            assert (account.stable, account.candidate, account.percent, account.generation) == (
                live.stable, live.candidate, live.percent, live.generation,
            )  # fmt: skip
            assert account.shadow == live.shadow
            assert account.why
        assert all(told.text for told in story(self.platform.ledger, REF))

    def _published(self, cycle: str) -> str:
        known = [v for v in self.registry.versions(REF.dotted) if v.tags.get("key") == cycle]
        if known:
            return known[0].version
        self.versions += 1
        package = self.home / "built" / str(self.versions)
        package.mkdir(parents=True)
        package.joinpath("manifest.json").write_text("{}")
        return self.registry.publish(Publication(REF.dotted, package, None, None, tags={"key": cycle})).version

    @staticmethod
    def _try(action, *args, **kwargs):
        try:
            return action(*args, **kwargs)
        except (Refused, NotFound, StoreUnavailable):
            return None


class TheLoopWithShadows(TheLoop):
    """The same, where a candidate is in shadow first."""

    model = replace(MODEL, rollout=replace(MODEL.rollout, shadow_requests=20))

    @rule()
    def it_goes_well_for_a_while(self) -> None:
        """A longer way takes more good ticks until its end."""
        for _ in range(3):
            self.sensor_ticks(slow=False, count=30)


class TheLoopWithWatches(TheLoop):
    """The same, where the champion before goes on as a shadow for half an hour."""

    model = replace(MODEL, rollout=replace(MODEL.rollout, watch_hours=0.5))

    @rule()
    def it_is_promoted_and_watched(self) -> None:
        """A longer way takes more good ticks until its end."""
        for _ in range(2):
            self.sensor_ticks(slow=False, count=30)

    @invariant()
    def a_promotion_that_is_taken_back_is_no_success_of_its_cycle(self) -> None:
        """Whoever took it back while it was watched."""
        back = {e.cycle for e in self.platform.ledger.entries(REF, ["rollout.rolled_back"])}
        known = cycles.cycles(self.platform.ledger, REF)
        assert all(one.state == "rolled_back" for one in known if one.cycle_id in back)


@pytest.mark.parametrize("machine", [TheLoop, TheLoopWithShadows, TheLoopWithWatches])
def test_the_loop_keeps_its_word(machine):
    """Lives of up to forty events each."""
    lives = settings(
        max_examples=repeats(6),
        stateful_step_count=40,
        derandomize=True,  # the same lives at each run, so that a red build is the change's fault
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=lives)
