"""A landing that failed its checks speaks against learning until its rows are right or somebody lets it go."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from loopline.platform_core import turn
from loopline.platform_core.contracts.serving import Served
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.ingestion import arrivals
from loopline.platform_core.ingestion.landing import land
from loopline.platform_core.ingestion.letters.dead_letters import dead_letters, replay
from loopline.platform_core.ingestion.letters.mended_rows import exported
from loopline.platform_core.ingestion.quality.doubts import doubts
from loopline.platform_core.ingestion.quality.quality import history, look, newest
from loopline.platform_core.ingestion.quality.quality_bounds import ENOUGH
from loopline.platform_core.loop.cycles import cycles, quarantines
from loopline.platform_core.loop.deployments import deployments
from loopline.platform_core.loop.ledger.entry_kinds import DOUBTED, LANDING_CLEARED, LANDING_DOUBTED, PINNED
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.loop.sentences import sentence
from loopline.platform_core.specs import Labels, Model, Source, Team
from loopline.platform_core.specs.contracts.odcs import read_contract
from loopline.platform_core.specs.views.features import FeatureView
from loopline.platform_core.testing.fakes.event_source import InMemoryDelivery, InMemoryEventSource
from loopline.platform_core.testing.fakes.lake import InMemoryLake
from loopline.platform_core.testing.fakes.serving import InMemoryServing
from tests.platform_core.homes import opened
from tests.platform_core.ingestion.conftest import DyingLake, Killed

CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: sales
version: 1.0.0
schema:
  - name: sales
    properties:
      - {name: shop, logicalType: integer, required: true, primaryKey: true, primaryKeyPosition: 1}
      - {name: at, logicalType: timestamp, required: true, primaryKey: true, primaryKeyPosition: 2}
      - {name: price, logicalType: number, required: true}
"""
MONDAY, WEEK = datetime(2020, 1, 6, tzinfo=UTC), timedelta(days=7)
SHOPS = 40
SALES = Source("sales", "sales.yaml")
VIEW = FeatureView("prices", SALES, "shop", "at", lambda rows: rows)
LABELS = Labels("sold", SALES, ("shop",), "at", "price", "at", lambda rows: rows)
MODEL = Model("demand", features=(VIEW,), labels=LABELS, fit=lambda *_: None)  # type: ignore[arg-type]
REF = ModelRef("chain", "demand")


@dataclass
class Chain:
    """A chain of shops that delivers a file a week, and a cycle that is to learn from it."""

    team: Team
    lake: InMemoryLake
    folder: Path
    weeks: int = 0

    def __post_init__(self) -> None:
        """Open a platform."""
        (self.folder / "sales.yaml").write_text(CONTRACT)
        vendors = {"lake": self.lake, "event_source": InMemoryEventSource(), "serving": InMemoryServing()}
        self.platform: Any = opened(self.folder, MONDAY, **vendors)
        self.args = self.platform, self.team, SALES

    def deliver(
        self, name: str, week: int, factor: float = 1.0, shops: range = range(SHOPS), again: bool = False
    ) -> None:
        """Let a week's file land, and look at it; an hour after it is over, or now."""
        at = MONDAY + week * WEEK
        if not again:
            self.platform.clock.set(at + WEEK + timedelta(hours=1))
        lines = [f"{shop},{at:%Y-%m-%dT%H:%M:%SZ},{(1.5 + shop % 7 + week % 3 / 10) * factor}" for shop in shops]
        content = "\n".join(["shop,at,price", *lines, ""]).encode()
        InMemoryDelivery(self.platform.event_source).whole("chain/sales", name, content, self.platform.clock.now())
        land(*self.args)
        look(*self.args)

    def quiet(self, weeks: int = ENOUGH + 2) -> None:
        """Let right weeks land."""
        for week in range(self.weeks, self.weeks + weeks):
            self.deliver(f"week {week}.csv", week)
        self.weeks += weeks

    def week(self, factor: float = 1.0, shops: range = range(SHOPS)) -> str:
        """Let the next week land; returns the file's name."""
        name = f"week {self.weeks}.csv"
        self.deliver(name, self.weeks, factor, shops)
        self.weeks += 1
        return name

    def said(self) -> list[str]:
        """Return what is doubted now."""
        return [one.said for one in doubts(self.platform, self.team, MODEL)]

    def cycle(self, key: str = "a") -> cycles.Cycle:
        """Open a cycle."""
        now = self.platform.clock.now()
        return cycles.open_cycle(self.platform.ledger, REF, MODEL.drift, "moved", key, now, force=True)

    def held(self, cycle: cycles.Cycle) -> list[str]:
        """Return what holds a cycle."""
        return turn.held_by(self.platform, self.team, MODEL, cycle)

    def go_live(self, cycle: str) -> None:
        """Let a version be live that was trained on what is known now."""
        now = self.platform.clock.now()
        pinned = Entry(PINNED, now, *REF, cycle, details={"as_of": now.isoformat()})
        self.platform.ledger.record(pinned, once=f"{PINNED}:{cycle}")
        with self.platform.ledger.writing(REF) as connection:
            live = deployments.Deployment(REF, 0, Served("1", self.folder, cycle), None, 0)
            deployments.write(connection, live, Entry("deployment.changed", now, *REF, cycle, "1"))

    def later(self, hours: float = 1) -> None:
        """Let time pass."""
        self.platform.clock.set(self.platform.clock.now() + timedelta(hours=hours))


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    """Open a chain that has had quiet weeks."""
    chain = Chain(Team("chain", tmp_path, models=(MODEL,)), InMemoryLake(), tmp_path)
    chain.quiet()
    return chain


