"""Quality history: measures and estimates each version window by window, stores the results, reads them back.

A window is measured anew, with every label that has come, until twice the time has passed in which labels come, or
its predictions expire; then its figures stay. Of a version's window there is one row in the ledger's database, so that
a page reads two years of them in milliseconds.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from functools import cached_property
from itertools import repeat
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from loopline.platform_core.errors import NotFound
from loopline.platform_core.estimation import held_out
from loopline.platform_core.estimation.evidence import Evidence
from loopline.platform_core.foundation.names import ModelRef, prediction_table, scores_table, version_order
from loopline.platform_core.loop.deployments import packages
from loopline.platform_core.loop.rollouts import quality_table
from loopline.platform_core.monitor.drift import moved_names
from loopline.platform_core.monitor.quality import (
    drawn,
    fairness,
    fairness_verdicts,
    groups,
    missing_labels,
    quality_figures,
    version_quality,
    window_figures,
)
from loopline.platform_core.monitor.quality.outcomes import DAY_US, Age, outcomes, with_features
from loopline.platform_core.monitor.quality.predictions import kept_since
from loopline.platform_core.monitor.quality.quality_snapshot import look, look_path
from loopline.platform_core.monitor.quality.quality_windows import MONDAY, Counted, counted, windows
from loopline.platform_core.monitor.quality.realised import keep
from loopline.platform_core.monitor.quality.version_quality import Life
from loopline.platform_core.specs.quality import watched_fairness, watched_metrics

if TYPE_CHECKING:
    from loopline.platform_core.estimation.estimation import Meaning
    from loopline.platform_core.estimation.held_out import HeldOut
    from loopline.platform_core.monitor.quality.labelled import LabelBook
    from loopline.platform_core.monitor.quality.outcomes import Answered, Outcomes
    from loopline.platform_core.monitor.quality.snapshot_cache import Header, Look
    from loopline.platform_core.monitor.quality.version_quality import VersionQuality
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Model, Team

SPARE = timedelta(days=7)
"""How much longer than labels take a window is measured at least."""
LONGEST = timedelta(days=366)
"""How long a window is measured while labels of one kind only have come."""


class LiveQuality(NamedTuple):
    """What one call measured: figures of each version's whole life, the oldest version first, and how many windows."""

    versions: list[VersionQuality]
    windows: int


def measured(platform: Platform, team: Team, model: Model) -> LiveQuality:
    """Measure every window of which more may be known than was kept, and keep what is found; nothing of no answers.

    Rows whose label has come go into the realised table, by which rollouts are judged.

    Raises:
        InvalidSpec: figures are split by a personal column, or a class or item stands elsewhere than in the live
            version. NotFound: nothing has arrived that could be a label.
    """
    ref = ModelRef(team.name, model.name)
    columns = groups.columns(team, model)
    if all(platform.lake.version(table) is None for table in (prediction_table(*ref), scores_table(*ref))):
        return LiveQuality([], 0)
    moved_names.refuse(platform, ref, model.target)
    joined = _look(platform, team, model)
    labels, every = joined.book, joined.answered
    realised = keep(platform.lake, ref, labels, every, platform.clock.now_us(), joined.realised)
    age = _age(platform, model, labels)
    met = dict(outcomes(every.by_callers, labels, age))
    answers = {**dict(outcomes(every.without(met), labels, age)), **met}
    lives = _whole_lives(model, answers, len(every.rows), joined.header)
    versions = [version_quality.of(version, answers[version], life, model.target) for version, life in lives.items()]
    version_quality.record(platform, ref, versions)
    drawn.record(platform, ref, model, met, every.by_callers, labels, age)
    way = model.target.estimation
    begun = dict(outcomes(every.by_callers, labels, age._replace(begun=True))) if way and way.early else met
    job = _Job(platform, ref, model, columns, age, _spec(model, columns), met, joined.header, begun)
    found = list(job.windows(labels, every))
    quality_table.put(platform.ledger, ref, [window.row for window in found], job.spec)
    missing_labels.tell(platform, ref, job.told(found), platform.clock.now() - job.settles, kept_since(platform, model))
    joined.keep(look_path(platform, ref), realised, {window.name: window.basis for window in found}, lives)
    return LiveQuality(versions, len(found))


