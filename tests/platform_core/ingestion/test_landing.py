"""What arrives becomes raw rows and dead letters, each row once."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from loopline.platform_core.ingestion import landing
from loopline.platform_core.ingestion.landing import land, pending
from loopline.platform_core.testing.fakes.lake import InMemoryLake
from loopline.resources.delta.lake import DeltaLake
from tests.platform_core.ingestion.conftest import DyingLake, Killed


def test_rows_land_with_what_the_platform_adds(shop: Any) -> None:
    """Good rows are typed, dated and say where they came from; the others are dead letters with reasons."""
    shop.deliver("monday", "7.0,1.5,2020-01-01 23:59:59", "7,0.5,", ",x,2020-01-01 08:00:00", "8,2,", hours=3)
    landed = land(*shop.args)
    assert (landed.arrivals, landed.rows, landed.dead, landed.refused) == (1, 2, 2, ())
    assert landed.reasons == {"price.minimum": 1, "customer.required": 1, "price.parsable": 1}
    assert landed.version == shop.platform.lake.version("shop/raw/orders")
    first, second = shop.rows()
    assert (first["customer"], first["price"], first["_line"]) == (7, 1.5, 2)
    assert first["_arrival"] == second["_arrival"] != ""
    assert str(first["_arrived_at"]) == "2020-01-02 03:00:00+00:00"
    assert (first["_date"], second["_date"]) == (date(2020, 1, 1), date(2020, 1, 2))
    one, two = shop.rows("shop/dead_letters/orders")
    assert (one["name"], one["_line"], one["reasons"]) == ("monday", 3, ["price.minimum"])
    assert two["reasons"] == ["customer.required", "price.parsable"]
    assert two["row"] == '{"Customer":null,"Price":"x","At":"2020-01-01 08:00:00"}'


def test_what_landed_is_not_pending(shop: Any) -> None:
    """A file lands once, also under another name; rows that stand twice in it are two; the ledger's time is ours."""
    shop.deliver("monday", "7,1,", "7,1,", "7,2,")
    assert land(*shop.args).rows == 3
    shop.deliver("again", "7,1,", "7,1,", "7,2,", hours=1)
    assert not pending(*shop.args)
    again = land(*shop.args)
    assert (again.arrivals, again.rows, again.version) == (0, 0, 0)
    assert shop.prices() == [1, 1, 2]
    [entry] = shop.entries("arrival.landed")
    assert (entry.team, entry.details["rows"], entry.details["arrivals"]) == ("shop", 3, 1)
    assert entry.at == shop.platform.clock.now() == shop.rows()[0]["_arrived_at"] + timedelta(days=1)


def test_oldest_first_and_not_more_than_asked(shop: Any) -> None:
    """``limit`` counts arrivals."""
    for hours in (3, 1, 2):
        shop.deliver(f"at {hours}", f"7,{hours},", hours=hours)
    assert [a.name for a in pending(*shop.args, limit=2)] == ["at 1", "at 2"]
    assert land(*shop.args, limit=2).arrivals == 2
    assert shop.prices() == [1, 2]
    assert [a.name for a in pending(*shop.args)] == ["at 3"]


