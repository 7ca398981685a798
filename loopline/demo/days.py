"""Two years of order lines as the daily files that would have arrived, and as the orders that were asked about."""

from __future__ import annotations

import csv
import lzma
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Any

from loopline.platform_core.foundation.names import ARRIVED_AT, EVENT_TIME

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import FeatureView, Team

ARRIVES = clock_time(2)
"""When a day's file is there, the next morning (UTC)."""
TIME_FIELD = 4
"""Position of the time among a line's fields; three more follow it."""


@dataclass(frozen=True)
class Day:
    """The file of one day: ``content`` has the header and ``lines`` lines, their text as it was."""

    date: date
    content: bytes
    lines: int

    @property
    def name(self) -> str:
        """Name the file."""
        return f"orders-{self.date}.csv"

    @property
    def arrives_at(self) -> datetime:
        """Return when the file is there."""
        return datetime.combine(self.date + timedelta(days=1), ARRIVES, UTC)


@dataclass(frozen=True)
class Order:
    """An order as the shop asks about it when it is placed; ``features`` are what only the order itself tells."""

    customer_id: int
    invoice: str
    event_time: datetime
    features: Mapping[str, Any]


def days(csv_xz: Path) -> Iterator[Day]:
    """Yield the days that have lines, oldest first. A million lines take about two seconds."""
    with lzma.open(csv_xz) as file:
        header, *lines = file.read().splitlines(keepends=True)
    by_day: defaultdict[date, list[bytes]] = defaultdict(list)
    for line in lines:
        by_day[_date(_day(line))].append(line)
    for day in sorted(by_day):
        yield Day(day, header + b"".join(by_day[day]), len(by_day[day]))


def orders(platform: Platform, team: Team, chosen: Sequence[Day]) -> dict[date, list[Order]]:
    """Return each day's orders in order of time, their features by the team's own views that are served on request.

    Lines that break the contract ask about nothing: what arrives later as a dead letter is left out.
    """
    view = next(view for view in team.views if view.served == "request")
    found: dict[date, list[Order]] = {day.date: [] for day in chosen}
    if not chosen:
        return found
    lines = _accepted(platform, team, view, chosen)
    customers = dict(zip(lines[view.entity].to_pylist(), lines["customer_id"].to_pylist(), strict=True))
    shapes = platform.engine.compute_view(view, lines).drop_columns(["created_at"])
    for row in shapes.sort_by([(EVENT_TIME, "ascending"), (view.entity, "ascending")]).to_pylist():
        invoice, moment = row.pop(view.entity), row.pop(EVENT_TIME)
        features = {name: value for name, value in row.items() if value is not None}
        found[moment.date()].append(Order(customers[invoice], invoice, moment, features))
    return found


def _accepted(platform: Platform, team: Team, view: FeatureView, chosen: Sequence[Day]) -> pa.Table:
    """Read files as landing would, and keep the lines that keep the contract."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    from loopline.platform_core.specs.odcs import read_contract

    header, _, _ = chosen[0].content.partition(b"\n")
    text = BytesIO(b"".join([header, b"\n", *(day.content.partition(b"\n")[2] for day in chosen)]))
    as_text = arrow_csv.ConvertOptions(
        column_types={name: pa.string() for name in next(csv.reader([header.decode()]))},
        null_values=[""],
        strings_can_be_null=True,
    )
    rows = arrow_csv.read_csv(text, convert_options=as_text)
    good = platform.engine.check_rows(rows, read_contract(team.folder / view.source.contract)).good
    arrived = pa.scalar(chosen[-1].arrives_at, pa.timestamp("us", "UTC"))
    return good.append_column(ARRIVED_AT, pa.repeat(arrived, good.num_rows))


def _day(line: bytes) -> bytes:
    """Return the date's text; only a line whose last fields hold commas is parsed as CSV."""
    parts = line.rsplit(b",", 4)
    day, _, clock = parts[1].partition(b" ") if len(parts) > 1 else (b"", b"", b"")
    if day.count(b"/") == 2 and clock.count(b":") == 1:  # noqa: PLR2004 - 12/1/2009 7:45
        return day
    return next(csv.reader([line.decode()]))[TIME_FIELD].partition(" ")[0].encode()


@lru_cache
def _date(day: bytes) -> date:
    return datetime.strptime(day.decode(), "%m/%d/%Y").replace(tzinfo=UTC).date()
