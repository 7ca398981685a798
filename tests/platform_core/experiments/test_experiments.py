"""Two versions side by side, from the plan to the verdict and what follows from it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loopline.platform_core.errors import InvalidSpec, NotFound, Refused
from loopline.platform_core.experiments import looking, running
from loopline.platform_core.experiments.outcomes import Source
from loopline.platform_core.experiments.plan import plan
from loopline.platform_core.experiments.settings import Settled, asked
from loopline.platform_core.loop.rollouts import experiments, rollback, rollouts
from loopline.platform_core.monitor.quality.predictions import compact
from loopline.platform_core.specs import Experiment, Guardrail
from tests.platform_core.experiments.conftest import REF, SALES, World

PLANNED = 600


def begin(world: World, experiment: Experiment = SALES, *, hold: bool = False) -> rollouts.RolloutRecord:
    """Start an experiment with a new version, and let its rollout come to the split."""
    version = world.candidate("two")
    settled = Settled(experiment, PLANNED, hold)
    running.start(world.platform, world.team, world.model, version, settled, "ada", "which keeps more?")
    world.day(range(200))
    world.later(hours=2)
    assert world.tick() == "advance"
    record = world.record()
    assert record.percent == 50
    return record


def ends(world: World) -> list[tuple[str, str]]:
    """Return the verdicts of all experiments, and what follows from each."""
    every = experiments.every(world.platform.ledger, REF)
    return [(one.end.verdict, one.end.does) for one in every if one.end]


def test_a_winner_goes_on_by_its_rollout(world):
    """It stays at its split through every tick until it is known; then the rollout promotes it, as it always does."""
    record = begin(world)
    for _ in range(2):
        world.day(range(1000, 1600), gain=10)
        assert world.tick() == "wait"
    one = experiments.of(world.platform.ledger, record)
    assert one.keeps == "experiment sales runs"
    assert [entry.details["difference"] for entry in experiments.looks(world.platform.ledger, one)] == [None, None]
    world.later(days=2)
    assert world.tick() == "advance"
    assert ends(world) == [("candidate better", "promote")]
    ended = world.platform.ledger.entries(REF, [experiments.ENDED])
    assert "kept +" in ended[0].reason
    assert ended[0].details["seen"]["difference"]["low"] > 0


def test_a_loser_is_taken_back(world):
    """The candidate goes, with the verdict as the reason."""
    begin(world)
    world.day(range(1000, 1600), gain=-12)
    world.later(days=3)
    world.tick()
    assert ends(world) == [("stable better", "roll_back")]
    assert world.record() is None
    (back,) = world.platform.ledger.entries(REF, ["rollout.rolled_back"])
    assert back.reason.startswith("experiment sales: stable better: kept -")
    assert back.actor == "platform"


def test_two_that_are_alike_leave_the_old_one(world):
    """Within the effect on both sides there is no reason for a change."""
    begin(world, replace(SALES, effect=8.0))
    world.day(range(1000, 1600))
    world.later(days=3)
    world.tick()
    assert ends(world) == [("no difference", "roll_back")]


def test_a_broken_guardrail_stops_it(world):
    """A candidate that earns more and fails more than was allowed is taken back, before labels come."""
    begin(world)
    world.day(range(1000, 2000), gain=5, failing=0.18)
    world.later(days=1, hours=1)
    assert world.tick() == "wait"
    assert ends(world) == [("guardrail error_rate", "roll_back")]


def test_the_judges_go_on_and_end_it(world):
    """Harm takes the candidate back at once, and the experiment ends with it."""
    begin(world)
    world.day(range(1000, 1400), failing=0.6)
    assert world.tick() == "roll_back"
    assert ends(world) == [("stopped by the judges", "nothing")]


def test_a_split_that_is_wrong_stops_it(world):
    """Entities that get lost on one side make both sides others, whatever the outcome says."""
    record = begin(world)
    world.day(range(1000, 1500))
    lost = world.serving._log[REF.dotted]
    lost[:] = [row for row in lost if row["version"] == "1" or row["request_id"] < "r0000450"]
    world.tick()
    assert ends(world) == [("split is wrong", "roll_back")]
    assert record.version == "2"


def test_a_person_ends_it(world):
    """By the command the candidate goes; by a rollback of the model the experiment goes with it."""
    begin(world)
    one = running.stop(world.platform, REF, "ada", "the season is over")
    assert (one.end.verdict, world.record()) == ("stopped by ada", None)
    with pytest.raises(NotFound, match="no experiment"):
        running.stop(world.platform, REF, "ada", "again")


def test_a_rollback_by_hand_ends_it_too(world):
    """Whoever is on call needs to know of no experiment."""
    begin(world)
    rollback.roll_back(world.platform, REF, "bob", "complaints", world.now)
    assert ends(world) == [("stopped by bob", "nothing")]


def test_the_verdict_may_wait_for_a_person(world):
    """With ``hold`` the rollout is held from the very transaction of the verdict on."""
    begin(world, hold=True)
    world.day(range(1000, 1600), gain=12)
    world.later(days=3)
    assert world.tick() == "wait"
    assert ends(world) == [("candidate better", "hold")]
    record = world.record()
    assert record.state == "held"
    rollouts.resume(world.platform.ledger, REF, "ada", "go", world.now)
    assert world.tick() == "advance"


def test_a_process_that_dies_after_the_verdict_promotes_nothing(world, monkeypatch):
    """The next look carries the verdict out."""
    record = begin(world)
    world.day(range(1000, 1600), gain=-12)
    world.later(days=3)
    with monkeypatch.context() as dying:
        dying.setattr(running, "carry_out", lambda *_: None)
        world.tick()
    assert ends(world) == [("stable better", "roll_back")]
    world.later(days=3)
    assert rollouts.step(world.platform, world.model, record.rollout_id, world.now).action == "wait"
    world.tick()
    assert world.record() is None
    assert len(ends(world)) == 1


def test_it_joins_a_rollout_that_runs_and_is_repeated(world):
    """A cycle has begun the rollout: the experiment keeps it at its percent; asked again it is the same one."""
    from loopline.platform_core.turn import start_rollout

    version = world.candidate("two")
    cycle = world.platform.ledger.entries(REF, ["gate.judged"])[-1].cycle
    start_rollout(world.platform, REF, world.model, version, cycle, world.now)
    settled = Settled(SALES, PLANNED)
    arguments = (world.platform, world.team, world.model, version, settled, "ada", "why")
    first, again = running.start(*arguments), running.start(*arguments)
    assert first == again
    with pytest.raises(Refused, match="has 20 percent, more than 10"):
        running.start(*arguments[:4], Settled(replace(SALES, percent=10), PLANNED), "ada", "why")


def test_what_cannot_be_is_refused(world):
    """With the problem and what to do."""
    arguments = (world.platform, world.team, world.model)
    with pytest.raises(Refused, match="nothing else"):
        running.start(*arguments, "1", Settled(SALES, 1), "ada", "why")
    with pytest.raises(Refused, match="no person"):
        running.start(*arguments, "2", Settled(SALES, 1), "ada", " ")
    with pytest.raises(NotFound, match="declares no experiment 'clicks'"):
        asked(world.model, "clicks")
    with pytest.raises(InvalidSpec, match="'clicks' is no outcome of a binary"):
        asked(world.model, "", outcome="clicks", effect=0.1)
    with pytest.raises(InvalidSpec, match="leaves one side empty"):
        replace(SALES, percent=100)
    with pytest.raises(InvalidSpec, match="depends on other rows"):
        begin_metric(world, "roc_auc")


def begin_metric(world: World, metric: str) -> looking.Seen:
    """Look at a metric of the kind by entity."""
    one = asked(world.model, "", outcome=metric, effect=0.05, days=1, wait_days=1)
    world.day(range(1000, 1400))
    record = begin(world, one)
    world.day(range(2000, 2600), score=0.9)
    world.later(days=1, hours=1)
    world.tick()
    since = record.step_started_at
    return looking.look(Source(world.platform, world.team, world.model), Settled(one, PLANNED), since, ("2", "1"))


def test_a_metric_of_the_kind_is_an_outcome(world):
    """A candidate that is surer, and right as often as it says, has a smaller log loss; entities are its rows here."""
    seen = begin_metric(world, "log_loss")
    assert ends(world) == [("candidate better", "promote")]
    assert seen.difference.value == pytest.approx(0.325 - 0.693, abs=0.08)
    assert seen.candidate.known + seen.stable.known == 600


def test_settings_come_back_from_the_ledger(world):
    """An outcome of labels is the one that the model declares now; one that it declares no more is named."""
    settled = Settled(replace(SALES, guardrails=(Guardrail("log_loss", 0.1),)), PLANNED)
    assert Settled.from_json(world.model, settled.to_json()) == settled
    with pytest.raises(NotFound, match="'kept' no more"):
        Settled.from_json(replace(world.model, experiments=()), settled.to_json())


def test_a_plan_says_how_many_and_how_long(world, monkeypatch):
    """By customers of whom 30 are new each day; the formula keeps what it says on these very customers."""
    for day in range(10):
        world.day(range(day * 30, day * 30 + 30))
    compact(world.platform, world.team, world.model)
    monkeypatch.setattr("loopline.platform_core.experiments.plan.MOST_TRIALS", 80)
    found = plan(Source(world.platform, world.team, world.model), replace(SALES, effect=5.0), history_days=10)
    assert found.entities == 211  # whose three days are over
    assert found.size.fixed < found.size.sequential
    assert found.tried.found >= 0.7
    assert found.tried.false <= 0.05 + 3 * (0.05 * 0.95 / found.tried.trials) ** 0.5
    assert found.days is not None
    assert found.days == pytest.approx(found.size.sequential / 30 + 3, rel=0.1)
    with pytest.raises(NotFound, match="100 are needed"):
        plan(Source(world.platform, world.team, world.model), SALES, history_days=4)


def test_the_sensor_asks_for_a_look_each_hour(world):
    """A run is started when the experiment is due, and when its verdict waits to be carried out; else none."""
    dagster = pytest.importorskip("dagster")
    from loopline.asset_defs.sensors.rollout_sensor import _request

    with dagster.DagsterInstance.ephemeral() as instance:
        record = begin(world)
        asked = (instance, world.platform, world.team)
        request = _request(*asked, record)
        assert request.run_config["ops"]["take_step"]["config"] == {"rollout_id": record.rollout_id}
        world.tick()
        assert _request(*asked, record) is None
        world.later(hours=1)
        assert _request(*asked, record) is not None
