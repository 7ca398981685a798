"""Materialization audit: recomputes sampled entities and compares them with offline, online and incremental rows.

Trials are by rows at hand (``entity_locality``), an online store may lose or be given something, a library may compute
otherwise after an upgrade. None of that raises: values are merely wrong. An audit finds it, says why, and can mend it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from loopline.platform_core import alarms
from loopline.platform_core.alarms.alarm import Alarm
from loopline.platform_core.contracts.online_store import Keep, OnlineRow, newest
from loopline.platform_core.errors import NotFound
from loopline.platform_core.features.compute.changes import News, feature_names, gone, last_of_each, living, news
from loopline.platform_core.features.compute.row_scope import Reach, Tables
from loopline.platform_core.features.materialization.materialize import recompute
from loopline.platform_core.features.materialization.upserts import LATE_DAYS, Keeping
from loopline.platform_core.features.registry.watermarks import Standing, standing
from loopline.platform_core.foundation.names import ARRIVED_AT, CREATED_AT, EVENT_TIME, ModelRef, online_view, view_name
from loopline.platform_core.loop.sites import site_redaction
from loopline.platform_core.specs.contracts import personal

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import FeatureView, Team

SAMPLE = 1000
"""Entities of a view that are compared: half of them those whose raw rows came last, half at random."""
ALONE = 5
"""Entities that differ of which each is computed by its own raw rows, to tell why."""
TRIES = 3
"""How often an audit begins anew because the view was materialized meanwhile."""
Cause = Literal["", "rests on others", "offline differs", "online differs"]
WHY: dict[Cause, str] = {
    "rests on others": "its rows rest on other entities' raw rows, which its trial could not see yet",
    "offline differs": "its function gives other values now, such as after an upgrade of a library",
    "online differs": "the online store lost it, or was given something else",
}
FIX: dict[Cause, str] = {
    "rests on others": 'declare rests_on="all"; it is computed whole from now on, but models may have learnt from it',
    "offline differs": "find out what changed; 'loopline features audit --mend' then writes what it gives now",
    "online differs": "find out who else writes there; 'loopline features audit --mend' then writes it again",
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Audited:
    """What an audit of a view found.

    ``entities`` were compared, ``differing`` of them are not as they should be, ``example`` names one with its values.
    ``mended`` counts the rows or keys that were written anew; ``skipped`` says why nothing was compared.
    """

    view: str
    entities: int = 0
    differing: int = 0
    cause: Cause = ""
    example: str = ""
    mended: int = 0
    skipped: str = ""

    @property
    def problem(self) -> str:
        """Say what is wrong, "" for nothing."""
        if not self.cause:
            return ""
        return f"{self.differing} of {self.entities} entities of feature view {self.view} differ: {self.example}"


def audit(platform: Platform, team: Team, view: FeatureView, sample: int = SAMPLE, *, mend: bool = False) -> Audited:
    """Compute a view whole, up to where it is materialized, and compare a sample of its entities.

    A view that turns out to rest on other entities' rows is computed whole from then on, its wrong rows at once; other
    differences are mended only with ``mend``. What was found is an alarm that stands until an audit finds nothing.

    Raises:
        As ``Engine.compute_view``.
    """
    found = _looked(platform, team, view, sample)
    if found.example:
        found = replace(found, example=site_redaction.told(platform, f"the difference in {found.view}", found.example))
    if found.cause and (mend or found.cause == "rests on others"):
        found = replace(found, mended=_mended(platform, team, view, found.cause))
    _update_alarm(platform, team, found)
    return found


def _looked(platform: Platform, team: Team, view: FeatureView, sample: int) -> Audited:
    name = f"{team.name}/{view_name(view)}"
    for _ in range(TRIES):
        tables = Tables(platform, team, view)
        stands = standing(tables)
        if stands.version is None or stands.done < 0:
            return Audited(name, skipped="it was never materialized")
        if stands.proven_rows < 0:
            return Audited(name, skipped="it was declared otherwise since; the next landing computes it anew")
        try:
            found = _Comparison(tables, stands, sample).audited(name)
        except NotFound:
            return Audited(name, skipped="the raw rows from which it was made are tidied away")
        if standing(tables).committed == stands.committed:
            return found
    return Audited(name, skipped="it is being materialized all the time")


class _Comparison:
    """The four ways to a view's rows of some entities: whole, alone, offline, online."""

    def __init__(self, tables: Tables, stands: Standing, sample: int) -> None:
        self.tables, self.view, self.stands = tables, tables.view, stands
        raw = tables.raw(stands.done, Reach())
        self.entities = sampled(raw, self.view.entity, sample)
        self.whole = self._of(tables.computed(raw, Reach()), self.entities)
        self.raw = self._of(raw, self.entities)
        self.knows_persons = self.view.entity in {each.name for each in tables.contract.columns if each.personal}

    def audited(self, name: str) -> Audited:
        """Compare; what is wrong offline is wrong online too, so it is told first."""
        rows = self.tables.held(Reach(self.entities))
        held = living(last_of_each(rows, [self.view.entity, EVENT_TIME], by=CREATED_AT))
        found, offline = Audited(name, len(self.entities)), news(self.whole, held, self.view.entity)
        if len(offline.rows):
            return self._offline(found, offline)
        ceased = gone(self.whole, held, self.view.entity) if self.tables.may_change else held.slice(0, 0)
        if len(ceased):
            return self._ceased(found, ceased)
        if self.stands.rests_on_its_entity:
            others = self._by_others([self.entities.take(half) for half in _halves(len(self.entities))])
            if others is not None:
                return self._with_difference(found, "rests on others", others, others.rows, "by its own rows alone")
        return self._online(found, held)

    def _offline(self, found: Audited, offline: News) -> Audited:
        """Tell why: an entity's rows alone give what is held only if the others' rows make the difference."""
        wrong = offline.rows[self.view.entity].unique()
        others = self._by_others([wrong[place : place + 1] for place in range(min(len(wrong), ALONE))])
        if others is not None:
            return self._with_difference(found, "rests on others", others, offline.rows, "by its own rows alone")
        return self._with_difference(found, "offline differs", offline, offline.rows, "offline")

    def _ceased(self, found: Audited, ceased: pa.Table) -> Audited:
        """Tell of rows that hold offline, and that nothing that holds gives any more."""
        entity, event_time = (ceased[name][0].as_py() for name in (self.view.entity, EVENT_TIME))
        which = f"{self._named(entity)!r} at {event_time:%Y-%m-%d %H:%M:%S}"
        shown = f"the row of {which} is held offline and not there computed whole"
        differing = len(ceased[self.view.entity].unique())
        return replace(
            found, differing=differing, cause="offline differs", example=f"{shown}; {WHY['offline differs']}"
        )

    def _by_others(self, groups: Sequence[pa.Array]) -> News | None:
        """Compute groups of entities by their own raw rows; return what is another than whole of the first such."""
        for group in groups:
            alone = self.tables.computed(self._of(self.raw, group), Reach())
            others = news(self._of(self.whole, group), alone, self.view.entity)
            if len(others.rows):
                return others
        return None

    def _with_difference(self, found: Audited, cause: Cause, shown: News, wrong: pa.Table, place: str) -> Audited:
        example = f"{_first_difference(self.view, shown, place, self._named)}; {WHY[cause]}"
        return replace(found, differing=len(wrong[self.view.entity].unique()), cause=cause, example=example)

    def _online(self, found: Audited, held: pa.Table) -> Audited:
        """Compare the newest rows; one whose time is still to come may be there or not."""
        if self.view.served != "online":
            return found
        platform, view = self.tables.platform, self.view
        now = platform.clock.now()
        rows = living(held).select([view.entity, EVENT_TIME, *feature_names(held, view.entity)]).sort_by(EVENT_TIME)
        ever, expected = newest(view.entity, rows), newest(view.entity, _until(rows, now))
        keys = list(expected)
        online = platform.online_store.read([(online_view(self.tables.team.name, view), keys)])[0] if keys else []
        oldest = -sys.maxsize if view.ttl_days is None else Keep(view.ttl_days + LATE_DAYS, now).oldest_us
        wrong = {
            key: row
            for key, row in zip(keys, online, strict=True)
            if not (_same(row, expected[key]) or _same(row, ever[key]))
            and not (row is None and expected[key].event_time_us <= oldest)
        }
        if not wrong:
            return found
        key, row = next(iter(wrong.items()))
        apart = f"{_shown(row)} online and {_shown(expected[key])} offline"
        example = f"{self._named(key)!r} has {apart}; {WHY['online differs']}"
        return replace(found, differing=len(wrong), cause="online differs", example=example)

    def _named(self, key: Any) -> Any:
        """Return a key as the ledger may keep it for ever."""
        return personal.shown(self.view.entity, key, is_person=self.knows_persons)

    def _of(self, rows: pa.Table, entities: pa.Array) -> pa.Table:
        from pyarrow import compute

        return rows.filter(compute.is_in(rows[self.view.entity], value_set=entities))


