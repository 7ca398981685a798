"""The whole story in process, in order: from daily files to a bad candidate that is taken back.

A third of the wholesaler's customers, on the data's own clock, through every real part but Dagster's daemon.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from time import monotonic, sleep

import dagster as dg
import pytest

from loopline.asset_defs.keys import key
from loopline.demo import days as history
from loopline.demo.client import Client
from loopline.demo.declared import Day
from loopline.platform_core import plugins
from loopline.platform_core.foundation.clock import ReplayClock
from loopline.platform_core.foundation.names import ModelRef, dead_letter_table, prediction_table, raw_table
from loopline.platform_core.loop import history as told
from loopline.platform_core.loop.cycles import cycles
from loopline.platform_core.loop.cycles.cycles import Cycle
from loopline.platform_core.loop.deployments import deployments
from loopline.platform_core.loop.ledger.entry_kinds import PINNED
from loopline.platform_core.loop.rollouts import rollback
from loopline.platform_core.monitor.quality import fairness_verdicts, quality_figures, quality_history
from loopline.platform_core.specs import AtLeast, Fairness, Model, Team
from loopline.platform_core.training import training_set

REF = ModelRef("retail", "cancellations")
FIRST, LIVE, SHIFTED, END = date(2010, 1, 15), date(2010, 7, 1), date(2010, 9, 20), date(2010, 11, 30)
DRILL = {"value": 100.0, "mean_line": 100.0, "max_line": 100.0, "mean_price": 100.0, "max_price": 100.0}


@dataclass
class Shop:
    """The wholesaler's application: drops files, and asks about each order as it is placed."""

    driver: object
    team: Team
    clock: ReplayClock
    home: Path
    days: list[Day]
    client: Client

    @property
    def platform(self):
        return self.driver.platform

    @property
    def model(self) -> Model:
        return self.team.model(REF.model)

    def land(self, chosen: list[Day]) -> None:
        """Drop daily files with the time at which they arrived."""
        for day in chosen:
            self.platform.event_source.lay("retail/orders", day.name, day.content, day.arrives_at)

    def trade(self, first: date, last: date) -> None:
        """Ask about every order from one day to another, landing files every seven weeks."""
        chosen = [day for day in self.days if first <= day.date < last]
        orders = history.asked(self.platform, self.team, self.model, chosen)
        for start in range(0, len(chosen), 40):
            weeks = chosen[start : start + 40]
            for day in weeks:
                self.clock.set(datetime.combine(day.date, time(6), UTC))  # no request comes a day ahead of the clock
                for order in orders[day.date]:
                    self.client.ask(order)
            self.land(weeks)
            self.clock.set(weeks[-1].arrives_at)
            self.driver.tick("loopline_ingest_sensor")

    def open(self, cause: str, drill: dict[str, float] | None = None) -> Cycle:
        """Open a cycle in the ledger, as a person would."""
        rule, now = self.model.drift, self.clock.now()
        return cycles.open_cycle(self.platform.ledger, REF, rule, cause, cause, now, force=True, drill=drill)

    def told(self) -> str:
        """Return the model's story so far."""
        return "\n".join(line.text for line in told.story(self.platform.ledger, REF))

    def state(self, cycle: Cycle) -> str:
        """Return how a cycle stands."""
        return cycles.cycle(self.platform.ledger, cycle.cycle_id).state


@pytest.fixture(scope="module")
def shop(home: Path, server: None, clock: ReplayClock, drive) -> Iterator[Shop]:
    """The installation with a third of the customers; gate, window and rollout ask for less than with all."""
    team = plugins.installed(only=["retail"]).team("retail")
    small = replace(
        team.model(REF.model),
        gates=(AtLeast("roc_auc", 0.55),),
        rollout=replace(team.model(REF.model).rollout, percents=(50, 100), min_requests=40),
        drift=replace(team.model(REF.model).drift, min_rows=250),
        fairness=(Fairness("country", "positive_rate", within=0.6, min_rows=5),),
    )
    team = replace(team, models=(small,))
    days = [
        _third(day) for day in history.days(team.folder / "data" / "online_retail.csv.xz") if FIRST <= day.date < END
    ]
    clock.set(datetime(2010, 7, 1, 6, tzinfo=UTC))
    driver = drive(team, home / "environment.yaml")
    client = Client(driver.platform.serving.caller(REF.dotted))
    yield Shop(driver, team, clock, home, days, client)
    client.close()
    driver.platform.close()


