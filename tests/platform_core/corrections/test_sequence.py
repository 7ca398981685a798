"""Which row of a key holds is said by the order in which they landed: no clock, modification time or hash decides."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopline.platform_core.contracts.event_stream import Record
from loopline.platform_core.errors import NotFound
from loopline.platform_core.foundation.clock import ReplayClock
from loopline.platform_core.ingestion import arrivals
from loopline.platform_core.ingestion.current_row_reads import turned_rows
from loopline.platform_core.ingestion.current_rows import holding
from loopline.platform_core.ingestion.landing import land
from loopline.platform_core.ingestion.letters.dead_letters import dead_letters, replay
from loopline.platform_core.ingestion.letters.letter_tally import Tallies
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import Source, Team
from loopline.platform_core.testing.fakes.event_stream import InMemoryEventStream
from loopline.resources.delta.lake import DeltaLake
from loopline.resources.folder.event_source import FolderEventSource
from tests.platform_core.homes import opened
from tests.repeats import draws

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: prices
version: 1.0.0
schema:
  - name: prices
    properties:
      - {name: article, logicalType: string, primaryKey: true}
      - {name: price, logicalType: number, logicalTypeOptions: {minimum: %s}}
"""
RAW = "shop/raw/prices"
FILES, STREAM = Source("prices", "prices.yaml"), Source("ticks", "prices.yaml", arrives="stream")


@dataclass
class Prices:
    """A source whose rows are named by an article, of files or a stream, and a clock that goes as it is told."""

    folder: Path
    source: Source = FILES
    platform: Platform = field(init=False)

    def __post_init__(self) -> None:
        """Open a platform on a folder, a stream and a Delta lake."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.contract(minimum=0)
        self.events = FolderEventSource(root=str(self.folder / "landing"), still_seconds=0)
        self.place = self.folder / "landing/shop" / self.source.name
        self.place.mkdir(parents=True, exist_ok=True)
        vendors = {"event_source": self.events, "event_stream": InMemoryEventStream()}
        self.platform = opened(self.folder, NOON, **vendors)

    @property
    def args(self) -> tuple[Platform, Team, Source]:
        """Return what functions take first."""
        return self.platform, Team("shop", self.folder), self.source

    def contract(self, minimum: float) -> None:
        """Ask for prices of no less than that."""
        (self.folder / "prices.yaml").write_text(CONTRACT % minimum)

    def clock(self, at: datetime) -> None:
        """Set the platform's clock."""
        ReplayClock(self.folder / "clock").set(at)

    def put(self, name: str, price: float, at: datetime = NOON, article: str = "hat") -> None:
        """Let a file of one row lie there with a modification time."""
        self.put_all(name, {article: price}, at)

    def put_all(self, name: str, prices: Mapping[str, float], at: datetime = NOON) -> None:
        """Let a file lie there with a modification time."""
        draft = self.place / f"{name}.part"
        draft.write_text("article,price\n" + "".join(f"{article},{price}\n" for article, price in prices.items()))
        os.utime(draft, (at.timestamp(), at.timestamp()))
        draft.rename(self.place / name)

    def send(self, price: float, partition_key: str = "hat") -> None:
        """Publish a record."""
        value = json.dumps({"article": "hat", "price": price}).encode()
        self.platform.event_stream.publish(f"shop/{self.source.name}", [Record(value, key=partition_key.encode())])

    @property
    def held(self) -> dict[str, float]:
        """Return the prices that hold."""
        rows = holding(self.platform.lake.read(f"shop/raw/{self.source.name}"), ("article",)).to_pylist()
        return {row["article"]: row["price"] for row in rows}

    def say(self, what: str, name: str) -> arrivals.Landed:
        """Withdraw or restore an arrival."""
        return {"withdraw": arrivals.withdraw, "restore": arrivals.restore}[what](*self.args, name, "why", "ada")

    def told(self, kind: str) -> list[Any]:
        """Return the ledger's entries of a kind."""
        return self.platform.ledger.entries(kinds=[kind])


@pytest.fixture
def prices(tmp_path: Path) -> Prices:
    """Open one of files."""
    return Prices(tmp_path)


@pytest.mark.parametrize(
    "at", [NOON, NOON - timedelta(days=1), datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)], ids=["same", "older", "1970"]
)
def test_a_correction_holds_whatever_its_files_time(prices: Prices, at: datetime) -> None:
    """Of an archive files come with one time, or one of long ago; names are such that no order of them would do."""
    for place, name in enumerate(["m.csv", "a.csv", "z.csv", "b.csv"]):
        prices.put(name, place, at if place else NOON)
        assert land(*prices.args).rows == 1
        assert prices.held == {"hat": place}


