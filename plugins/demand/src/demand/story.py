"""What ``loopline demo demand`` tells of: sales day by day, and forecasts of two weeks on Tuesday mornings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, timedelta
from typing import TYPE_CHECKING, Any

from demand.features import recent_sales
from demand.models import MONDAY, TARGET
from demand.sales import days
from loopline.demo.days import accepted
from loopline.demo.declared import Day, Request, Story

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.specs import Team

COUNTED = [f"{name}_{n}" for name in ("day", "usual") for n in range(1, TARGET.season + 1)]
WIDTH = 40


def asks(platform: Any, team: Team, chosen: Sequence[Day]) -> Mapping[date, Sequence[Request]]:
    """Ask for each series on the morning on which somebody orders, with what was sold until the evening before."""
    found: dict[date, list[Request]] = {day.date: [] for day in chosen}
    every = platform.engine.compute_view(recent_sales, accepted(platform, team, recent_sales.source, list(days())))
    for row in every.drop_columns(["created_at"]).to_pylist():
        series, day = row.pop("series"), row.pop("event_time").astimezone(UTC)
        morning = day + timedelta(minutes=361)
        if day.isoweekday() == MONDAY and morning.date() in found:
            told = {name: value for name, value in row.items() if value is not None}
            found[morning.date()].append(Request(f"{series} {morning:%Y-%m-%d}", morning, {"series": series}, told))
    return found


def picture(rows: pa.Table) -> Iterator[str]:
    """Draw what was expected of two weeks beside what came, of all series, a line a month."""
    told: dict[date, list[float]] = {}
    for row in rows.select(["event_time", "score", "label"]).to_pylist():
        sums = told.setdefault(row["event_time"].date(), [0.0, 0.0])
        sums[0] += row["score"]
        sums[1] += sum(value or 0.0 for value in row["label"][: TARGET.horizon])
    most = max((max(sums) for sums in told.values()), default=0.0) or 1.0
    first = {(day.year, day.month): day for day in sorted(told, reverse=True)}
    for day in sorted(first.values()):
        for name, pieces in zip(("expected", "came"), told[day], strict=True):
            yield f"{day} {name:>8} {'#' * round(WIDTH * pieces / most)} {pieces:,.0f} pieces"


demand = Story(
    team="demand",
    model="pieces",
    about="two years of what a gift wholesaler sold of 272 articles and markets, day by day",
    days=lambda _: days(),
    go_live=date(2010, 10, 1),
    drill=dict.fromkeys([*COUNTED, "mean_28", "mean_91"], 12.0),
    mistake="pieces are counted where dozens were sold",
    asks=asks,
    rows="lines",
    days_per_second=5.0,
    picture=picture,
)