def _third(day: Day) -> Day:
    """Keep the lines of every third customer, and of none."""
    header, *lines = day.content.splitlines(keepends=True)
    customers = (line.rsplit(b",", 2)[1] for line in lines)
    kept = [line for line, who in zip(lines, customers, strict=True) if not who or int(who[:-2]) % 3 == 0]
    return Day(day.date, b"".join([header, *kept]), len(kept))


def test_1_daily_files_become_rows_and_dead_letters(shop: Shop) -> None:
    """The sensor lands what is new, once; rows that break the contract are kept with their reason."""
    known = [day for day in shop.days if day.date < LIVE]
    shop.land(known)
    (run,), _ = shop.driver.tick("loopline_ingest_sensor")
    assert run.success
    raw = shop.platform.lake.read(raw_table("retail", "orders"))
    dead = shop.platform.lake.read(dead_letter_table("retail", "orders"))
    assert raw.num_rows + dead.num_rows == sum(day.lines for day in known)
    assert {reason for reasons in dead["reasons"].to_pylist() for reason in reasons} == {
        "customer_id.required",
        "price.exclusive_minimum",
    }
    (landed,) = run.asset_materializations_for_node("retail__land__orders")[:1]
    assert landed.metadata["dead_letters"].value == dead.num_rows
    assert shop.driver.tick("loopline_ingest_sensor") == ([], "nothing new has arrived")


def test_2_the_first_model_goes_live(shop: Shop) -> None:
    """A cycle in the ledger gets its run: training set, gates, deployment; nothing was live, so it is live at once."""
    first = shop.open("first training")
    (run,), _ = shop.driver.tick("loopline_cycle_sensor")
    assert run.success
    assert shop.state(first) == "promoted"
    live = deployments.deployment(shop.platform.ledger, REF)
    assert (live.stable.version, live.percent) == ("1", 0)
    end = monotonic() + 120  # a busy machine takes its time to load it
    while not shop.platform.serving.observe(REF.dotted).ready:
        assert monotonic() < end
        sleep(0.05)  # between two looks


def test_3_the_training_set_is_rebuilt_bit_for_bit(shop: Shop) -> None:
    """What the pin names gives the same rows again, also after more has landed."""
    (entry,) = shop.platform.ledger.entries(REF, [PINNED])
    pinned = training_set.from_json(entry.details)
    assert training_set.rows(shop.platform, shop.team, shop.model, pinned).num_rows == pinned.rows


def test_4_orders_are_answered_and_logged(shop: Shop) -> None:
    """Every answered request is in the prediction log with the version and the cycle that made it."""
    shop.trade(LIVE, SHIFTED)
    assert shop.client.tally.failed == 0, shop.client.tally.trouble
    rows, _ = shop.platform.serving.predictions(REF.dotted)
    assert rows.num_rows == shop.client.tally.answered > 700
    assert set(rows["version"].to_pylist()) == {"1"}


def test_5_drift_opens_a_cycle(shop: Shop) -> None:
    """Windows of the log leave the profile; the check warns, and the sensor turns that into one cycle with its run."""
    (run,), _ = shop.driver.tick("loopline_monitor_sensor")
    assert run.success
    assert shop.platform.lake.read(prediction_table("retail", REF.model)).num_rows == shop.client.tally.answered
    checks = {check.check_name: check for check in run.get_asset_check_evaluations()}
    assert not checks["drift"].passed
    assert checks["drift"].severity == dg.AssetCheckSeverity.WARN
    assert checks["skew"].passed
    assert checks["skew"].metadata["rows"].value > 1_000
    (report,) = run.asset_materializations_for_node(key("retail", "drift", REF.model).to_python_identifier())
    assert Path(report.metadata["report"].value.removeprefix("file://")).stat().st_size > 100_000
    (turned,), _ = shop.driver.tick("loopline_cycle_sensor")
    assert turned.success, shop.told()
    assert [c.state for c in cycles.cycles(shop.platform.ledger, REF)] == ["promoted", "open"]


