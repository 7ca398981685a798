"""An incident of a panel's deliveries from end to end: told, held, healed by right ones, and nothing wrong learnt.

Eighty shops report each week. Two weeks come with prices in cents, and again as they are; one comes with ages times a
hundred, and is withdrawn when the next, right one has landed. Nobody does anything but deliver.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from loopline import specs
from loopline.platform_core import alarms
from loopline.platform_core.foundation.clock import ReplayClock
from loopline.platform_core.foundation.names import ModelRef, online_view, raw_table
from loopline.platform_core.ingestion import arrivals
from loopline.platform_core.ingestion.current_row_reads import key_of
from loopline.platform_core.ingestion.current_rows import holding
from loopline.platform_core.loop import history
from loopline.platform_core.loop.cycles import cycles
from loopline.platform_core.loop.cycles.cycles import Cycle
from loopline.platform_core.loop.ledger.entry_kinds import PINNED
from loopline.platform_core.loop.rollouts import rollouts
from loopline.platform_core.platform import Platform
from loopline.platform_core.training import training_set

SHOPS, KNOWN = 80, 14
FIRST = datetime(2019, 1, 6, 23, tzinfo=UTC)
WEEK = timedelta(days=7)
SALES = specs.Source("sales", contract="sales.yaml", arrives="weekly")
REF = ModelRef("grocer", "shortage")
POINTS = f"[loopline.teams]\ngrocer = {__name__}:TEAM\n"


@specs.feature_view(SALES, entity="shop", time="week")
def trade(rows: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Per shop and week: price, customers' mean age, whether something was promoted."""
    return rows.select("shop", "week", "price", "age", promoted=nw.col("promoted").cast(nw.Float64))


