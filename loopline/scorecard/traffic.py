"""Daily request, error and latency counts of each model, updated incrementally from the prediction log.

The prediction log is too large to be read again for each figure. Each call reads the rows that came since the last one
and adds their counts; the number of the prediction table's version is committed with them, so whoever dies in between
counts nothing twice. Buckets are 4 % wide, so a quantile of any sum of days is 2 % off at most (Masson, Rim and Lee,
"DDSketch", VLDB 2019).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loopline.platform_core.errors import NotFound
from loopline.platform_core.foundation.names import DATE, ModelRef, prediction_table, scorecard_table
from loopline.platform_core.loop.rollouts.traffic import errors, fair

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import date

    from numpy.typing import NDArray

    from loopline.platform_core.contracts.lake import Lake

TABLE = scorecard_table("traffic")
APPLICATION = "loopline.traffic"
"""Transaction of this table, one a model: up to which version of its prediction table is counted."""
ANEW = "loopline.traffic.anew"
"""How often a model was counted anew: rows of an earlier generation are left out."""
GAMMA = 1.04
"""How much wider each bucket is than the one before: bucket ``i`` holds latencies up to ``GAMMA ** i`` ms."""
LOWEST, HIGHEST = -120, 350
"""Buckets from 9 microseconds to 15 minutes; what lies beyond falls into the last one."""
BUCKETS = HIGHEST - LOWEST + 1
READ = ("row", "logged_at", "role", "status", "latency_ms")
_ADDED = ("requests", "errors", "rows", "milliseconds")


@dataclass(frozen=True)
class Day:
    """What one model answered on a day.

    ``requests`` leave out those that the caller got wrong, ``errors`` are among them; ``rows`` are entities answered
    for; ``milliseconds`` is the sum of latencies, ``buckets`` their histogram (``BUCKETS`` counts).
    """

    ref: ModelRef
    day: date
    requests: int
    errors: int
    rows: int
    milliseconds: float
    buckets: NDArray[np.int64]


def count(lake: Lake, refs: Iterable[ModelRef]) -> int:
    """Add what came into models' prediction tables since the last call, in one commit; return how many rows that were.

    Where the lake cannot tell any more what came since, a table is counted anew: those counts stand for its days.

    Raises:
        CommitConflict: another process counted at the same time; what it counted is counted.
    """
    versions = {ref: lake.version(prediction_table(*ref)) for ref in refs}
    asked = {ref: version for ref, version in versions.items() if version is not None}
    done = lake.committed(TABLE, [f"{app}:{ref.dotted}" for ref in asked for app in (APPLICATION, ANEW)])
    behind = [each for ref, newest in asked.items() if (each := _Counting(lake, ref, newest, done)).behind]
    rows, counted = 0, []
    for each in behind:
        for part in each.parts():
            rows += len(part)
            counted += [(day, each.generation) for day in _days(each.ref, part)]
    if behind:
        transactions = {app: at for each in behind for app, at in each.transactions.items()}
        lake.append(TABLE, _table(counted), transactions, {app: done[app] for app in transactions if app in done})
    return rows


def days(lake: Lake, among: Collection[date] | None = None) -> list[Day]:
    """Return what was answered, by model and day, of these days or of all."""
    if lake.version(TABLE) is None:
        return []
    wanted = {} if among is None else {"day": pa.array(sorted(among), pa.date32())}
    found: dict[tuple[str, str, date], list[dict[str, Any]]] = {}
    for row in lake.read(TABLE, among=wanted).to_pylist():
        found.setdefault((row["team"], row["model"], row["day"]), []).append(row)
    return [_sum(key, rows) for key, rows in sorted(found.items())]


def quantile(buckets: NDArray[np.int64], share: float) -> float | None:
    """Return the latency in ms that ``share`` of the requests kept to; None without requests."""
    total = int(buckets.sum())
    if not total:
        return None
    index = int(np.searchsorted(np.cumsum(buckets), share * total)) + LOWEST
    return float(2 * GAMMA**index / (1 + GAMMA))  # no latency in the bucket is further from it than 2 %


class _Counting:
    """What is to be counted of one model. A transaction counts from 1, a table's version from 0."""

    def __init__(self, lake: Lake, ref: ModelRef, newest: int, done: Mapping[str, int]) -> None:
        self.lake, self.ref, self.newest = lake, ref, newest
        self.done = done.get(f"{APPLICATION}:{ref.dotted}")
        self.generation = done.get(f"{ANEW}:{ref.dotted}", 0)
        self.transactions = {f"{APPLICATION}:{ref.dotted}": newest + 1}

    @property
    def behind(self) -> bool:
        """Say whether the table has gone on since it was counted."""
        return self.done is None or self.done <= self.newest

    def parts(self) -> Iterator[pa.Table]:
        """Read what is not counted yet; where that is all of the table, a day at a time."""
        if self.done is not None:
            try:
                yield self._read(READ, newer_than=self.done - 1)
            except NotFound:
                self.generation += 1
                self.transactions[f"{ANEW}:{self.ref.dotted}"] = self.generation
            else:
                return
        for day in self._read((DATE,))[DATE].unique().to_pylist():
            yield self._read(READ, since=day, until=day)

    def _read(self, columns: Sequence[str], **which: Any) -> pa.Table:
        return self.lake.read(prediction_table(*self.ref), version=self.newest, columns=columns, **which)