def test_6_the_candidate_bakes_and_is_promoted(shop: Shop) -> None:
    """Half of the customers, always the same, are answered by the candidate; judged, it gets all, and is promoted."""
    shop.trade(SHIFTED, SHIFTED + timedelta(days=10))
    (step,), _ = shop.driver.tick("loopline_rollout_sensor")
    assert step.success
    shop.trade(SHIFTED + timedelta(days=10), SHIFTED + timedelta(days=20))
    shop.driver.tick("loopline_rollout_sensor")
    cycle = cycles.cycles(shop.platform.ledger, REF)[-1]
    assert (cycle.state, deployments.deployment(shop.platform.ledger, REF).stable.version) == ("promoted", "2")
    actions = [o["action"] for o in shop.driver.observations(key("retail", "deployment", REF.model))]
    assert actions == ["advance", "promote"]
    rows, _ = shop.platform.serving.predictions(REF.dotted)
    sides: dict[str, set[str]] = {}
    for keys, role in zip(rows["keys"].to_pylist(), rows["role"].to_pylist(), strict=True):
        sides.setdefault(role, set()).add(keys)
    assert len(sides["candidate"]) > 40


def test_7_a_bad_candidate_is_taken_back(shop: Shop) -> None:
    """Trained on pence and served pounds it passes its gates; the judge sees the scores move, and takes it back."""
    drill = shop.open("drill: pence", DRILL)
    (run,), _ = shop.driver.tick("loopline_cycle_sensor")
    assert run.success
    shop.trade(SHIFTED + timedelta(days=20), SHIFTED + timedelta(days=35))
    (step,), _ = shop.driver.tick("loopline_rollout_sensor")
    assert step.success
    assert shop.state(drill) == "rolled_back"
    assert "ScoreShift" in cycles.cycle(shop.platform.ledger, drill.cycle_id).verdict
    live = deployments.deployment(shop.platform.ledger, REF)
    assert (live.stable.version, live.candidate, live.percent) == ("2", None, 0)


def test_8_labels_come_and_tell_the_quality_of_each_version(shop: Shop) -> None:
    """A month later the labels are there; the realised AUC of every version is better than a coin's."""
    shop.land([day for day in shop.days if SHIFTED + timedelta(days=35) <= day.date])
    shop.clock.set(datetime(END.year, END.month, END.day, 6, tzinfo=UTC))
    shop.driver.tick("loopline_ingest_sensor")
    stages = [key("retail", stage, REF.model) for stage in ("predictions", "quality")]
    run = shop.driver.run("loopline_monitor", stages)
    assert run.success
    checks = {check.check_name: check for check in run.get_asset_check_evaluations()}
    assert "realised roc_auc of version 2" in checks["good_enough"].metadata["reason"].value
    assert checks["fair_enough"].passed
    found = {q.version: q for q in quality_history.measured(shop.platform, shop.team, shop.model).versions}
    assert set(found) == {"1", "2", "3"}
    assert found["1"].labelled == found["1"].predictions
    assert found["1"].figures["roc_auc"] > 0.55
    assert shop.client.tally.failed == 0
    areas = [m for m in quality_figures.history(shop.platform, REF) if (m.metric, m.segment) == ("roc_auc", "")]
    assert {(m.version, m.estimated) for m in areas} >= {("1", False), ("1", True), ("2", False), ("2", True)}
    assert all(m.labelled == m.rows for m in areas if m.version == "1"), "two months later every label has come"
    assert {f.column for f in fairness_verdicts.history(shop.platform, REF)} == {"country"}


def test_9_the_ledger_tells_what_was_live_and_why(shop: Shop) -> None:
    """Any moment can be asked for: the version, the cycle that made it, its gates, its rollout."""
    account = told.live_at(shop.platform.ledger, REF, datetime(2010, 11, 5, tzinfo=UTC))
    assert account.stable.version == "2"
    assert any("drift" in line for line in account.why)
    assert any("gates" in line for line in account.why)
    earlier = told.live_at(shop.platform.ledger, REF, datetime(2010, 7, 2, tzinfo=UTC))
    assert earlier.stable.version == "1"
    back = rollback.roll_back(shop.platform, REF, "Ada", "the walk ends", shop.clock.now())
    assert back.stable.version == "1"