def test_the_next_right_file_does_not_hide_a_wrong_one(chain: Chain) -> None:
    """Prices in cents hold the cycle, also behind three right files; the reason names file, time and check."""
    assert chain.said() == []
    wrong = chain.week(100.0)
    when = chain.platform.clock.now()
    cycle = chain.cycle()
    for _ in range(3):
        (said,) = chain.held(cycle)
        assert said.startswith(f"sales: {wrong} landed {when:%Y-%m-%d %H:%M} UTC: check ranges: price: ")
        assert "median" in said
        chain.week()
    (entry,) = chain.platform.ledger.entries(REF, [DOUBTED])
    assert sentence(entry) == f"held by its data: {said}"
    (doubted,) = chain.platform.ledger.entries(kinds=[LANDING_DOUBTED])
    assert f"a landing of chain/sales is doubted: {wrong} landed" in sentence(doubted)
    assert newest(*chain.args).landing == history(*chain.args, 1)[0]
    assert all(one.passed for one in newest(*chain.args).findings)


def test_a_wrong_file_is_not_what_is_usual(chain: Chain) -> None:
    """A second one like it is found as well, and the bounds are what they were before both."""
    before = {one.name: (one.low, one.high) for one in newest(*chain.args).findings}
    chain.week(100.0)
    chain.week(100.0)
    assert len(chain.said()) == 2
    found = [one for one in newest(*chain.args).findings if one.check == "ranges" and not one.passed]
    assert {one.what for one in found} == {"lower quartile", "median", "upper quartile", "maximum"}
    for one in found:
        low, high = before[one.name]
        assert one.high is None or one.high == pytest.approx(high, rel=0.2)
        assert one.low is None or one.low == pytest.approx(low, rel=0.2)


def test_a_delivery_of_right_rows_lets_the_cycle_go_on(chain: Chain) -> None:
    """Nothing is done by hand but the delivery, and the ledger says why the landing is doubted no more."""
    chain.week(100.0)
    chain.week()
    cycle = chain.cycle()
    assert len(chain.held(cycle)) == 1
    chain.deliver("right.csv", chain.weeks - 2, again=True)
    assert chain.held(cycle) == []
    (entry,) = chain.platform.ledger.entries(kinds=[LANDING_CLEARED])
    assert sentence(entry).endswith("its rows were delivered again or taken back")
    look(*chain.args)
    assert len(chain.platform.ledger.entries(kinds=[LANDING_CLEARED])) == 1