@specs.labels(SALES, entities=("shop",), time="asked_at", label="short", known_at="known_at")
def short_next_week(rows: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Per shop, twelve hours after a week's end: whether it runs short in the week that follows."""
    later = {"order_by": "week"}
    coming = rows.with_columns(
        known=nw.col("week").shift(-1).over("shop", **later), next=nw.col("short").shift(-1).over("shop", **later)
    ).filter(~nw.col("known").is_null())
    asked = nw.col("week").dt.offset_by("12h")
    return coming.select("shop", asked_at=asked, short=nw.col("next"), known_at="known")


def fitted(train: specs.Examples, *_: Any) -> LogisticRegression:
    """Fit a line; nulls are nothing."""
    return LogisticRegression(max_iter=1000).fit(np.nan_to_num(train.x), train.y)


MODEL = specs.Model(
    "shortage",
    features=(trade,),
    labels=short_next_week,
    fit=fitted,
    rollout=specs.Rollout(percents=(100,), bake_minutes=0, min_requests=0),
)
TEAM = specs.Team("grocer", Path(__file__).with_name("grocer"), (MODEL,))


@dataclass
class Grocer:
    """The chain: it delivers a file a week, and sometimes a wrong one."""

    driver: Any
    clock: ReplayClock

    @property
    def platform(self) -> Platform:
        return self.driver.platform

    def file(self, week: int, **times: float) -> bytes:
        """Return a week's rows, the same at each call; named columns multiplied."""
        random = np.random.default_rng([7, week])
        level = np.random.default_rng(7).normal(size=SHOPS)
        promoted = int(random.random() < 0.3)
        price = 3 + 0.3 * level - 0.6 * promoted + 0.2 * np.sin(week / 8) + random.normal(0, 0.1, SHOPS)
        age = 40 + 5 * level + random.normal(0, 1, SHOPS)
        short = random.random(SHOPS) < 1 / (1 + np.exp(2 * (price - 2.8)))
        end = FIRST + week * WEEK
        lines = [
            f"s{n:02},{end.isoformat()},{price[n] * times.get('price', 1):.4f},{age[n] * times.get('age', 1):.4f},"
            f"{promoted},{int(short[n])}"
            for n in range(SHOPS)
        ]
        return "\n".join(["shop,week,price,age,promoted,short", *lines, ""]).encode()

    def deliver(self, name: str, content: bytes, at: datetime) -> set[str]:
        """Let a file come, and the sensor see it; return the checks of the source that fail."""
        self.platform.event_source.lay("grocer/sales", name, content, at)
        self.clock.set(at)
        (run,), _ = self.driver.tick("loopline_ingest_sensor")
        assert run.success
        return {check.check_name for check in run.get_asset_check_evaluations() if not check.passed}

    def week(self, week: int, **times: float) -> set[str]:
        """Deliver a week on the morning after it, perhaps a wrong one."""
        return self.deliver(f"w{week:02}.csv", self.file(week, **times), self.morning(week))

    def morning(self, week: int) -> datetime:
        """Return when a week's file comes."""
        return FIRST + week * WEEK + timedelta(hours=4)

    def again(self, week: int, at: datetime) -> None:
        """Deliver a week again as it should have been."""
        self.deliver(f"w{week:02}-again.csv", self.file(week), at)

    def open(self, cause: str) -> Cycle:
        """Open a cycle, as a person or an alarm would."""
        return cycles.open_cycle(self.platform.ledger, REF, MODEL.drift, cause, cause, self.clock.now(), force=True)

    def state(self, cycle: Cycle) -> str:
        """Return how a cycle stands, after its sensor has looked at the data, and its rollout, if any, is over.

        That takes as long as the server takes to load the version.
        """
        runs, _ = self.driver.tick("loopline_cycle_sensor")
        assert all(run.success for run in runs)
        within = time.monotonic() + 60
        while rollouts.running(self.platform.ledger, REF) and time.monotonic() < within:
            self.driver.tick("loopline_rollout_sensor")
        self.driver.tick("loopline_cycle_sensor")
        return cycles.cycle(self.platform.ledger, cycle.cycle_id).state

    def held(self) -> str:
        """Return what the alarm says that stands while a cycle is held, "" while none is."""
        standing = [one.alarm for one in alarms.standing(self.platform.ledger) if one.alarm.cause.startswith("held")]
        return standing[0].problem if standing else ""

    def learnt(self, cycle: Cycle) -> tuple[training_set.TrainingSet, list[dict[str, Any]]]:
        """Return a cycle's training set and its rows."""
        entries = [e for e in self.platform.ledger.entries(REF, [PINNED]) if e.cycle == cycle.cycle_id]
        pinned = training_set.from_json(entries[0].details)
        return pinned, training_set.rows(self.platform, TEAM, MODEL, pinned).to_pylist()

    def wrong(self, rows: list[dict[str, Any]]) -> int:
        """Count rows that hold a price in cents or an age times a hundred."""
        return sum((row["price"] or 0) > 50 or (row["age"] or 0) > 500 for row in rows)

    def online(self, shop: str) -> tuple[Any, ...]:
        """Return what is served of a shop."""
        (row,) = self.platform.online_store.read([(online_view("grocer", trade), [shop])])[0]
        return row.values


@pytest.fixture(scope="module")
def grocer(home: Path, clock: ReplayClock, drive: Any, server: None) -> Iterator[Grocer]:
    """The chain with some right weeks and a first version."""
    info = home / "site" / "grocer-1.0.dist-info"
    info.mkdir(parents=True)
    info.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: grocer\nVersion: 1.0\n")
    info.joinpath("entry_points.txt").write_text(POINTS)
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(info.parent)
        clock.set(FIRST)
        made = Grocer(drive(TEAM, home / "environment.yaml"), clock)
        yield begun(made)
        made.platform.close()


def begun(made: Grocer) -> Grocer:
    """Let the known weeks come and a first version go live; nothing of that is doubted."""
    doubted = {week: failed for week in range(KNOWN) if (failed := made.week(week))}
    assert doubted == {}
    assert made.state(made.open("first training")) == "promoted"
    return made


def test_1_cents_are_told_at_their_first_landing_and_hold_the_cycle(grocer: Grocer) -> None:
    """Two wrong weeks; the cycle that somebody starts waits, and names both."""
    for week in (KNOWN, KNOWN + 1):
        assert "ranges" in grocer.week(week, price=100)
    cycle = grocer.open("more data")
    assert grocer.state(cycle) == "open"
    for week in (KNOWN, KNOWN + 1):
        assert f"w{week:02}.csv" in grocer.held()


def test_2_a_right_week_does_not_let_it_go(grocer: Grocer) -> None:
    """The newest landing is fine; what is wrong is still there."""
    assert grocer.week(KNOWN + 2) == set()
    (cycle,) = cycles.open_cycles(grocer.platform.ledger)
    assert grocer.state(cycle) == "open"
    assert "price" in grocer.held()


def test_3_corrected_weeks_let_it_learn_by_itself(grocer: Grocer) -> None:
    """Both come again as they should have been: features are right, and what was wrong is not learnt."""
    (cycle,) = cycles.open_cycles(grocer.platform.ledger)
    at = grocer.morning(KNOWN + 2)
    for n, week in enumerate((KNOWN, KNOWN + 1)):
        grocer.again(week, at + timedelta(hours=1 + n))
    assert grocer.state(cycle) == "promoted"
    assert grocer.held() == ""
    pinned, rows = grocer.learnt(cycle)
    assert grocer.wrong(rows) == 0
    assert (pinned.corrections, pinned.corrected_rows) == ("left out", 2 * SHOPS)
    assert len(rows) == (KNOWN + 2) * SHOPS - 2 * SHOPS


def test_4_a_wrong_week_that_a_right_one_follows_holds_until_it_is_withdrawn(grocer: Grocer) -> None:
    """Ages times a hundred, then a right week: held by the first; taken back, the cycle goes on by itself."""
    assert "ranges" in grocer.week(KNOWN + 3, age=100)
    assert grocer.week(KNOWN + 4) == set()
    cycle = grocer.open("still more data")
    assert grocer.state(cycle) == "open"
    assert f"w{KNOWN + 3:02}.csv" in grocer.held()
    assert "age" in grocer.held()
    arrivals.withdraw(grocer.platform, TEAM, SALES, f"w{KNOWN + 3:02}.csv", "ages times a hundred", "ann")
    grocer.driver.tick("loopline_ingest_sensor")
    assert grocer.state(cycle) == "promoted"
    pinned, rows = grocer.learnt(cycle)
    assert grocer.wrong(rows) == 0
    assert pinned.corrections == "left out"


def test_5_what_is_served_is_right_to_the_last_bit(grocer: Grocer) -> None:
    """Of each shop the newest week that holds; raw rows that hold are those of the right files."""
    week = KNOWN + 4
    lines = [line.split(",") for line in grocer.file(week).decode().splitlines()[1:]]
    for shop, _, price, age, promoted, _ in lines:
        assert grocer.online(shop) == (float(price), float(age), float(promoted))
    raw = grocer.platform.lake.read(raw_table("grocer", "sales"))
    held = holding(raw, key_of(TEAM, SALES))
    assert len(held) == (KNOWN + 4) * SHOPS
    assert max(held["price"].to_pylist()) < 50
    story = "\n".join(line.text for line in history.story(grocer.platform.ledger, REF))
    assert story.count("held by its data") >= 2
