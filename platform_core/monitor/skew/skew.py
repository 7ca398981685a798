"""Training-serving skew check: compares logged features with the offline ones, row by row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loopline.platform_core.alarms import events
from loopline.platform_core.errors import NotFound
from loopline.platform_core.foundation.names import DATE, EVENT_TIME, ModelRef, online_view, view_table
from loopline.platform_core.loop.deployments import packages
from loopline.platform_core.loop.deployments.deployments import CHANGED, deployment, served
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.loop.rollouts import skews
from loopline.platform_core.loop.sites import site_redaction
from loopline.platform_core.monitor.drift.answers import COLUMNS, answers, place, resumed
from loopline.platform_core.monitor.drift.drift_windows import Place
from loopline.platform_core.monitor.drift.values import objects
from loopline.platform_core.monitor.skew.offline_replay import SERVED_BEGUN, SERVED_EVENT, Asked, OfflineView, Readings
from loopline.platform_core.monitor.skew.skew_cause import (
    MEANING,
    Answered,
    Cause,
    Expected,
    alike,
    differs,
    histories,
    likely_cause,
)
from loopline.platform_core.monitor.skew.underway import is_behind, offline_since
from loopline.platform_core.runtime.model import manifest
from loopline.platform_core.runtime.model.manifest import ViewField, WindowsField
from loopline.platform_core.specs.contracts import personal
from loopline.platform_core.specs.views.windows import Windows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from loopline.platform_core.contracts.serving import Served
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import FeatureView, Model, Team

LOGGED = (*COLUMNS, "keys", "asked_at", "logged_at", "missing", "stale")
EXAMPLES = 20
"""Differences that are kept with a check."""
LANDS_US = 86_400_000_000
"""So long (µs) an event may take to land after a stream's scorer has answered it."""
CHANGES = 10
"""Deployments looked back to: of a version that was replaced, the last answers are still to be compared."""


@dataclass(frozen=True)
class Difference:
    """One feature of one answered row that training would have seen otherwise."""

    view: str
    feature: str
    request_id: str
    row: int
    entity: str
    served: Any
    offline: Any
    cause: Cause


@dataclass(frozen=True)
class Skew:
    """What a check found of a version: rows compared, rows that differ, causes by view, examples, and the verdict.

    ``until`` is the place of the last row compared; the next check goes on behind it.
    """

    version: str
    rows: int
    differing: int
    causes: Mapping[str, int]
    examples: Sequence[Difference]
    passed: bool
    until: Place

    @property
    def reason(self) -> str:
        """Say it in a sentence."""
        if not self.differing:
            return f"0 of {self.rows} rows differ"
        said = ", ".join(f"{view_cause} {count}" for view_cause, count in self.causes.items())
        differ = f"{self.differing} of {self.rows} rows differ ({said})"
        if not self.examples:  # they stay at the site of the rows
            return differ
        one = self.examples[0]
        return (
            f"{differ}; {one.feature} of {one.entity} was served as "
            f"{one.served!r} and is {one.offline!r} offline: {MEANING[one.cause]}"
        )


def check(platform: Platform, team: Team, model: Model) -> list[Skew]:
    """Compare the compacted predictions of the versions served lately since their last check; write down what is found.

    Raises:
        NotFound: the team no longer declares a view that a version reads, or the view has no offline table.
    """
    ref = ModelRef(team.name, model.name)
    found = [s for served in _served_lately(platform, ref) if (s := _check_version(platform, team, model, served))]
    found = [_crossing(platform, ref, skew) for skew in found]
    for skew in found:
        _record(platform, ref, skew)
    reason, share = _standing(platform, ref)
    events.skew(platform, ref, reason, share=share)
    return found


def _standing(platform: Platform, ref: ModelRef) -> tuple[str, float]:
    """Say what the newest checks have against the versions that answer now, "" for nothing; and the largest share."""
    live = deployment(platform.ledger, ref)
    sides = (live.stable, live.candidate) if live else ()
    said = {side.version: skews.standing(platform.ledger, ref, side.version) for side in sides if side}
    against = {version: reason for version, reason in said.items() if reason}
    newest = [skews.newest(platform.ledger, ref, version) for version in against]
    shares = (entry.details["differing"] / max(entry.details["rows"], 1) for entry in newest if entry)
    return "; ".join(f"version {version}: {reason}" for version, reason in against.items()), max(shares, default=0.0)


def _served_lately(platform: Platform, ref: ModelRef) -> list[Served]:
    """Return the versions of the newest deployments, those that answer now first."""
    changes = platform.ledger.entries(ref, [CHANGED], newest_first=True, limit=CHANGES)
    sides = (served(entry.details[side]) for entry in changes for side in ("stable", "candidate"))
    return list({side.version: side for side in sides if side}.values())