def test_a_delivery_that_is_wrong_again_does_not(chain: Chain) -> None:
    """Then both are doubted, and a right one clears both."""
    chain.week(100.0)
    chain.deliver("again.csv", chain.weeks - 1, 50.0, again=True)
    assert len(chain.said()) == 2
    chain.deliver("right.csv", chain.weeks - 1, again=True)
    assert chain.said() == []


def test_half_a_correction_leaves_the_other_half(chain: Chain) -> None:
    """What is left is judged: still wrong it is doubted; a few odd rows of right ones are not."""
    chain.week(100.0)
    chain.deliver("half.csv", chain.weeks - 1, shops=range(SHOPS // 2), again=True)
    assert any("week 10.csv" in said for said in chain.said())
    chain.deliver("rest.csv", chain.weeks - 1, shops=range(SHOPS // 2, SHOPS), again=True)
    assert not any("week 10.csv" in said for said in chain.said())


def test_a_third_that_is_missing_is_found_and_delivered_whole(chain: Chain) -> None:
    """Rows that are there are right, so that only the whole file says that it is whole."""
    name = chain.week(shops=range(SHOPS * 2 // 3))
    (said,) = chain.said()
    assert f"{name} landed" in said
    assert "check volume: rows an arrival 26, usually 30" in said
    chain.deliver("whole.csv", chain.weeks - 1, again=True)
    assert chain.said() == []


def test_replayed_letters_are_no_landing_that_misses_rows(chain: Chain) -> None:
    """Three rows that come back are late, not few; nothing of the source is doubted."""
    at = MONDAY + chain.weeks * WEEK
    chain.platform.clock.set(at + WEEK + timedelta(hours=1))
    prices = ["x" if shop < 3 else str(1.5 + shop % 7) for shop in range(SHOPS)]
    lines = [f"{shop},{at:%Y-%m-%dT%H:%M:%SZ},{price}" for shop, price in enumerate(prices)]
    content = "\n".join(["shop,at,price", *lines, ""]).encode()
    InMemoryDelivery(chain.platform.event_source).whole("chain/sales", "x.csv", content, chain.platform.clock.now())
    land(*chain.args)
    look(*chain.args)
    letters = exported(dead_letters(*chain.args), read_contract(chain.folder / "sales.yaml"))
    mended = letters.set_column(letters.column_names.index("price"), "price", pa.array(["2.5"] * 3))
    replay(*chain.args, rows=mended)
    look(*chain.args)
    assert len(history(*chain.args, 99)) == chain.weeks + 2
    assert chain.said() == []


def test_a_withdrawal_ends_it_and_a_restoration_begins_it_anew(chain: Chain) -> None:
    """At once, without another landing; the withdrawn landing is neither judged nor what is usual."""
    wrong = chain.week(100.0)
    cycle = chain.cycle()
    assert len(chain.held(cycle)) == 1
    arrivals.withdraw(*chain.args, wrong, "cents", "ada")
    assert chain.held(cycle) == []
    found = newest(*chain.args)
    assert found.landing is not None
    assert found.landing.landed_at < chain.platform.clock.now()
    assert all(one.passed for one in look(*chain.args).findings)
    assert len(history(*chain.args, 99)) == chain.weeks, "a withdrawal is no landing"
    chain.later()
    arrivals.restore(*chain.args, wrong, "they were right", "ada")
    assert len(chain.held(cycle)) == 1


def test_a_person_lets_it_go_for_good(chain: Chain) -> None:
    """By cycle, name and reason: no later cycle is held by that landing, one that lands later holds this one too."""
    chain.week(100.0)
    first = chain.cycle()
    assert len(chain.held(first)) == 1
    chain.later()
    turn.go_on(chain.platform, first, "ada", "a new currency")
    assert chain.held(first) == []
    cycles.give_up(chain.platform.ledger, first.cycle_id, "ada", "later", chain.platform.clock.now())
    second = chain.cycle("b")
    assert chain.held(second) == []
    chain.week(0.001)
    (said,) = chain.held(second)
    assert "week 11.csv" in said


def test_what_was_let_go_is_usual(chain: Chain) -> None:
    """A new currency is said once: the next file like it is as usual."""
    chain.week(100.0)
    chain.later()
    turn.go_on(chain.platform, chain.cycle(), "ada", "a new currency")
    chain.week(100.0)
    assert all(one.passed for one in newest(*chain.args).findings)
    assert len(chain.said()) == 1


def test_what_was_corrected_is_not_let_go(chain: Chain) -> None:
    """Who lets a cycle go on later for another landing has not said that the wrong one was right."""
    chain.week(100.0)
    chain.deliver("right.csv", chain.weeks - 1, again=True)
    chain.week(0.001)
    turn.go_on(chain.platform, chain.cycle(), "ada", "a clearance")
    chain.week(100.0)
    assert any("week 12.csv" in said for said in chain.said())


def test_what_the_live_version_learnt_is_doubted_no_more(chain: Chain) -> None:
    """Landings count that came after its training set was made; after a rollback those of before count again."""
    chain.go_live("early")
    chain.week(100.0)
    assert len(chain.said()) == 1
    chain.go_live("late")
    assert chain.said() == []
    chain.go_live("early")
    assert len(chain.said()) == 1


def test_what_a_quarantine_leaves_out_holds_nothing(chain: Chain) -> None:
    """As long as it stands, and only if it leaves out every event of the landing."""
    chain.week(100.0)
    at, now = MONDAY + (chain.weeks - 1) * WEEK, chain.platform.clock.now()
    ledger = chain.platform.ledger
    part = quarantines.quarantine(
        ledger, quarantines.named("chain", "sales", at + WEEK, at + 2 * WEEK, "ada", "x", now)
    )
    assert len(chain.said()) == 1
    whole = quarantines.quarantine(ledger, quarantines.named("chain", "sales", at, at + WEEK, "ada", "cents", now))
    assert chain.said() == []
    for one in (part, whole):
        quarantines.release(ledger, "chain", one.quarantine_id, "ada", "delivered again", now)
    assert len(chain.said()) == 1


def test_a_cycle_that_comes_before_the_look_looks_itself(chain: Chain) -> None:
    """Between landing and look nothing is learnt unseen."""
    at = MONDAY + chain.weeks * WEEK
    chain.platform.clock.set(at + WEEK)
    lines = "\n".join(["shop,at,price", *(f"{shop},{at:%Y-%m-%dT%H:%M:%SZ},{200 + shop}" for shop in range(SHOPS)), ""])
    InMemoryDelivery(chain.platform.event_source).whole(
        "chain/sales", "x.csv", lines.encode(), chain.platform.clock.now()
    )
    land(*chain.args)
    (said,) = chain.held(chain.cycle())
    assert "x.csv" in said


def test_a_look_that_is_killed_tells_it_once(tmp_path: Path) -> None:
    """The ledger is told first, the table of landings next: whatever comes between, the doubt is there, once."""
    lake = DyingLake(dies_at=ENOUGH + 3, end="quality/sales")
    chain = Chain(Team("chain", tmp_path, models=(MODEL,)), lake, tmp_path)
    chain.quiet()
    with pytest.raises(Killed):
        chain.week(100.0)
    chain.weeks += 1
    look(*chain.args)
    assert len(chain.said()) == 1
    assert len(history(*chain.args, 99)) == chain.weeks


def test_a_model_that_is_only_warned_says_so(chain: Chain) -> None:
    """Its story has the landing, and nothing holds it."""
    chain.week(100.0)
    cycle, model = chain.cycle(), replace(MODEL, source_checks="warn")
    assert turn.held_by(chain.platform, chain.team, model, cycle) == []
    (entry,) = chain.platform.ledger.entries(REF, [DOUBTED])
    assert sentence(entry).startswith("goes on, though its data is odd: sales: week 10.csv landed")


def test_a_contract_that_cannot_be_read_holds_its_own_models(chain: Chain) -> None:
    """It is said, and no tick fails for it."""
    (chain.folder / "sales.yaml").write_text("schema: []\n")
    (said,) = chain.said()
    assert said.startswith("sales: its landings cannot be looked at: ")
