"""Resource usage of serving processes: counters sampled over time, a row per process and sample."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from loopline.platform_core.foundation.names import scorecard_table

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import date

    import pyarrow as pa

    from loopline.platform_core.contracts.lake import Lake
    from loopline.platform_core.platform import Platform

TABLE = scorecard_table("servers")


@dataclass(frozen=True)
class Used:
    """What all processes that answer used on a day: CPU seconds, GiB seconds of memory, and seconds they ran."""

    day: date
    cpu_seconds: float
    memory_gb_seconds: float
    seconds: float


def look(platform: Platform) -> int:
    """Write down how the counters of every process stand now; return how many processes there are."""
    found = platform.serving.usage()
    if found:
        now = platform.clock.now()
        rows = [{"day": now.date(), "at": now, **each.__dict__} for each in found]
        platform.lake.append(TABLE, _table(rows))
    return len(found)


def used(lake: Lake, among: Collection[date] | None = None) -> list[Used]:
    """Return what was used on days on which somebody looked, of these days or of all.

    What a process used between two looks, or from its start to the first, is shared evenly over the days in between;
    what it used after the last one is not known.
    """
    import pyarrow as pa

    if lake.version(TABLE) is None:
        return []
    wanted = {}
    if among is not None:  # of processes that were looked at then, all looks: the first of them counts from the start
        found = lake.read(TABLE, columns=["server"], among={"day": pa.array(sorted(among), pa.date32())})
        wanted = {"server": found["server"].unique()}
    rows = lake.read(TABLE, among=wanted).sort_by([("server", "ascending"), ("seconds", "ascending")]).to_pylist()
    totals: dict[date, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    nothing = {"server": None, "cpu_seconds": 0.0, "seconds": 0.0}
    for before, row in pairwise([nothing, *rows]):
        start = before if before["server"] == row["server"] else nothing
        seconds = row["seconds"] - start["seconds"]
        added = (row["cpu_seconds"] - start["cpu_seconds"], row["memory_gb"] * seconds, seconds)
        for day, share in _shares(row["at"], seconds):
            totals[day] = [held + share * more for held, more in zip(totals[day], added, strict=True)]
    looked = {row["day"] for row in rows}.intersection(totals if among is None else among)
    return [Used(day, *totals[day]) for day in sorted(looked)]


def _shares(end: datetime, seconds: float) -> Iterator[tuple[date, float]]:
    """Return the days that a stretch of so many seconds covers, with the share of it that lies in each."""
    begin = end - timedelta(seconds=seconds)
    while begin.date() < end.date():
        midnight = datetime.combine(begin.date() + timedelta(days=1), time(), end.tzinfo)
        yield begin.date(), (midnight - begin).total_seconds() / seconds
        begin = midnight
    yield end.date(), (end - begin).total_seconds() / seconds if seconds else 1.0


def _table(rows: list[dict[str, object]]) -> pa.Table:
    """Lay looks out; there is no ``_date``: the rows are few, and tidying may merge them across days."""
    import pyarrow as pa

    number, instant = pa.float64(), pa.timestamp("us", "UTC")
    named = [("day", pa.date32()), ("at", instant), ("server", pa.string())]
    schema = pa.schema([*named, ("cpu_seconds", number), ("memory_gb", number), ("seconds", number)])
    return pa.Table.from_pylist(rows, schema=schema)
