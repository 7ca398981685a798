"""A look that reads what is new finds what one finds that reads everything, whatever was corrected or taken back."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import narwhals as nw
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopline.platform_core.foundation.names import (
    ARRIVAL,
    ARRIVED_AT,
    DATE,
    LINE,
    SEQUENCE,
    ModelRef,
    prediction_table,
    raw_table,
    realised_table,
)
from loopline.platform_core.ingestion.current_row_reads import TAKEN_BACK
from loopline.platform_core.ingestion.current_rows import mark
from loopline.platform_core.loop.rollouts import quality_table
from loopline.platform_core.monitor.quality import (
    label_join,
    quality_history,
    quality_snapshot,
    snapshot_cache,
    version_quality,
)
from loopline.platform_core.monitor.quality.snapshot_cache import Header, last_look
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import Labels, Model, Quality, Source, Team, labels
from loopline.platform_core.testing.engines.engine_tables import put_contract
from loopline.resources.delta.lake import DeltaLake
from loopline.resources.polars.engine import PolarsEngine
from tests.platform_core.homes import opened, raw_rows
from tests.repeats import repeats

ORDERS = Source("orders", contract="orders.yaml")
REF = ModelRef("shop", "again")
RAW, ANSWERS = raw_table("shop", "orders"), prediction_table(*REF)
START = datetime(2011, 3, 7, tzinfo=UTC)
INSTANT = pa.timestamp("us", tz="UTC")
CUSTOMERS = 5
LABELLED_AFTER = timedelta(days=3)


@labels(ORDERS, entities=("customer",), time="ordered_at", label="again", known_at="known_at", segments=("country",))
def again(rows: nw.LazyFrame) -> nw.LazyFrame:
    """Per order: does its customer order again within three days; a customer has many orders."""
    later = nw.col("ordered_at").shift(-1).over("customer", order_by=["ordered_at", "order_id"])
    known = rows.with_columns(known_at=nw.col("ordered_at").dt.offset_by("3d"), later=later)
    label = nw.when(nw.col("later") < nw.col("known_at")).then(1.0).otherwise(0.0)
    return known.with_columns(again=label).select("customer", "ordered_at", "again", "known_at", "country")


again_near = replace(again, reach_days=3)
"""It says how far it looks."""


@labels(ORDERS, entities=("order_id",), time="ordered_at", label="large", known_at="known_at", segments=("country",))
def large(rows: nw.LazyFrame) -> nw.LazyFrame:
    """Per order: is it large; an order comes once, unless it was delivered twice."""
    known = rows.with_columns(known_at=nw.col("ordered_at").dt.offset_by("3d"), large=nw.col("amount") / 10)
    return known.select("order_id", "ordered_at", "large", "known_at", "country")


@labels(ORDERS, entities=("order_id",), time="ordered_at", label="above", known_at="known_at")
def above(rows: nw.LazyFrame) -> nw.LazyFrame:
    """Per order: is it larger than orders are on average, which every new one changes."""
    above_average = (nw.col("amount") > nw.col("amount").mean()).cast(nw.Float64)
    known = rows.with_columns(known_at=nw.col("ordered_at").dt.offset_by("3d"), above=above_average)
    return known.select("order_id", "ordered_at", "above", "known_at")


@dataclass
class World:
    """A lake into which the tests write raw rows and answers themselves."""

    platform: Platform
    model: Model
    orders: int = 0
    arrivals: int = 0
    answered: int = 0
    withdrawals: int = 0
    commits: int = 0

    @classmethod
    def of(cls, folder: Path, wanted: Labels, *, key: bool = False) -> World:
        """Make one in which five customers have ordered for a week, and were answered about."""
        folder.mkdir(exist_ok=True)
        put_contract(folder / ORDERS.contract, **COLUMNS)
        if key:
            text = (folder / ORDERS.contract).read_text()
            text = text.replace("logicalType: integer}", "logicalType: integer, primaryKey: true}", 1)
            (folder / ORDERS.contract).write_text(text)
        model = Model("again", (), wanted, fit=None, quality=Quality(days=2, min_rows=3))  # type: ignore[arg-type]
        world = cls(opened(folder, START + timedelta(days=8)), model)
        world.order([(number % CUSTOMERS, 3 * number, number % 2 * 10) for number in range(50)])
        world.answer([(number, number % 3, number * 7 % 50 / 50) for number in range(0, 50, 2)])
        return world

    @property
    def team(self) -> Team:
        """Return the team."""
        return Team("shop", self.platform.home, (self.model,))

    def order(self, rows: list[tuple[int, int, int]], first: int | None = None) -> None:
        """Let an arrival of (customer, hours since the start, amount) land: new orders, or corrections of old ones."""
        numbers = [(self.orders if first is None else first) + place for place in range(len(rows))]
        self.orders = max(self.orders, numbers[-1] + 1)
        times = [START + timedelta(hours=hours) for _, hours, _ in rows]
        self.arrivals += 1
        told = {
            "order_id": numbers,
            "customer": [customer for customer, _, _ in rows],
            "amount": [float(amount) for _, _, amount in rows],
            "country": ["FR" if customer % 2 else "DE" for customer, _, _ in rows],
            ARRIVAL: [f"a{self.arrivals}"] * len(rows),
            LINE: range(len(rows)),
            ARRIVED_AT: [self.platform.clock.now()] * len(rows),
        }
        self._land(raw_rows("ordered_at", ordered_at=times, **told), {})

    def _land(self, rows: pa.Table, transactions: dict[str, int]) -> None:
        """Give rows the next number, as a landing does."""
        self.commits += 1
        numbers = pa.array([self.commits] * len(rows))
        self.platform.lake.append(RAW, rows.append_column(SEQUENCE, numbers), transactions)

    def withdraw(self, arrival: int) -> None:
        """Take an arrival back."""
        self.withdrawals += 1
        self._land(mark(f"a{arrival}", "withdrawn", self.platform.clock.now()), {TAKEN_BACK: self.withdrawals})

    def answer(self, rows: list[tuple[int, int, float]]) -> None:
        """Answer about (order, version, score): version 2 is a shadow."""
        known = {
            row["order_id"]: row for row in self.platform.lake.read(RAW).to_pylist() if row["order_id"] is not None
        }
        told = [self._row(known.get(n, {"customer": 0, "ordered_at": START}), n, v, score) for n, v, score in rows]
        self.platform.lake.append(ANSWERS, pa.Table.from_pylist(told, schema=SCHEMA))

    def _row(self, order: dict[str, Any], number: int, version: int, score: float) -> dict[str, Any]:
        self.answered += 1
        logged = self.platform.clock.now() - timedelta(seconds=self.answered % 3)
        return {
            "request_id": f"r{self.answered}",
            "row": 0,
            "role": "shadow" if version == 2 else "stable",
            "version": str(version),
            "event_time": order["ordered_at"],
            "logged_at": logged,
            "score": None if score < 0.05 else score,
            "keys": json.dumps({"order_id": number, "customer": order["customer"]}),
            "features": json.dumps({"channel": "web" if number % 2 else "shop"}),
            DATE: order["ordered_at"].date(),
        }

    def look(self) -> list[Any]:
        """Measure, and return all that was found."""
        found = quality_history.measured(self.platform, self.team, self.model)
        lake, table = self.platform.lake, realised_table(*REF)
        realised = [] if lake.version(table) is None else sorted(map(str, lake.read(table).to_pylist()))
        return [found, quality_table.rows(self.platform.ledger, REF), realised]

    @property
    def header(self) -> Header:
        """Return what the last look kept of itself."""
        kept = last_look(self.kept)
        return kept.header

    @property
    def kept(self) -> Path:
        """Return where it is kept."""
        return quality_snapshot.look_path(self.platform, REF)

    @property
    def rows(self) -> Path:
        """Return the one file of rows beside it."""
        (path,) = self.kept.parent.glob("*.rows")
        return path


COLUMNS = {
    "order_id": "integer",
    "customer": "integer",
    "ordered_at": "timestamp",
    "amount": "number",
    "country": "string",
}
SCHEMA = pa.schema(
    [
        ("request_id", pa.string()),
        ("row", pa.int32()),
        ("role", pa.string()),
        ("version", pa.string()),
        ("event_time", INSTANT),
        ("logged_at", INSTANT),
        ("score", pa.float64()),
        ("keys", pa.string()),
        ("features", pa.string()),
        (DATE, pa.date32()),
    ]
)
CUSTOMER, HOUR, AMOUNT = st.integers(0, CUSTOMERS + 1), st.integers(0, 240), st.sampled_from([0, 10])
ROWS = st.lists(st.tuples(CUSTOMER, HOUR, AMOUNT), min_size=1, max_size=4)
STEP = st.one_of(
    st.tuples(st.just("order"), ROWS),
    st.tuples(st.just("correct"), ROWS, st.integers(0, 40)),
    st.tuples(st.just("withdraw"), st.integers(1, 4)),
    st.tuples(
        st.just("answer"),
        st.lists(st.tuples(st.integers(0, 60), st.integers(0, 2), st.floats(0, 1)), min_size=1, max_size=5),
    ),
    st.tuples(st.just("wait"), st.integers(1, 5)),
    st.tuples(st.just("tidy")),
)


def step(world: World, what: str, *told: Any) -> None:
    """Let something happen."""
    if what == "order":
        world.order(told[0])
    elif what == "correct":
        world.order(told[0], first=told[1])
    elif what == "withdraw":
        world.withdraw(told[0])
    elif what == "answer":
        world.answer(told[0])
    elif what == "wait":
        world.platform.clock.set(world.platform.clock.now() + timedelta(days=told[0]))
    else:
        world.platform.lake.tidy(RAW, (), timedelta(days=1))


@settings(max_examples=repeats(6), deadline=None, derandomize=True)
@given(
    wanted=st.sampled_from([again, large, again_near, replace(large, reach_days=0)]),
    key=st.booleans(),
    rows_a_look=st.sampled_from([0, snapshot_cache.ROWS_A_LOOK, 10**9]),
    steps=st.lists(STEP, min_size=3, max_size=7),
)
def test_increments_are_the_whole(wanted: Labels, key: bool, rows_a_look: int, steps: list[tuple[Any, ...]]) -> None:
    """Two worlds in which the same happens: one looks at what is new, the other forgets each look.

    Rows are written anew at each look, now and then, or never. Labels that say how far they look are computed from
    raw rows as near to the new ones alone, and are those of the world that says nothing.
    """
    with TemporaryDirectory() as one, TemporaryDirectory() as other, pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshot_cache, "ROWS_A_LOOK", rows_a_look)
        on = World.of(Path(one), wanted, key=key)
        anew = World.of(Path(other), replace(wanted, reach_days=None), key=key)
        assert on.look() == anew.look()
        for each in steps:
            for world in (on, anew):
                step(world, *each)
            anew.kept.unlink()
            assert on.look() == anew.look(), each
        assert on.header.by_entity
        assert on.header.within_reach == (wanted.reach_days is not None)
        for world in (on, anew):
            world.platform.close()


@pytest.fixture
def world_of(tmp_path: Path) -> Callable[..., World]:
    """Give what makes a world of some labels."""
    return lambda wanted, **how: World.of(tmp_path, wanted, **how)


def test_of_two_answers_to_an_example_one_counts(world_of: Callable[..., World]) -> None:
    """Also where the first of all rows is one of them: numbers of examples that a version did not meet named it too."""
    world = world_of(large)
    once = [quality.predictions for quality in world.look()[0].versions]
    world.platform.clock.set(world.platform.clock.now() + timedelta(hours=1))
    world.answer([(number, number % 3, number * 7 % 50 / 50) for number in range(0, 50, 2)])
    assert [quality.predictions for quality in world.look()[0].versions] == once


def test_a_look_reads_what_is_new(world_of: Callable[..., World], monkeypatch: pytest.MonkeyPatch) -> None:
    """The second look asks the lake for no answer and no raw row that the first has read, but those of the entity."""
    world = world_of(again)
    world.look()
    first = world.header
    world.order([(3, 170, 10)])
    world.answer([(50, 0, 0.7)])
    asked: list[tuple[str, dict[str, Any]]] = []
    read = DeltaLake.read
    monkeypatch.setattr(DeltaLake, "read", lambda self, t, **how: asked.append((t, how)) or read(self, t, **how))
    world.look()
    assert world.header.everything_at == first.everything_at
    assert {how.get("newer_than") for table, how in asked if table == ANSWERS and DATE not in how["columns"][:1]} == {0}
    assert [how["among"]["customer"].to_pylist() for table, how in asked if table == RAW and how.get("among")] == [[3]]


def test_labels_that_look_at_others_are_computed_whole(world_of: Callable[..., World]) -> None:
    """An average of all orders moves with each: no look may take the labels of before for those of now."""
    world = world_of(above)
    world.look()
    assert not world.header.by_entity
    began = world.header.everything_at
    world.order([(1, 170, 1_000)])
    world.look()
    assert world.header.everything_at > began


@pytest.mark.parametrize("key", [False, True])
def test_of_a_long_history_only_what_lies_within_reach_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: bool
) -> None:
    """A label that looks three days ahead is computed again from six days around a new row, however old the shop is.

    Without a reach all rows of its customer are read and computed, 20 times as many after 20 times as long.
    """
    computed: dict[tuple[bool, int], int] = {}
    days: dict[tuple[bool, int], set[Any]] = {}
    for wanted in (again, again_near):
        for length in (20, 400):
            world = World.of(tmp_path / f"{wanted.reach_days}_{length}", wanted, key=key)
            world.order([(3, hour, 0) for hour in range(240, 240 + 24 * length, 24)])
            world.platform.clock.set(START + timedelta(days=12 + length))
            world.look()
            began = world.header.everything_at
            world.order([(3, 24 * (length + 9), 10)])
            which = wanted is again_near, length
            engine, read = PolarsEngine.compute_labels, DeltaLake.read

            def counting(self: PolarsEngine, of: Labels, raw: pa.Table, which=which, engine=engine) -> pa.Table:  # type: ignore[no-untyped-def]
                computed[which] = computed.get(which, 0) + len(raw)
                return engine(self, of, raw)

            def noting(self: DeltaLake, table: str, which=which, read=read, **how: Any) -> pa.Table:  # type: ignore[no-untyped-def]
                if table == RAW and "among" in how and "customer" in (how["among"] or {}):
                    days.setdefault(which, set()).add((how.get("since"), how.get("until")))
                return read(self, table, **how)

            with monkeypatch.context() as patch:
                patch.setattr(PolarsEngine, "compute_labels", counting)
                patch.setattr(DeltaLake, "read", noting)
                found = world.look()
            assert world.header.everything_at == began
            world.kept.unlink()
            assert world.look() == found
            world.platform.close()
    assert computed[True, 400] == computed[True, 20] < 10
    assert computed[False, 400] > 400
    if not key:  # a row with a key may have left the days by a correction, so all its versions are looked at
        newest = (START + timedelta(days=409)).date()
        assert days[True, 400] == {(newest - timedelta(days=6), newest + timedelta(days=6))}
    assert days[False, 400] == {(None, None)}


def test_labels_that_reach_further_than_they_say_are_computed_of_all_rows(tmp_path: Path) -> None:
    """A customer orders each fifteen hours: the trial tells, so that figures are those of labels that say nothing."""
    found = []
    for name, reach in (("honest", None), ("dishonest", 0.25)):
        world = World.of(tmp_path / name, replace(again, reach_days=reach))
        world.look()
        assert world.header.by_entity
        assert not world.header.within_reach
        world.order([(3, 100, 10)])
        found.append(world.look())
        world.platform.close()
    assert found[0] == found[1]


@pytest.mark.parametrize("file", ["head", "rows"])
def test_a_file_that_is_broken_is_no_look(world_of: Callable[..., World], file: str) -> None:
    """None, half a file, or another's: everything is read, and the figures are the same."""
    world = world_of(large)
    found = world.look()[1]
    for content in ("", "nonsense", "half", "another's", "gone"):
        path, other = (world.kept, world.rows) if file == "head" else (world.rows, world.kept)
        whole = path.read_bytes()
        contents = {"half": whole[: len(whole) // 2], "another's": other.read_bytes()}
        path.write_bytes(contents.get(content, content.encode()))
        if content == "gone":
            path.unlink()
        assert last_look(world.kept) is None, content
        assert [row.measured for row in world.look()[1]] == [row.measured for row in found], content
        assert world.header.raw == world.platform.lake.version(RAW)


def test_everything_is_read_a_day_later_under_other_rules_and_where_rows_went(
    world_of: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever may have changed unseen is seen then."""
    world = world_of(large)
    world.look()
    began = world.header.everything_at
    world.look()
    assert world.header.everything_at == began
    world.model = replace(world.model, labels=replace(large, segments=()))
    world.look()
    assert world.header.everything_at > began, "other labels"
    began = world.header.everything_at
    assert world.platform.lake.drop_days(ANSWERS, (START + timedelta(days=2)).date())
    versions = world.look()[0].versions
    assert world.header.everything_at > began, "answers went"
    assert sum(quality.predictions for quality in versions) < 25
    began = world.header.everything_at
    monkeypatch.setattr(quality_snapshot, "WHOLE_SECONDS", 0.0)
    world.look()
    assert world.header.everything_at > began, "a day later"


def test_figures_by_a_served_feature_are_those_of_the_whole(tmp_path: Path) -> None:
    """Features are read of the days that need them, whichever way the answers came."""
    found = []
    for name in ("on", "anew"):
        world = World.of(tmp_path / name, large)
        world.model = replace(world.model, segments=("channel",))
        world.look()
        world.order([(1, 170, 10), (2, 171, 0)])
        world.answer([(50, 0, 0.7), (51, 0, 0.2)])
        world.platform.clock.set(world.platform.clock.now() + LABELLED_AFTER)
        if name == "anew":
            world.kept.unlink()
        found.append(world.look())
    assert found[0] == found[1]
    assert any("channel=shop" in row.measured for row in found[0][1])


def after(folder: Path, days: int, *, key: bool = False) -> World:
    """Make a world in which an order a customer came each day, was answered about, and was looked at in the end."""
    world = World.of(folder, large, key=key)
    hours = range(240, 240 + 24 * days, 24)
    world.order([(customer, hour, 10 * (hour % 48 == 0)) for hour in hours for customer in range(CUSTOMERS)])
    world.answer([(number, 0, number % 50 / 50) for number in range(50, world.orders)])
    world.platform.clock.set(START + timedelta(days=11 + days))
    world.look()
    return world


def one_more(world: World, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Count what a look does when two orders and an answer came; nobody looks at the time."""
    hours = int((world.platform.clock.now() - START) / timedelta(hours=1)) - 1
    world.order([(1, hours, 10), (2, hours, 0)])
    world.answer([(world.orders - 1, 0, 0.7)])
    did = {"bytes": 0, "rows": 0, "tables of windows": 0, "numbered": 0}

    def wrapped(owner: Any, name: str, count: Callable[..., tuple[str, int]]) -> None:
        own = getattr(owner, name)

        def counting(*given: Any, **named: Any) -> Any:
            what, many = count(*given)
            did[what] += many
            return own(*given, **named)

        patch.setattr(owner, name, counting)

    with monkeypatch.context() as patch:
        wrapped(snapshot_cache.files, "write", lambda _, content: ("bytes", len(content)))
        wrapped(snapshot_cache, "taken", lambda _, places: ("rows", len(places)))
        wrapped(label_join, "taken", lambda _, places: ("rows", len(places)))
        wrapped(label_join, "numbered_examples", lambda one, other: ("numbered", len(one.rows) + len(other.rows)))
        wrapped(quality_table, "rows", lambda *_: ("tables of windows", 1))
        world.look()
    did["tables of windows"] -= 1  # it is the test's own
    return did


def test_one_more_file_costs_as_much_after_a_long_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before, each look took up all rows and wrote them down again: 40 times as much after 40 times as long."""
    short, long = after(tmp_path / "short", 10), after(tmp_path / "long", 400)
    assert long.rows.stat().st_size > 10 * short.rows.stat().st_size
    few, many = (one_more(world, monkeypatch) for world in (short, long))
    assert few["bytes"] > 0
    assert many["bytes"] < 1.5 * few["bytes"]
    assert (many["rows"], many["numbered"]) == (few["rows"], few["numbered"])
    assert (few["tables of windows"], many["tables of windows"]) == (1, 1)


def test_rows_are_written_anew_when_much_has_changed(world_of: Callable[..., World]) -> None:
    """And the file of before goes; until then the head alone is written."""
    world = world_of(large)
    world.look()
    first = world.rows
    world.order([(1, 170, 10)])
    world.look()
    assert world.rows == first
    kept = last_look(world.kept)
    assert (len(kept.labels), kept.base.labels) == (51, 50)
    world.order([(number % CUSTOMERS, 170, 10) for number in range(200)])
    world.look()
    assert world.rows != first


@pytest.mark.parametrize(("rows_a_look", "write"), [(0, 1), (0, 2), (10**9, 1)])
def test_who_dies_while_keeping_leaves_the_look_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows_a_look: int, write: int
) -> None:
    """Killed before the file of rows, between it and the head, or before the head: the next one finds the same."""
    monkeypatch.setattr(snapshot_cache, "ROWS_A_LOOK", rows_a_look)
    found = []
    for name in ("killed", "anew"):
        world = World.of(tmp_path / name, large)
        world.look()
        before = world.header
        world.order([(1, 170, 10), (2, 171, 0)], first=3)
        world.answer([(50, 0, 0.7), (3, 0, 0.2)])
        if name == "killed":
            with monkeypatch.context() as patch:
                patch.setattr(snapshot_cache.files, "write", _dying(snapshot_cache.files.write, write))
                with pytest.raises(KeyboardInterrupt):
                    world.look()
            assert world.header == before
        else:
            world.look()
            world.kept.unlink()
        world.answer([(4, 0, 0.9)])
        found.append(world.look())
        assert len(list(world.kept.parent.iterdir())) == 2, "no file of rows is left behind"
    assert found[0] == found[1]


def _dying(write: Callable[[Path, bytes], None], at: int) -> Callable[[Path, bytes], None]:
    """Return a function that writes files, and dies before the one of a number."""
    written: list[Path] = []

    def dying(path: Path, content: bytes) -> None:
        written.append(path)
        if len(written) == at:
            raise KeyboardInterrupt
        write(path, content)

    return dying


def test_what_an_older_release_kept_is_read_no_more(world_of: Callable[..., World]) -> None:
    """It wrote both tables into one file, with their header beside the labels: everything is read, once."""
    world = world_of(large)
    found = world.look()[1]
    kept = last_look(world.kept)
    header = {name: value for name, value in msgspec.to_builtins(kept.header).items() if name != "examples"}
    labels = kept.labels.append_column("_example", pa.array(kept.label_numbers))
    answers = kept.answers.append_column("_example", pa.array(kept.answer_numbers))
    with world.kept.open("wb") as file:
        for table in (labels.replace_schema_metadata({b"loopline.look": msgspec.json.encode(header)}), answers):
            with pa.ipc.new_stream(file, table.schema) as writer:
                writer.write_table(table)
    assert last_look(world.kept) is None
    assert [row.measured for row in world.look()[1]] == [row.measured for row in found]
    assert world.header.everything_at > kept.header.everything_at


def test_of_two_at_once_the_file_of_rows_of_one_may_go(world_of: Callable[..., World]) -> None:
    """The other's head names a file that is not there: everything is read."""
    world = world_of(large)
    found = world.look()[1]
    one = snapshot_cache.last_look(world.kept)
    path, all_anew = world.kept, replace(one, base=None)
    said = one.realised, one.header.windows, one.header.lives
    all_anew.keep(path, *said)  # its rows take the place of those of the first
    one.keep(path, *said)
    assert last_look(path) is None
    assert [row.measured for row in world.look()[1]] == [row.measured for row in found]
    assert last_look(path) is not None


def come(world: World, times: int) -> None:
    """Let some answers more have a label."""
    first = world.orders
    world.order([(1, 240, 10)] * 5 * times)
    world.answer([(number, 0, 0.7) for number in range(first, world.orders)])


def flip(world: World, pairs: int) -> None:
    """Let a label of each kind become the other for each pair: there are as many of each as before."""
    rows = [(0, 240 + 24 * (place // CUSTOMERS), 10 * (place // CUSTOMERS % 2)) for place in range(2 * CUSTOMERS)]
    for place in [number * CUSTOMERS + shift for shift in range(pairs) for number in (0, 1)]:
        world.order([rows[place]], first=50 + place)


def answer_again(world: World, times: int) -> None:
    """Answer about examples that were answered."""
    world.answer([(number, 0, 0.99) for number in range(60, 60 + 2 * times)])


@pytest.mark.parametrize("happens", [come, flip, answer_again])
def test_a_whole_life_is_measured_anew_when_more_than_a_hundredth_of_it_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, happens: Callable[[World, int], None]
) -> None:
    """Until then a look tells of all rows that there are and measures none; then it finds what one of all rows does."""
    monkeypatch.setattr(version_quality, "FEW", 100)
    world = after(tmp_path / "long", 400, key=True)
    first, began = world.header, world.header.everything_at
    assert 800 < first.lives["0"].classes[0] < 1000
    happens(world, 1)
    found = world.look()[0].versions[0]
    assert world.header.lives["0"] == first.lives["0"]
    assert (found.labelled > sum(first.lives["0"].classes)) == (happens is come)
    assert found.figures["roc_auc"] == first.lives["0"].figures["roc_auc"]
    happens(world, 5)
    found = world.look()[0].versions
    assert world.header.everything_at == began
    assert world.header.lives["0"] != first.lives["0"]
    world.kept.unlink()
    assert world.look()[0].versions == found


def test_a_whole_life_is_measured_anew_by_another_threshold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its recall is another."""
    monkeypatch.setattr(version_quality, "FEW", 100)
    world = after(tmp_path / "long", 400)
    found = world.look()[0].versions[0]
    world.model = replace(world.model, threshold=0.9)
    other = world.look()[0].versions[0]
    assert other.figures["recall"] < found.figures["recall"]
    assert other.figures["roc_auc"] == found.figures["roc_auc"]


def test_answers_come_into_the_realised_table_as_the_lake_has_them(world_of: Callable[..., World]) -> None:
    """A look keeps a column of few values by numbers; the table that rollouts are judged by has text."""
    world = world_of(large)
    world.look()
    world.order([(1, 170, 10)])
    world.answer([(50, 1, 0.7)])
    world.platform.clock.set(world.platform.clock.now() + timedelta(days=9))
    world.look()
    table = world.platform.lake.read(realised_table(*REF))
    assert {table.schema.field(name).type for name in ("role", "version")} <= {pa.string(), pa.large_string()}
    assert {"0", "1"} <= set(table["version"].to_pylist())


def test_rows_of_other_times_are_not_numbered_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where event times tell examples apart, all orders of a customer were, 20 times as many after 20 times as long."""
    numbered = []
    for length in (20, 400):
        world = World.of(tmp_path / str(length), again_near)
        world.order([(3, hour, 0) for hour in range(240, 240 + 24 * length, 24)])
        world.answer([(number, 0, 0.5) for number in range(50, world.orders)])
        world.platform.clock.set(START + timedelta(days=12 + length))
        world.look()
        world.order([(3, 24 * (length + 9), 10)])
        world.answer([(world.orders - 1, 0, 0.7)])
        own = label_join.numbered_examples
        with monkeypatch.context() as patch:
            count: list[int] = []
            patch.setattr(
                label_join,
                "numbered_examples",
                lambda one, other, own=own, count=count, **how: (
                    count.append(len(one.rows) + len(other.rows)) or own(one, other, **how)
                ),
            )
            found = world.look()
        numbered.append(count)
        world.kept.unlink()
        assert world.look() == found
        world.platform.close()
    assert numbered[0] == numbered[1]
    assert sum(numbered[0]) < 20