def test_a_correction_holds_though_the_clock_was_ahead(prices: Prices) -> None:
    """A file landed while the clock was an hour ahead; the corrections of the hour after hold."""
    for minutes, price in ((60, 10), (20, 99), (40, 98)):
        prices.clock(NOON + timedelta(minutes=minutes))
        prices.put(f"{price}.csv", price, NOON + timedelta(minutes=minutes))
        land(*prices.args)
        assert prices.held == {"hat": price}


def test_a_streams_later_record_holds_though_its_worker_is_behind(tmp_path: Path) -> None:
    """Also one that comes by another partition, whose offsets begin at 0, as where partitions were added."""
    prices = Prices(tmp_path, STREAM)
    for place, (seconds, key) in enumerate(((0, "a"), (-2, "a"), (-1, "a"), (-3, "b"), (-4, "c"))):
        prices.clock(NOON + timedelta(seconds=seconds))
        prices.send(place, key)
        land(*prices.args)
        assert prices.held == {"hat": place}


@pytest.mark.parametrize("source", [FILES, STREAM], ids=["files", "stream"])
def test_a_letter_let_in_later_does_not_hold_over_what_came_after_it(tmp_path: Path, source: Source) -> None:
    """It has the number of its landing, though clocks went back; where nothing came after it, it holds."""
    for later in (True, False):
        prices = Prices(tmp_path / str(later), source)
        prices.contract(minimum=10)
        for minutes, price in ((60, 20), (30, 1), *([(10, 30)] if later else [])):
            prices.clock(NOON + timedelta(minutes=minutes))
            prices.put(f"{price}.csv", price) if source is FILES else prices.send(price)
            land(*prices.args)
        assert len(dead_letters(*prices.args)) == 1
        prices.contract(minimum=0)
        assert replay(*prices.args).replayed == 1
        assert prices.held == {"hat": 30 if later else 1}


def test_a_row_mended_by_hand_holds_over_all_before(prices: Prices) -> None:
    """Who mends a row says how it is now."""
    prices.contract(minimum=10)
    for price in (1, 30):
        prices.put(f"{price}.csv", price)
        land(*prices.args)
    letters = dead_letters(*prices.args).select(["letter_id"])
    mended = letters.append_column("price", [["40"]])
    prices.clock(NOON - timedelta(hours=1))
    assert replay(*prices.args, mended, "ada", "typo").replayed == 1
    assert prices.held == {"hat": 40}


@pytest.mark.parametrize("minutes", [(0, 0, 0), (0, 30, -10)], ids=["stands", "back"])
def test_an_arrival_is_withdrawn_again_whatever_the_clock(prices: Prices, minutes: tuple[int, ...]) -> None:
    """Withdrawn, restored, withdrawn: the third is not undone by the second, though it bears an earlier time."""
    prices.put("a.csv", 1)
    prices.put("b.csv", 2, NOON + timedelta(minutes=1))
    prices.clock(NOON + timedelta(hours=1))
    land(*prices.args)
    for minute, what, price in zip(minutes, ("withdraw", "restore", "withdraw"), (1, 2, 1), strict=True):
        prices.clock(NOON + timedelta(hours=1, minutes=minute))
        prices.say(what, "b.csv")
        assert prices.held == {"hat": price}
    assert [bool(one.withdrawn_at) for one in arrivals.landed(*prices.args)] == [True, False]