def _check_version(platform: Platform, team: Team, model: Model, one: Served) -> Skew | None:
    ref = ModelRef(team.name, model.name)
    past = skews.newest(platform.ledger, ref, one.version)
    after = resumed(platform.lake, ref, Place(*past.details["until"]), past.at) if past else None
    rows = answers(platform.lake, ref, one.version, after, columns=LOGGED)
    if not len(rows):
        return None
    return compare(platform, team, model, one.version, rows, list(_reads(platform, team, ref, one)))


def compare(  # noqa: PLR0913, PLR0917 - rows of a version of a model are compared view by view
    platform: Platform, team: Team, model: Model, version: str, rows: pa.Table, views: Sequence[Read]
) -> Skew | None:
    """Compare answered rows (columns ``LOGGED``) with the offline rows of the views from which they were served.

    From the first row on that differs and may have been served what is not offline yet, rows wait for the next check;
    None: all of them do.
    """
    served, keys = objects(rows.column("features")), objects(rows.column("keys"))
    found: list[tuple[int, Difference]] = []
    end = len(rows)
    for read in views:
        compared = _ViewCheck(read, online_view(team.name, read.view), rows, served, keys, model.skew.relative)
        differences, told = compared.differences(platform, team)
        found += differences
        end = min(end, told)
    if not end:
        return None
    found = [(index, difference) for index, difference in found if index < end]
    causes = Counter(f"{difference.view}: {difference.cause}" for _, difference in found)
    differing = len({index for index, _ in found})
    passed = differing <= model.skew.at_most * end
    examples = [difference for _, difference in found[:EXAMPLES]]
    return Skew(version, end, differing, dict(causes.most_common()), examples, passed, place(rows.slice(0, end)))


class Read(NamedTuple):
    """A view that a version reads, and its features in stored order."""

    view: FeatureView
    features: tuple[str, ...]


@dataclass(frozen=True)
class _ViewCheck:
    """One view of the answered rows beside its offline rows."""

    read: Read
    online_name: str
    rows: pa.Table
    served: Sequence[Mapping[str, Any]]
    keys: Sequence[Mapping[str, Any]]
    relative: float

    def differences(self, platform: Platform, team: Team) -> tuple[list[tuple[int, Difference]], int]:
        """Return each row that differs, with its first differing feature; and before which row it can be told."""
        behind = is_behind(platform, team, self.view)  # asked before the offline rows are read: they may come meanwhile
        true, held = _held(platform, team, self.view, [row.get(self.view.entity) for row in self.keys])
        asked = self._asked(true, held.schema.field(self.view.entity).type)
        readings = OfflineView(*self.read, held).replay(platform.engine, asked)
        wrong = np.flatnonzero(self._wrong(readings))
        if not len(wrong):
            return [], len(self.rows)
        end = self._told_before(wrong, asked, offline_since(platform, team, self.view)) if behind else len(self.rows)
        if isinstance(self.view.compute, Windows):
            end = min(end, self._landed_before(wrong, asked, readings, platform.clock.now_us()))
        return list(self._explained(wrong, held, asked, readings)), end

    @property
    def view(self) -> FeatureView:
        return self.read.view

    def _asked(self, true: Sequence[Any], kind: pa.DataType) -> Asked:
        keys = [_as_key(key, kind) for key in true]
        answered = self.rows.column("logged_at")
        asked = pc.coalesce(self.rows.column("asked_at"), answered)
        times = (column.cast(pa.int64()).to_numpy() for column in (self.rows.column(EVENT_TIME), asked, answered))
        found = Asked(pa.array(keys, kind), *times)
        if isinstance(self.view.compute, Windows):  # nothing was looked up: the row is the event's, whenever scored
            late = np.maximum(found.answered_us, found.event_us)
            return found._replace(asked_us=late + 1, answered_us=late)
        return found

    def _wrong(self, readings: Readings) -> NDArray[np.bool_]:
        """Mark the rows that are neither what was there for certain nor what may have been there already."""
        bad = [np.zeros(len(self.rows), dtype=np.bool_) for _ in readings]
        for name in self.read.features:
            values = [row.get(name) for row in self.served]
            for wrong, reading in zip(bad, readings, strict=True):
                np.logical_or(wrong, differs(values, reading[name], self.relative), out=wrong)
        return bad[0] & bad[1]

    def _told_before(self, wrong: NDArray[np.int64], asked: Asked, since_us: int) -> int:
        """Return the first row that differs and was answered when what is not offline yet may have been online."""
        waiting = wrong[asked.answered_us[wrong] >= since_us]
        return int(waiting[0]) if len(waiting) else len(self.rows)

    def _landed_before(self, wrong: NDArray[np.int64], asked: Asked, readings: Readings, now_us: int) -> int:
        """Return the first row, scored not long ago, whose event has no offline row: it has not landed yet."""
        lacks = np.asarray(pc.is_null(readings.possible[SERVED_EVENT]))[wrong]
        waiting = wrong[lacks & (asked.answered_us[wrong] >= now_us - LANDS_US)]
        return int(waiting[0]) if len(waiting) else len(self.rows)

    def _explained(
        self, wrong: NDArray[np.int64], held: pa.Table, asked: Asked, readings: Readings
    ) -> Iterator[tuple[int, Difference]]:
        features = self.read.features
        expected = readings.certain.take(pa.array(wrong)).to_pylist()
        entities = asked.keys.take(pa.array(wrong)).to_pylist()
        known = histories(held, self.view.entity, features, sorted({key for key in entities if key is not None}))
        for index, key, offline in zip(wrong.tolist(), entities, expected, strict=True):
            answered = self._answered(index, asked)
            should = Expected(tuple(offline[n] for n in features), offline[SERVED_EVENT], offline[SERVED_BEGUN])
            cause = likely_cause(answered, should, known.get(key), self.relative)
            yield index, self._difference(index, answered, should, cause)

    def _answered(self, index: int, asked: Asked) -> Answered:
        missing, stale = (self.rows.column(name)[index].as_py() or () for name in ("missing", "stale"))
        values = tuple(self.served[index].get(name) for name in self.read.features)
        times = int(asked.event_us[index]), int(asked.answered_us[index])
        return Answered(values, self.online_name in missing, self.online_name in stale, *times)

    def _difference(self, index: int, answered: Answered, should: Expected, cause: Cause) -> Difference:
        pairs = zip(self.read.features, answered.values, should.values, strict=True)
        name, was, is_ = next(pair for pair in pairs if not alike(pair[1:2], pair[2:], self.relative))
        request, row = self.rows.column("request_id")[index].as_py(), self.rows.column("row")[index].as_py()
        entity = str(self.keys[index].get(self.view.entity))
        return Difference(self.view.name, name, request, row, f"{self.view.entity} {entity}", was, is_, cause)


