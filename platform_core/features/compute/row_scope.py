"""Row scope: the raw rows from which rows of a view, or labels, are computed: all, or some entities and times."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from loopline.platform_core.foundation.names import ARRIVED_AT, EVENT_TIME, raw_table, view_table
from loopline.platform_core.ingestion.current_row_reads import (
    Turned,
    held_rows,
    standing_rows,
    turned_rows,
    was_taken_back,
)
from loopline.platform_core.ingestion.current_rows import Parted, parted
from loopline.platform_core.specs.contracts.source import STREAM
from loopline.platform_core.specs.views.windows import Windows

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import FeatureView, Labels, Team
    from loopline.platform_core.specs.contracts.contract_file import RowContract

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _LAST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC)
_FIRST_US, _LAST_US = ((edge - _EPOCH) // timedelta(microseconds=1) for edge in (_FIRST, _LAST))


@dataclass(frozen=True)
class Reach:
    """Rows of a view: of ``entities`` (all when None), with event times in [``since``, ``until``); None is no bound.

    ``newer_rows`` counts the raw rows that gave rise to it, and ``turned`` are those of before that hold no more, or
    again (None: nobody looked).
    """

    entities: pa.Array | None = None
    since: datetime | None = None
    until: datetime | None = None
    newer_rows: int = 0
    turned: pa.Table | None = None

    def of(self, rows: pa.Table, time: str) -> pa.Table:
        """Keep the rows whose time lies within the bounds; where there are bounds, a null time does not."""
        rows = rows if self.since is None else rows.filter(_at_least(rows, time, self.since))
        return rows if self.until is None else rows.filter(_before(rows, time, self.until))

    def rests_on(self, view: FeatureView) -> Reach:
        """Return the raw rows on which these rows rest: those of their entities, as far as the view looks back."""
        since = None
        if self.since is not None and view.lookback_days is not None:
            since = earlier(self.since, view.lookback_days)
        return Reach(self.entities, since, self.until)

    def widened(self, days: float) -> Reach:
        """Return what lies up to some days further, at both ends."""
        since = None if self.since is None else earlier(self.since, days)
        until = None if self.until is None else later(self.until, days)
        return Reach(self.entities, since, until)


def earlier(instant: datetime, days: float) -> datetime:
    """Go back some days, no further than time goes."""
    return instant - timedelta(days=days) if instant - _FIRST > timedelta(days=days) else _FIRST


def later(instant: datetime, days: float) -> datetime | None:
    """Go on some days; None, which is no bound, beyond the end of time."""
    return instant + timedelta(days=days) if _LAST - instant > timedelta(days=days) else None


def held_only(rows: pa.Table, time: str) -> pa.Table:
    """Leave out rows at a time that cannot be held, outside the years 1 to 9999 in UTC: none lands any more.

    A lake of before may hold some, and a view may move a time there; one such row must not stop all the others.
    """
    import pyarrow as pa
    from pyarrow import compute

    if time not in rows.column_names or not pa.types.is_timestamp(rows.schema.field(time).type):
        return rows
    times = compute.cast(rows[time], pa.timestamp("us", rows.schema.field(time).type.tz)).cast(pa.int64())
    bounds = compute.min_max(times)
    if not len(times) or bounds["min"].as_py() is None:
        return rows
    if bounds["min"].as_py() >= _FIRST_US and bounds["max"].as_py() <= _LAST_US:
        return rows
    held = compute.and_(compute.greater_equal(times, _FIRST_US), compute.less_equal(times, _LAST_US))
    return rows.filter(compute.or_kleene(held, compute.is_null(times)))


@dataclass(frozen=True)
class RawRows:
    """The raw rows of the source of a view, or of labels, read no further than a reach."""

    platform: Platform
    team: Team
    view: FeatureView | Labels

    def raw(self, version: int, reach: Reach) -> pa.Table:
        """Read the raw rows that hold within a reach."""
        name = raw_table(self.team.name, self.view.source.name)
        if self.key and not self._as_scored:
            rows = held_rows(self.platform.lake, name, version, self.key, self._among(reach))
            return reach.of(held_only(rows, self.view.time), self.view.time)
        days = _days(reach) if self._by_day else {}
        rows = reach.of(held_only(self._read(name, reach, version=version, **days), self.view.time), self.view.time)
        return standing_rows(self.platform.lake, name, version, rows)

    def turned(self, version: int, than: int) -> Turned:
        """Read the raw rows that came to hold, or ceased to, by what was appended after another version."""
        name = raw_table(self.team.name, self.view.source.name)
        found = turned_rows(self.platform.lake, name, version, than, self.key)
        return Turned(*(held_only(rows, self.view.time) for rows in (found.new, found.turned)))

    def parted(self, version: int) -> Parted:
        """Read all raw rows, parted by whether they hold."""
        return parted(
            self.platform.lake.read(raw_table(self.team.name, self.view.source.name), version=version), self.key
        )

    @cached_property
    def may_change(self) -> bool:
        """Say whether a raw row may cease to hold: it has a key, or an arrival of its source was taken back."""
        name = raw_table(self.team.name, self.view.source.name)
        return bool(self.key) or was_taken_back(self.platform.lake, name)

    @property
    def _as_scored(self) -> bool:
        """Say whether every row counts as it came: an event of a stream was scored then, whatever corrected it."""
        return self.view.source.arrives == STREAM and isinstance(self.view.compute, Windows)

    @property
    def key(self) -> tuple[str, ...]:
        """Return the columns that name a raw row, none where nothing does."""
        return self.contract.key

    @cached_property
    def contract(self) -> RowContract:
        """Return the contract of the raw rows, read once; raises ``InvalidSpec`` where it cannot be read."""
        from loopline.platform_core.specs.contracts.odcs import contract_of

        return contract_of(self.team, self.view.source)

    @property
    def _by_day(self) -> bool:
        """Say whether raw rows lie in days of the time by which the view goes: the contract's first timestamp."""
        columns = self.contract.columns
        return next((c.name for c in columns if c.type == "timestamp"), ARRIVED_AT) == self.view.time

    def _read(self, table: str, reach: Reach, **how: Any) -> pa.Table:
        return self.platform.lake.read(table, among=self._among(reach), **how)

    def _among(self, reach: Reach) -> dict[str, pa.Array] | None:
        return None if reach.entities is None else {self.view.entity: reach.entities}


@dataclass(frozen=True)
class Tables(RawRows):
    """The raw table of a view's source, and the view's own table."""

    view: FeatureView

    def held(self, reach: Reach) -> pa.Table:
        """Read the view's rows within a reach."""
        return reach.of(self._read(view_table(self.team.name, self.view), reach, **_days(reach)), EVENT_TIME)

    def computed(self, raw: pa.Table, reach: Reach) -> pa.Table:
        """Compute the rows within a reach; raises as ``Engine.compute_view``."""
        return reach.of(held_only(self.platform.engine.compute_view(self.view, raw), EVENT_TIME), EVENT_TIME)


def _days(reach: Reach) -> dict[str, Any]:
    bounds = {"since": reach.since, "until": reach.until}
    return {name: instant.date() for name, instant in bounds.items() if instant is not None}


def _at_least(rows: pa.Table, time: str, instant: datetime) -> Any:
    import pyarrow as pa
    from pyarrow import compute

    return compute.greater_equal(rows[time], pa.scalar(instant, pa.timestamp("us", "UTC")))


def _before(rows: pa.Table, time: str, instant: datetime) -> Any:
    import pyarrow as pa
    from pyarrow import compute

    return compute.less(rows[time], pa.scalar(instant, pa.timestamp("us", "UTC")))
