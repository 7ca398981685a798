"""What is settled of a folder is written down: a new process asks about what is new only, and finds the same."""

from __future__ import annotations

import hashlib
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loopline.platform_core.contracts.event_source import Arrival
from loopline.platform_core.ingestion.inbox import LandedIds, application
from loopline.resources.delta import transactions
from loopline.resources.delta.lake import DeltaLake
from loopline.resources.folder import landing_folder
from loopline.resources.folder.arrival_log import LOG, ArrivalLog
from loopline.resources.folder.event_source import FolderEventSource
from loopline.resources.folder.settled import SETTLED
from tests.repeats import repeats

MORNING = datetime(2024, 1, 2, tzinfo=UTC)
TABLE, SOURCE = "shop/raw/orders", "shop/orders"
ROW = pa.table({"n": pa.array([1], pa.int64())})


class World:
    """A folder whose files land in a table, as the platform does it."""

    def __init__(self, root: Path) -> None:
        self.root, self.folder, self.clock = root, root / "landing" / SOURCE, 0
        self.folder.mkdir(parents=True)
        self.lake, self.source = self.lake_anew(), self.source_anew()

    def lake_anew(self) -> DeltaLake:
        """Open the lake as a new process does."""
        return DeltaLake(root=str(self.root / "lake"))

    def source_anew(self) -> FolderEventSource:
        """Open the folder as a new process does."""
        return FolderEventSource(root=str(self.root / "landing"), still_seconds=0.0)

    def deliver(self, name: str, content: str) -> None:
        """Let a file come, in one piece."""
        self.clock += 1
        draft = self.folder / f".{name}"
        draft.write_text(content)
        at = (MORNING + timedelta(minutes=self.clock)).timestamp()
        os.utime(draft, (at, at))
        draft.rename(self.folder / name)

    def asked(self, lake: DeltaLake, source: FolderEventSource) -> tuple[LandedIds, list[Arrival]]:
        """Ask as ``landing`` does."""
        settled = source.settled(SOURCE)
        newer = lake.committed_since(TABLE, settled) if settled else None
        if newer is not None:
            known = LandedIds(lambda: lake.committed(TABLE), newer.mark, (settled, newer.transactions))
        else:
            known = LandedIds(lake.committed(TABLE), lake.mark(TABLE))
        return known, list(source.arrivals(SOURCE, known=known))

    def waiting(self) -> list[Arrival]:
        """Ask as a process that runs on."""
        return self.asked(self.lake, self.source)[1]

    def waiting_anew(self) -> list[Arrival]:
        """Ask as a process that begins."""
        return self.asked(self.lake_anew(), self.source_anew())[1]

    def truth(self) -> list[Arrival]:
        """Ask about every file, of a log that nobody sums up."""
        return list(self.source_anew().arrivals(SOURCE, known=set(LandedIds(self.lake_anew().committed(TABLE)))))

    def land(self, count: int | None = None) -> None:
        """Land what waits, as a run does that is a new process."""
        lake = self.lake_anew()
        for arrival in self.asked(lake, self.source_anew())[1][:count]:
            content = {application(arrival.content)} - lake.committed(TABLE, [application(arrival.content)]).keys()
            lake.append(TABLE, ROW, dict.fromkeys(content | {application(arrival.arrival_id)}, 1))


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Begin with ten files that have landed, of which it is written down."""
    return begun(tmp_path)


def begun(root: Path) -> World:
    """Land ten files, and let a process see that they have."""
    world = World(root)
    for number in range(10):
        world.deliver(f"{number}.csv", f"id\n{number}")
    world.land()
    world.waiting_anew()
    assert (world.folder / SETTLED).exists()
    return world


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Count lines of the log that are read, and looks at all transactions."""
    counts = {"lines": 0, "all": 0}
    keep, newest = ArrivalLog._keep, transactions.Transactions.newest
    complete = ArrivalLog.complete

    def kept(self: ArrivalLog, seen: Any) -> Any:
        counts["lines"] += len(seen)
        return keep(self, seen)

    def completed(self: ArrivalLog) -> None:
        counts["lines"] += 1_000 * self.is_partial
        complete(self)

    def all_of_them(self: transactions.Transactions, store: Any) -> Any:
        counts["all"] += 1
        return newest(self, store)

    monkeypatch.setattr(ArrivalLog, "_keep", kept)
    monkeypatch.setattr(ArrivalLog, "complete", completed)
    monkeypatch.setattr(transactions.Transactions, "newest", all_of_them)
    return counts