def test_a_kill_loses_neither_who_withdrew_nor_why(prices: Prices, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason is in the commit that withdraws; the next landing writes it into the ledger, once."""
    prices.put("a.csv", 1)
    land(*prices.args)

    def killed(*_: Any, **__: Any) -> None:
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(type(prices.platform.ledger), "record", killed)
        with pytest.raises(SystemExit):
            prices.say("withdraw", "a.csv")
    assert prices.told("arrival.withdrawn") == []
    for _ in range(2):
        land(*prices.args)
        [entry] = prices.told("arrival.withdrawn")
        assert (entry.actor, entry.reason, entry.details["name"]) == ("ada", "a.csv: why", "a.csv")


def test_a_withdrawn_file_that_is_delivered_again_is_told(prices: Prices) -> None:
    """Its content landed already, so that nothing lands; the ledger says so once, and what to do."""
    prices.put("a.csv", 1)
    land(*prices.args)
    prices.say("withdraw", "a.csv")
    land(*prices.args)
    assert prices.told("arrival.delivered_again") == []
    prices.put("a.csv", 1, NOON + timedelta(hours=2))
    for _ in range(2):
        land(*prices.args)
        [entry] = prices.told("arrival.delivered_again")
        assert "loopline arrivals restore shop/prices a.csv" in entry.reason
    prices.say("restore", "a.csv")
    assert prices.held == {"hat": 1}


def test_withdrawals_are_no_landings(prices: Prices) -> None:
    """Rows and arrivals are counted as they came, however often they are withdrawn and restored."""
    prices.put("a.csv", 1)
    land(*prices.args)
    for what in ("withdraw", "restore") * 3:
        prices.say(what, "a.csv")
        land(*prices.args)
    assert [entry.details["rows"] for entry in prices.told("arrival.landed")] == [1]
    assert Tallies().newest(prices.platform.ledger)[0].rows == 1
    prices.say("withdraw", "a.csv")
    prices.put("b.csv", 2)
    land(*prices.args)
    assert [entry.details["rows"] for entry in prices.told("arrival.landed")] == [1, 1]


def test_an_id_is_named_by_twelve_letters_or_more(prices: Prices) -> None:
    """A variable of a shell that is not set, or a short word, names nothing."""
    prices.put("a.csv", 1)
    land(*prices.args)
    [one] = arrivals.landed(*prices.args)
    for short in ("", one.arrival_id[:3], one.arrival_id[:11]):
        with pytest.raises(NotFound):
            prices.say("withdraw", short)
    assert prices.say("withdraw", one.arrival_id[:12]).withdrawn_at


def test_two_who_land_at_once_have_two_numbers(prices: Prices) -> None:
    """Who is overtaken between its look and its commit takes the number behind; what both would land, lands once."""
    prices.put("a.csv", 1)
    lake: Any = prices.platform.lake
    others: Iterator[float] = iter([2, 3])

    class Overtaken(DeltaLake):
        def append(self, table: str, *rest: Any, **more: Any) -> int:
            if "/raw/" in table and (price := next(others, None)) is not None:
                (prices.place / "a.csv").rename(prices.folder / "a.csv")
                prices.put(f"{price}.csv", price)
                bindings["lake"] = lake
                land(*prices.args)
                (prices.folder / "a.csv").rename(prices.place / "a.csv")
            return super().append(table, *rest, **more)

    bindings: Any = prices.platform.environment.bindings
    bindings["lake"] = Overtaken(root=lake.root)
    land(*prices.args)
    rows = lake.read("shop/raw/prices").sort_by("_sequence")
    assert rows["price"].to_pylist() == [2, 3, 1]
    assert rows["_sequence"].to_pylist() == [1, 2, 3]
    assert prices.held == {"hat": 1}


minutes_off = st.integers(-90, 90)
turns = st.lists(
    st.tuples(st.sampled_from(["land", "land", "land", "turn"]), st.integers(0, 9), minutes_off, minutes_off),
    min_size=2,
    max_size=9,
)


@draws(8)
@given(drawn=turns)
def test_clocks_that_disagree_change_nothing(tmp_path_factory: Any, drawn: list[tuple[str, int, int, int]]) -> None:
    """Landings and withdrawals hold in the order in which they came, whatever clock and files' times say."""
    prices = Prices(tmp_path_factory.mktemp("clocks"))
    came: dict[str, tuple[str, float]] = {}
    back: set[str] = set()
    for place, (what, number, clock, mtime) in enumerate(drawn):
        prices.clock(NOON + timedelta(minutes=clock))
        if what == "turn" and came:
            name = sorted(came)[number % len(came)]
            prices.say("restore" if name in back else "withdraw", name)
            back ^= {name}
        else:
            article, price = "ab"[number % 2], float(number)
            came[f"{place}.csv"] = (article, price)
            prices.put(f"{place}.csv", price, NOON + timedelta(minutes=mtime), article)
            land(*prices.args)
        assert prices.held == dict(value for name, value in came.items() if name not in back)


snapshots = st.lists(
    st.one_of(st.just("replay"), st.dictionaries(st.sampled_from("abcd"), st.integers(0, 2), min_size=1)),
    min_size=2,
    max_size=8,
)


@draws(8)
@given(drawn=snapshots)
def test_what_changed_is_what_held_before_or_holds_now(tmp_path_factory: Any, drawn: list[Any]) -> None:
    """Of snapshots that say mostly the same, and of letters that are let in under numbers of long ago."""
    prices, than = Prices(tmp_path_factory.mktemp("snapshots")), -1
    lake, key = prices.platform.lake, ("article",)
    for place, turn in enumerate(drawn):
        prices.contract(minimum=0 if turn == "replay" else 1)
        if turn == "replay":
            replay(*prices.args)
        else:
            prices.put_all(f"{place}.csv", turn)
            land(*prices.args)
        version = lake.version(RAW)
        if version is None or version == than:
            continue
        changed = _named(turned_rows(lake, RAW, version, than, key).rows) if than >= 0 else set()
        before = _named(holding(lake.read(RAW, version=than), key)) if than >= 0 else set()
        now = _named(holding(lake.read(RAW, version=version), key))
        assert than < 0 or changed == before ^ now
        than = version


def _named(rows: Any) -> set[tuple[str, int]]:
    return set(zip(rows["_arrival"].to_pylist(), rows["_line"].to_pylist(), strict=True))