def _look(platform: Platform, team: Team, model: Model) -> Look:
    """Join answers and labels; where nothing has ever come that could be one, what expires is told of all the same."""
    try:
        return look(platform, team, model)
    except NotFound:
        ref, never = ModelRef(team.name, model.name), platform.clock.now() - 2 * LONGEST
        missing_labels.tell(platform, ref, quality_table.rows(platform.ledger, ref), never, kept_since(platform, model))
        raise


def _whole_lives(model: Model, answers: Mapping[str, Outcomes], rows: int, last: Header) -> dict[str, Life]:
    """Measure each version, the oldest first; one that no caller has met yet by what it said as a shadow.

    Of so many ``rows`` those beyond the distinct examples are answers that took the place of others, or may have.
    """
    changed = last.replaced + rows - sum(map(len, answers.values()))
    named = sorted(answers.items(), key=lambda item: version_order(item[0]))
    return {version: Life.of(own, model.target, changed, last.lives.get(version)) for version, own in named}


class _Window(NamedTuple):
    """A measured window by its name, and by what it was measured: the same again gives the same figures."""

    name: str
    basis: str
    row: quality_table.Row


@dataclass(frozen=True)
class _Job:
    """A model's windows to be measured; ``met`` is what each version answered so far, without its groups.

    ``begun`` is the same with labels of which the first numbers have come, where estimates learn from these.
    """

    platform: Platform
    ref: ModelRef
    model: Model
    columns: Sequence[str]
    age: Age
    spec: str
    met: Mapping[str, Outcomes]
    read: Header
    begun: Mapping[str, Outcomes]

    def windows(self, labels: LabelBook, every: Answered) -> Iterator[_Window]:
        """Yield each version's windows that are due; ``every`` row was answered so far."""
        due = self._due()
        if not due:
            return
        first = min(start for _, start in due)
        recent = every.since(first)
        if set(self.columns) - set(labels.table.column_names):  # features are read of the days that need them
            recent = with_features(recent, self.platform.lake, self.read.answers, first.date())
        for version, rows in outcomes(recent.by_callers, labels, self.age, self.columns):
            own = [(start, window) for start, window in windows(rows, self._length) if (version, start) in due]
            if own:  # the registry may be asked for the version's evidence
                yield from self._measured(version, own, self._evidence(version))

    def _measured(
        self, version: str, own: Sequence[tuple[datetime, Outcomes]], evidence: Evidence | None
    ) -> Iterator[_Window]:
        """Measure windows, the oldest first; where rows and evidence are those of the last look, its figures hold."""
        known = [(start + self._length - self._wait).timestamp() * 1e6 for start, _ in own]
        said = evidence.digests(known) if evidence else repeat("", len(known))
        for (start, window), until, meaning in zip(own, known, said, strict=True):
            name, basis = f"{version} {start:%Y-%m-%dT%H:%M}", f"{window.digest} {meaning}"
            row = self._measured_windows.get((version, start, start + self._length))
            if row is not None and row.spec == self.spec and self.read.windows.get(name) == basis:
                yield _Window(name, basis, replace(row, measured_at=self.platform.clock.now()))
            else:
                learnt = evidence.by(until) if evidence else None
                yield _Window(name, basis, self._row(version, start, window, learnt))

    @cached_property
    def settles(self) -> timedelta:
        """Return how long after its end a window is measured."""
        return max(2 * self._wait, self._wait + SPARE)

    @cached_property
    def _length(self) -> timedelta:
        return timedelta(days=self.model.quality.days)

    def _due(self) -> set[tuple[str, datetime]]:
        """Name the versions' windows of which more may be known than was kept.

        These are the windows whose labels still come, those with answers that were never measured, whatever the
        reason, and with other rules all of them.
        """
        return {
            (version, window.start)
            for version, rows in self.met.items()
            for window in counted(rows, self._length)
            if self._may_change(version, window) and not self._is_remnant(version, window)
        }

    @cached_property
    def _measured_windows(self) -> dict[tuple[str, datetime, datetime], quality_table.Row]:
        """Return the windows as they were measured last."""
        kept = quality_table.rows(self.platform.ledger, self.ref)
        return {(row.version, row.since, row.until): row for row in kept}

    def told(self, measured: Sequence[_Window]) -> list[quality_table.Row]:
        """Return every window as it is kept once those that were measured now are."""
        new = [window.row for window in measured]
        starts: dict[str, list[datetime]] = {}
        for row in new:
            starts.setdefault(row.version, []).append(row.since)
        return [*(row for row in self._measured_windows.values() if not self._overlaps(row, starts)), *new]

    def _overlaps(self, row: quality_table.Row, starts: Mapping[str, list[datetime]]) -> bool:
        """Say whether one of a version's windows that start at some times, the earliest first, shares time with it."""
        own = starts.get(row.version, [])
        before = bisect_left(own, row.until)
        return before > 0 and own[before - 1] + self._length > row.since

    def _may_change(self, version: str, window: Counted) -> bool:
        row = self._measured_windows.get((version, window.start, window.start + self._length))
        if row is None or row.spec != self.spec:
            return True
        if window.start >= self._newest or (row.measured_at < row.until + self.settles and not self._expires(row)):
            return True
        before = quality_figures.counts(row.measured)  # parsed last: of most windows all else is the same
        return window.answers > before.answered or (window.has_labels and not before.labelled)

    @cached_property
    def _newest(self) -> datetime:
        """Return the start of the newest window of which labels may be missing no more."""
        return MONDAY + (self.platform.clock.now() - self.settles - MONDAY) // self._length * self._length

    def _is_remnant(self, version: str, window: Counted) -> bool:
        """Say whether less is left of a window than was measured in it, because predictions expire."""
        until = window.start + self._length
        same = (row for row in self._expiring.get(version, ()) if row.since < until and row.until > window.start)
        return window.answers < sum(quality_figures.counts(row.measured).answered for row in same)

    @cached_property
    def _expiring(self) -> dict[str, list[quality_table.Row]]:
        """Return the measured windows of each version of which the lake may have lost predictions."""
        found: dict[str, list[quality_table.Row]] = {}
        for row in filter(self._expires, self._measured_windows.values()):
            found.setdefault(row.version, []).append(row)
        return found

    def _expires(self, row: quality_table.Row) -> bool:
        """Say whether the lake may have lost predictions of a window."""
        return self._first_day is not None and row.since.date() < self._first_day

    @cached_property
    def _first_day(self) -> date | None:
        return kept_since(self.platform, self.model)

    @cached_property
    def _wait(self) -> timedelta:
        return LONGEST if self.age.wait_us is None else timedelta(microseconds=self.age.wait_us)

    def _evidence(self, version: str) -> Evidence | None:
        rows, target = self.begun[version], self.model.target
        if target.estimation is None:
            return None
        kept = self._held_out(version, target.estimation.file)
        return Evidence(target.estimation, target, kept, rows.event_us, target.own(rows.raw), rows.labels)

    def _held_out(self, version: str, file: str) -> HeldOut:
        try:
            return held_out.load(packages.fetched(self.platform, self.ref, version), file)
        except NotFound:  # the registry has forgotten the version
            return held_out.NONE

    def _row(self, version: str, start: datetime, window: Outcomes, meaning: Meaning | None) -> quality_table.Row:
        rules = watched_fairness(self.model)
        verdicts = [found for rule in rules if (found := fairness.judge(rule, window, self.model.target))]
        return quality_table.Row(
            version=version,
            since=start,
            until=start + self._length,
            measured_at=self.platform.clock.now(),
            spec=self.spec,
            measured=quality_figures.encode(window_figures.measured(self.model, window, meaning)),
            fairness=fairness_verdicts.encode(verdicts),
        )


def _age(platform: Platform, model: Model, labels: LabelBook) -> Age:
    declared = model.quality.wait_days
    return Age(platform.clock.now_us(), labels.wait_us(model.target) if declared is None else int(declared * DAY_US))


def _spec(model: Model, columns: Sequence[str]) -> str:
    """Name by what rules windows are measured: where these change, all that can be is measured anew."""
    rules = [asdict(rule) for rule in watched_fairness(model)]
    quality = asdict(model.quality)
    del quality["metrics"]
    asked = [metric.name for metric in watched_metrics(model) if not metric.followed]
    parts = [quality, columns, rules, model.target.to_json(), *([asked] if asked else [])]
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()