def test_many_files_are_few_commits(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred arrivals share a commit."""
    assert landing.BATCH == 100
    monkeypatch.setattr(landing, "BATCH", 10)
    for number in range(15):
        shop.deliver(str(number), f"7,{number + 1},", f"7,-{number + 1},", hours=number)
    landed = land(*shop.args)
    assert (landed.arrivals, landed.rows, landed.dead, landed.version) == (15, 15, 15, 1)
    assert shop.platform.lake.version("shop/dead_letters/orders") == 1


def test_files_without_a_good_row_have_landed_too(shop: Any) -> None:
    """A file of bad rows and a file of no rows are not taken up again."""
    shop.deliver("bad", "7,-1,")
    shop.deliver("empty", hours=1)
    assert land(*shop.args).arrivals == 2
    assert not pending(*shop.args)
    assert shop.prices() == []


def test_a_refused_file_is_kept_and_tried_again_under_another_contract(shop: Any) -> None:
    """A dropped column or no text at all: the others land, the ledger says so once, the file stays."""
    shop.deliver("dropped", "7,", header="Customer,At\n")
    shop.deliver("binary", header="\0\1", hours=1)
    shop.deliver("good", "7,2,", hours=2)
    landed = land(*shop.args)
    assert (landed.arrivals, landed.rows) == (1, 1)
    dropped, binary = landed.refused
    assert dropped.name == "dropped"
    assert "column 'Price' of contract orders 1.0.0 is missing" in dropped.problem
    assert dropped.fix
    assert binary.name == "binary"
    assert not pending(*shop.args)
    assert land(*shop.args).refused == ()
    assert [e.details["name"] for e in shop.entries("arrival.refused")] == ["dropped", "binary"]
    shop.contract("1.1.0", without=("price",))
    assert [a.name for a in pending(*shop.args)] == ["dropped", "binary"]
    assert [refusal.name for refusal in land(*shop.args).refused] == ["binary"]
    assert len(shop.rows()) == 2
    assert len(shop.entries("arrival.refused")) == 3


def test_a_retyped_column_is_refused_among_good_files(shop: Any) -> None:
    """One file's column changed its type: it does not hide among the others of the batch."""
    for hours in range(5):
        shop.deliver(f"good {hours}", *(f"7,{n + hours},2020-01-01" for n in range(1, 9)), hours=hours)
    shop.deliver("retyped", *(f"7,£{n},2020-01-01" for n in range(1, 9)), hours=9)
    [refusal] = land(*shop.args).refused
    assert refusal.name == "retyped"
    assert "column 'Price' is no longer number: 8 of 8 values do not parse, such as '£1'" in refusal.problem


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("dies_at", [1, 2])
@pytest.mark.parametrize("low", [1, 0.1, 5])
def test_a_kill_loses_and_doubles_nothing(shop: Any, dies_at: int, behind: bool, low: float) -> None:
    """Wherever a landing dies, and whatever the contract says by then, each row is in one place once."""
    shop.deliver("one", "7,0.5,", "7,2,", "7,9,")
    shop.deliver("two", "8,0.5,", "8,0.7,", hours=1)
    with pytest.raises(Killed):
        land(*shop.on(DyingLake(name=f"{shop.folder}", dies_at=dies_at, behind=behind)).args)
    shop.on(InMemoryLake(name=f"{shop.folder}")).contract("1.1.0", low=low)
    shop.deliver("three", "9,3,", hours=2)
    land(*shop.args)
    keys = [(r["_arrival"], r["_line"]) for t in ("raw", "dead_letters") for r in shop.rows(f"shop/{t}/orders")]
    assert len(keys) == len(set(keys)) == 6
    assert not pending(*shop.args)


LANDING = """
import sys
from pathlib import Path
from loopline.platform_core.environment import Environment
from loopline.platform_core.ingestion import landing
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import Source, Team
from loopline.resources.delta.lake import DeltaLake
from loopline.resources.folder.event_source import FolderEventSource
from loopline.resources.polars.engine import PolarsEngine
home = Path(sys.argv[1])
lake, events = DeltaLake(root=f"{home}/lake"), FolderEventSource(root=f"{home}/landing", still_seconds=0)
bindings = {"lake": lake, "event_source": events, "engine": PolarsEngine()}
platform = Platform(Environment("test", home, bindings, f"sqlite:///{home}/ledger.db", None, home))
landing.BATCH = 1
landing.land(platform, Team("shop", home), Source("orders", "orders.yaml"))
"""


def test_a_real_kill_loses_and_doubles_nothing(shop: Any, tmp_path: Path) -> None:
    """A landing is killed (-9) in the middle, on Delta tables and a folder of files; the next one finishes."""
    folder, lake = tmp_path / "landing/shop/orders", DeltaLake(root=str(tmp_path / "lake"))
    folder.mkdir(parents=True)
    for number in range(24):
        (folder / f"{number}.csv").write_text(f"Customer,Price,At\n7,{number + 1},\n7,0,\n7,0,\n")
    for rows in (4, 24):
        process = subprocess.Popen([sys.executable, "-c", LANDING, str(tmp_path)])
        while process.poll() is None and _rows(lake) < rows:
            time.sleep(0.05)  # it is another process, which tells nobody of its commits
        if rows < 24:
            process.kill()
        assert process.wait() == (-9 if rows < 24 else 0)
    shop.on(lake)
    assert shop.prices() == list(range(1, 25))
    assert len({letter["letter_id"] for letter in shop.rows("shop/dead_letters/orders")}) == 48
    assert len(shop.rows("shop/dead_letters/orders")) == 48


def _rows(lake: DeltaLake) -> int:
    version = lake.version("shop/raw/orders")
    return 0 if version is None else version + 1  # a commit an arrival