def sampled(raw: pa.Table, entity: str, count: int) -> pa.Array:
    """Choose entities: those whose raw rows came last, and as many of the others at random."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import compute

    last = raw.group_by(entity).aggregate([(ARRIVED_AT, "max")]).filter(compute.field(entity).is_valid())
    ordered = last.sort_by([(f"{ARRIVED_AT}_max", "descending")])[entity].combine_chunks()
    recent, others = ordered[: count // 2], ordered[count // 2 :]
    chosen = np.random.default_rng().permutation(len(others))[: count - len(recent)]
    return pa.concat_arrays([recent, others.take(pa.array(chosen, pa.int64()))])


def _halves(count: int) -> list[pa.Array]:
    """Return every second place, and the others."""
    import pyarrow as pa

    return [pa.array(range(first, count, 2), pa.int64()) for first in (0, 1)]


def _mended(platform: Platform, team: Team, view: FeatureView, cause: Cause) -> int:
    if cause == "online differs":
        return Keeping(platform, team, view).as_held(platform.clock.now())
    return recompute(platform, team, view, rests_on_others=cause == "rests on others").rows


def _update_alarm(platform: Platform, team: Team, found: Audited) -> None:
    if found.skipped:
        return
    cause = f"audit:{found.view}"
    if not found.cause:
        alarms.clear(platform, cause, f"{found.entities} entities are as they should be")
        return
    mended = f"; {found.mended} were written anew" if found.mended else ""
    problem, fix = f"{found.problem}{mended}", FIX[found.cause]
    alarms.raise_alarm(platform, Alarm(cause, "error", problem, fix, ModelRef(team.name, "")))


def _first_difference(view: FeatureView, found: News, place: str, named: Callable[[Any], Any]) -> str:
    row, other = (rows.slice(0, 1).to_pylist()[0] for rows in (found.rows, found.before))
    key = f"{named(row[view.entity])!r} at {row[EVENT_TIME]:%Y-%m-%d %H:%M:%S}"
    if other[view.entity] is None:
        return f"the row of {key} is there computed whole and is not {place}"
    names = feature_names(found.rows, view.entity)
    name = next((name for name in names if row[name] != other[name]), names[0])
    return f"{name!r} of {key} is {row[name]!r} computed whole and {other[name]!r} {place}"


def _same(row: OnlineRow | None, expected: OnlineRow) -> bool:
    def close(one: Any, other: Any) -> bool:
        if isinstance(one, float) and isinstance(other, float):
            return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12) or (math.isnan(one) and math.isnan(other))
        if isinstance(one, list) and isinstance(other, list):
            return len(one) == len(other) and all(map(close, one, other))
        return bool(one == other)

    if row is None or row.event_time_us != expected.event_time_us or len(row.values) != len(expected.values):
        return False
    return all(map(close, row.values, expected.values))


def _until(rows: pa.Table, now: datetime) -> pa.Table:
    """Leave out what has not happened yet, which does not rule online."""
    import pyarrow as pa
    from pyarrow import compute

    return rows.filter(compute.less_equal(rows[EVENT_TIME], pa.scalar(now, pa.timestamp("us", "UTC"))))


def _shown(row: OnlineRow | None) -> str:
    if row is None:
        return "nothing"
    return f"{row.values} of {_EPOCH + timedelta(microseconds=row.event_time_us):%Y-%m-%d %H:%M:%S}"
