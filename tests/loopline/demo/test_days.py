"""Two years cut into daily files, and the orders asked about on each day."""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import retail

from loopline.demo import found
from loopline.demo.days import accepted, asked, days
from loopline.demo.declared import Day
from loopline.platform_core import environment
from loopline.platform_core.platform import Platform
from loopline.platform_core.plugins import installed
from loopline.platform_core.specs import Team

HEADER = "Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country\n"
LATE = '3,B,"BOX, 3/4 FULL",2,12/2/2009 9:00,1.5,7.0,France\n'
LINES = [
    '1,A,"SAYS ""HI"", TWICE",1,12/1/2009 7:45,6.95,13085.0,United Kingdom\n',
    LATE,
    "1,B,,10,12/1/2009 7:45,0.5,13085.0,United Kingdom\n",
    '4,A,LAMP,1,12/2/2009 8:00,5,8.0,"Korea, Republic of"\n',
    "5,A,LAMP,1,12/2/2009 8:01,5,,France\n",
    "C6,A,LAMP,-1,12/2/2009 8:02,5,8.0,France\n",
    "7,A,LAMP,1,12/2/2009 8:03,0,8.0,France\n",
]


@pytest.fixture
def two_days(tmp_path: Path) -> list[Day]:
    """Cut a small log."""
    path = tmp_path / "log.csv.xz"
    path.write_bytes(lzma.compress((HEADER + "".join(LINES)).encode()))
    return list(days(path))


@pytest.fixture
def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """Bind an engine and nothing else."""
    path = tmp_path / "environment.yaml"
    path.write_text("bindings: {engine: {vendor: polars}}\n")
    monkeypatch.setenv("LOOPLINE_HOME", str(tmp_path))
    return Platform(environment.read(path, only=["engine"]))


@pytest.fixture
def team() -> Iterator[Team]:
    """Load the team whose view describes an order."""
    return installed(only=["retail"]).team("retail")


def test_a_day_is_its_lines_untouched(two_days: list[Day]) -> None:
    """Quotes and commas stay as they were; each has the header, its lines in order, and arrives at two next morning."""
    assert [(day.date, day.lines, day.name) for day in two_days] == [
        (date(2009, 12, 1), 2, "orders-2009-12-01.csv"),
        (date(2009, 12, 2), 5, "orders-2009-12-02.csv"),
    ]
    assert two_days[0].content.decode() == HEADER + LINES[0] + LINES[2]
    assert two_days[1].content.decode() == HEADER + LATE + "".join(LINES[3:])
    assert two_days[0].arrives_at == datetime(2009, 12, 2, 2, tzinfo=UTC)


def test_nothing_is_lost_of_the_two_years(platform: Platform, team: Team) -> None:
    """1,067,371 lines on 604 days; the demo's facts that the README shows are what these hold."""
    whole = list(days(Path(retail.__file__).parent / "data" / "online_retail.csv.xz"))
    assert (len(whole), sum(day.lines for day in whole)) == (604, 1_067_371)
    assert [day.date for day in whole] == sorted({day.date for day in whole})
    facts = json.loads(Path(__file__).parents[3].joinpath("docs", "demo.json").read_text(encoding="utf-8"))
    model, go_live = team.model("cancellations"), found.story("cancellations").go_live
    rows = accepted(platform, team, model.labels.source, whole).num_rows
    assert (facts["files"], facts["rows"], facts["dead_letters"]) == (604, rows, 1_067_371 - rows)
    requests = asked(platform, team, model, whole)
    assert facts["requests_served"] == sum(len(those) for day, those in requests.items() if day >= go_live)


def test_orders_are_asked_about_in_order_of_time(platform: Platform, team: Team, two_days: list[Day]) -> None:
    """Each with its customer and the team's own features; dead letters and cancellations are no orders."""
    by_day = asked(platform, team, team.model("cancellations"), two_days)
    first, second = by_day[date(2009, 12, 1)], by_day[date(2009, 12, 2)]
    assert [(order.request_id, *order.keys.values()) for order in first] == [("1", 13085, "1")]
    assert [(order.request_id, *order.keys.values()) for order in second] == [("4", 8, "4"), ("3", 7, "3")]
    assert first[0].event_time == datetime(2009, 12, 1, 7, 45, tzinfo=UTC)
    assert first[0].features["value"] == pytest.approx(11.95)
    assert first[0].features["lines"] == 2
    assert second[0].features["market"] == "Korea, Republic of"
    assert asked(platform, team, team.model("cancellations"), []) == {}