def _days(ref: ModelRef, rows: pa.Table) -> Iterator[Day]:
    """Count the first row of each request that callers met."""
    asked = fair(rows)
    dates = asked["logged_at"].cast(pa.date32())
    for day in pc.unique(dates).sort().to_pylist():
        own = asked.filter(pc.equal(dates, pa.scalar(day, pa.date32())))
        requests = own.filter(pc.equal(own["row"], 0))
        latencies = requests["latency_ms"].drop_null().to_numpy()
        yield Day(ref, day, len(requests), errors(requests), len(own), float(latencies.sum()), _histogram(latencies))


def _histogram(latencies: NDArray[np.float64]) -> NDArray[np.int64]:
    indices = np.ceil(np.log(np.maximum(latencies, 1e-9)) / np.log(GAMMA)).astype(np.int64)
    return np.bincount(np.clip(indices, LOWEST, HIGHEST) - LOWEST, minlength=BUCKETS)


def _table(counted: Iterable[tuple[Day, int]]) -> pa.Table:
    rows = []
    for each, generation in counted:
        held = np.flatnonzero(each.buckets)
        plain = {name: getattr(each, name) for name in ("day", *_ADDED)}
        histogram = {"buckets": held.tolist(), "counts": each.buckets[held].tolist()}
        rows.append({"team": each.ref.team, "model": each.ref.model, "generation": generation, **plain, **histogram})
    return pa.Table.from_pylist(rows, schema=_schema())


def _schema() -> pa.Schema:
    """Describe the table; it has no ``_date``: the rows are few, and tidying may merge them across days."""
    whole, text = pa.int64(), pa.string()
    named = [("team", text), ("model", text), ("day", pa.date32()), ("generation", whole)]
    counts = [("requests", whole), ("errors", whole), ("rows", whole), ("milliseconds", pa.float64())]
    return pa.schema([*named, *counts, ("buckets", pa.list_(whole)), ("counts", pa.list_(whole))])


def _sum(key: tuple[str, str, date], rows: Sequence[dict[str, Any]]) -> Day:
    """Add up the counts of the newest generation that has the day: those of before were counted anew."""
    newest = max(row["generation"] for row in rows)
    counted = [row for row in rows if row["generation"] == newest]
    buckets = np.zeros(BUCKETS, dtype=np.int64)
    for row in counted:
        buckets[row["buckets"]] += row["counts"]
    sums = {name: sum(row[name] for row in counted) for name in _ADDED}
    return Day(ModelRef(key[0], key[1]), key[2], buckets=buckets, **sums)