def _reads(platform: Platform, team: Team, ref: ModelRef, served: Served) -> Iterator[Read]:
    """Yield the views of the team that a version reads online, and those of windows, which a stream's scorer keeps."""
    said = manifest.load(packages.at_hand(platform, ref, served).package)
    declared = {online_view(team.name, view): view for view in team.views}
    fields: list[ViewField | WindowsField] = [*said.views, *said.windows]
    for field in fields:
        if field.view not in declared:
            raise NotFound(
                f"version {served.version} of {ref} reads {field.view!r}, which the team no longer declares",
                "declare that version of the view until no live model reads it",
            )
        yield Read(declared[field.view], tuple(field.features))


def _held(platform: Platform, team: Team, view: FeatureView, keys: Sequence[Any]) -> tuple[Sequence[Any], pa.Table]:
    """Return the keys that were asked about, none of them a pseudonym, and their offline rows."""
    lake, table = platform.lake, view_table(team.name, view)
    kind = lake.read(table, columns=[view.entity], until=date.min).schema.field(view.entity).type
    true = keys
    if any(map(personal.is_pseudonym, keys)):  # whose they are is found among all entities that there are
        known = lake.read(table, columns=[view.entity]).column(view.entity)
        true = personal.revealed(view.entity, keys, known.unique().to_pylist())
    wanted = sorted({key for raw in true if (key := _as_key(raw, kind)) is not None})
    return true, lake.read(table, among={view.entity: pa.array(wanted, kind)}).drop_columns([DATE])


def _as_key(raw: Any, kind: pa.DataType) -> Any:
    """Turn a logged key into the type of the offline table's; what is none of that type is asked as null."""
    if raw is None or not pa.types.is_integer(kind):
        return None if raw is None else str(raw)
    try:
        return pa.scalar(int(raw), kind).as_py()
    except (ValueError, TypeError, OverflowError):  # no number, or one beyond the type
        return None


def _crossing(platform: Platform, ref: ModelRef, skew: Skew) -> Skew:
    """Leave the examples at the site, if this is one."""
    if not skew.examples or not site_redaction.at_site(platform):
        return skew
    site_redaction.told(platform, f"skew of {ref} version {skew.version}", f"{skew.reason}; {list(skew.examples)}")
    return replace(skew, examples=())


def _record(platform: Platform, ref: ModelRef, skew: Skew) -> None:
    entry = Entry(
        skews.CHECKED,
        platform.clock.now(),
        *ref,
        version=skew.version,
        reason=skew.reason,
        details={**asdict(skew), "until": list(skew.until)},
    )
    platform.ledger.record(entry, once=f"{skews.CHECKED}:{ref.dotted}:{skew.version}:{':'.join(map(str, skew.until))}")