def test_a_new_process_reads_what_came_since(world: World, counted: dict[str, int]) -> None:
    """One line a new file, and no transaction of before."""
    world.deliver("new.csv", "id\nnew")
    assert [a.name for a in world.waiting_anew()] == ["new.csv"]
    assert counted == {"lines": 1, "all": 0}
    world.land()
    assert world.waiting_anew() == []
    assert counted["all"] == 0


@pytest.mark.parametrize(
    "happens",
    [
        lambda w: w.deliver("3.csv", "id\nmended"),
        lambda w: w.deliver("3.csv", "id\n3"),
        lambda w: w.deliver("9.csv", "id\n9"),
        lambda w: w.deliver("copy.csv", "id\n3"),
        lambda w: (w.folder / "3.csv").rename(w.folder / "other.csv"),
        lambda w: (w.folder / "3.csv").unlink(),
        lambda w: (w.folder / SETTLED).write_bytes(b"torn"),
        lambda w: (w.folder / SETTLED).write_bytes((w.folder / SETTLED).read_bytes()[:-9]),
        lambda w: (w.folder / LOG).unlink(),
        lambda w: (w.folder / LOG).write_bytes((w.folder / LOG).read_bytes()[:300]),
        lambda w: w.lake_anew().tidy(TABLE, [], timedelta(0)),
        lambda w: w.deliver("odd.xyz", "what"),
    ],
)
def test_whatever_happens_the_same_waits(world: World, happens: Any) -> None:
    """For who reads what is settled, and for who reads everything; before and after it has landed."""
    happens(world)
    world.deliver("new.csv", "id\nnew")
    for _ in range(3):
        assert world.waiting_anew() == world.truth()
        world.land(1)
    assert world.waiting_anew() == world.waiting() == world.truth()


def test_a_table_that_was_written_anew_holds_nothing_of_before(world: World) -> None:
    """Every file waits again."""
    shutil.rmtree(world.root / "lake")
    assert len(world.waiting_anew()) == 10
    world.land(4)
    assert len(world.waiting_anew()) == len(world.truth()) == 6


def test_content_that_landed_from_another_folder_does_not_wait(world: World) -> None:
    """Its log is gone, and the lake still knows it; also what comes later."""
    world.lake_anew().append(TABLE, ROW, {application(hashlib.sha256(b"id\nelsewhere").hexdigest()): 1})
    (world.folder / SETTLED).unlink()
    world.waiting_anew()
    world.deliver("elsewhere.csv", "id\nelsewhere")
    assert world.waiting_anew() == world.truth() == []


STEP = st.tuples(
    st.sampled_from(["deliver", "deliver", "land", "land one", "remove", "touch", "look", "look on", "sweep", "lose"]),
    st.sampled_from("abcdef"),
    st.sampled_from("xyz"),
)


@settings(deadline=None, max_examples=repeats(15), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEP, max_size=14))
def test_in_any_order_the_same_waits(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, str]]
) -> None:
    """Of files that come, come again, change, are touched, go and land, by processes that begin and that run on."""
    world = World(tmp_path_factory.mktemp("w"))
    for what, name, content in steps:
        file = world.folder / f"{name}.csv"
        if what == "deliver":
            world.deliver(file.name, content)
        elif what in {"land", "land one"}:
            world.land(1 if what == "land one" else None)
        elif what == "remove":
            file.unlink(missing_ok=True)
        elif what == "touch" and file.exists():
            world.clock += 1
            os.utime(file, ((MORNING + timedelta(minutes=world.clock)).timestamp(),) * 2)
        elif what == "look":
            world.waiting_anew()
        elif what == "look on":
            world.waiting()
        elif what == "sweep":
            (world.folder / landing_folder.SWEPT).unlink(missing_ok=True)
        elif what == "lose":
            (world.folder / SETTLED).unlink(missing_ok=True)
        assert world.waiting_anew() == world.truth()
