"""How good each version is live, window by window: measured as labels come, and estimated before; kept, and read back.

A window is measured anew, with every label that has come, until twice the time has passed in which labels come, or
its predictions expire; then its figures stay. Of a version's window there is one row in the ledger's database, so that
a page reads two years of them in milliseconds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from loopline.platform_core.errors import NotFound
from loopline.platform_core.foundation.names import ModelRef, prediction_table, scores_table
from loopline.platform_core.loop import packages, quality_table
from loopline.platform_core.monitor import calibration, fairness, figures, groups
from loopline.platform_core.monitor.calibration import Evidence, HeldOut
from loopline.platform_core.monitor.estimate import estimated
from loopline.platform_core.monitor.figures import POSITIVE_RATE, Figure
from loopline.platform_core.monitor.labelled import LabelBook, book
from loopline.platform_core.monitor.outcomes import DAY_US, Age, outcomes
from loopline.platform_core.monitor.predictions import kept_since
from loopline.platform_core.specs.quality import watched_fairness, watched_segments

if TYPE_CHECKING:
    from loopline.platform_core.monitor.calibration import Calibration
    from loopline.platform_core.monitor.outcomes import Outcomes
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Model, Team

MONDAY = datetime(1970, 1, 5, tzinfo=UTC)
"""Windows are counted from here."""
SPARE = timedelta(days=7)
"""How much longer than labels take a window is measured at least."""
LONGEST = timedelta(days=366)
"""How long a window is measured while labels of one kind only have come."""


class Measured(NamedTuple):
    """A metric of one version's window, with its 95 % interval.

    ``segment`` is "" for all rows, else such as "country=France". ``rows`` were answered; ``labelled`` of them have a
    label that counts. An estimate is of all ``rows``, and what is not estimated is of the labelled ones, but for
    ``positive_rate``, which needs no label.
    """

    metric: str
    version: str
    segment: str
    since: datetime
    until: datetime
    value: float
    low: float
    high: float
    rows: int
    labelled: int
    estimated: bool


Kept = tuple[str, str, float, float, float, int, int, bool]
"""A ``Measured`` of one row of the table, without what the row says of all: metric, segment, value and so on."""
_decoder = msgspec.json.Decoder(list[Kept])


def history(platform: Platform, ref: ModelRef) -> list[Measured]:
    """Return every figure as it was measured last, oldest window first; nothing is measured here."""
    return [
        Measured(metric, row.version, segment, row.since, row.until, value, low, high, rows, labelled, is_estimate)
        for row in quality_table.rows(platform.ledger, ref)
        for metric, segment, value, low, high, rows, labelled, is_estimate in _decoder.decode(row.measured)
    ]


def measure(platform: Platform, team: Team, model: Model, labels: LabelBook | None = None) -> int:
    """Measure the windows whose labels still come, and keep what is found; return how many were.

    ``labels`` are those of the raw rows, for whoever has computed them.

    Raises:
        InvalidSpec: figures are split by a personal column. NotFound: nothing has arrived that could be a label.
    """
    ref = ModelRef(team.name, model.name)
    columns = groups.columns(team, model)
    if all(platform.lake.version(table) is None for table in (prediction_table(*ref), scores_table(*ref))):
        return 0
    labels = labels or book(platform, team, model)
    job = _Job(platform, ref, model, columns, _age(platform, model, labels), _spec(model, columns))
    rows = list(job.rows(labels))
    quality_table.put(platform.ledger, ref, rows, job.spec)
    return len(rows)


@dataclass(frozen=True)
class _Job:
    """A model's windows to be measured."""

    platform: Platform
    ref: ModelRef
    model: Model
    columns: Sequence[str]
    age: Age
    spec: str

    def rows(self, labels: LabelBook) -> Iterator[quality_table.Row]:
        """Yield a row of the table for each version and window."""
        kept = quality_table.rows(self.platform.ledger, self.ref)
        since, lake = self._since(kept), self.platform.lake
        day = (since - self._length - self._wait).date() if since else None  # by rows of before, scores are read
        for version, answered in outcomes(lake, self.ref, labels, self.columns, self.age, day):
            evidence = None  # loaded for a version that has a window: the registry may be asked for it
            for start, window in _windows(answered, self._length, since):
                if self._is_remnant(version, start, window, kept):
                    continue
                evidence = evidence or self._evidence(version, answered)
                known = start + self._length - self._wait
                yield self._row(version, start, window, evidence.by(known.timestamp() * 1e6))

    @property
    def _length(self) -> timedelta:
        return timedelta(days=self.model.quality.days)

    def _since(self, kept: Sequence[quality_table.Row]) -> datetime | None:
        """Return where the first window begins whose figures may change; None where all are to be measured."""
        if not kept or any(row.spec != self.spec for row in kept):
            return None
        settled = max(2 * self._wait, self._wait + SPARE)
        newest = MONDAY + (self.platform.clock.now() - settled - MONDAY) // self._length * self._length
        young = (row for row in kept if row.measured_at < row.until + settled and not self._expires(row))
        return min([newest, *(row.since for row in young)])

    def _is_remnant(self, version: str, start: datetime, window: Outcomes, kept: Sequence[quality_table.Row]) -> bool:
        """Say whether less is left of a window than was measured in it, because predictions expire."""
        until = start + self._length
        same = (row for row in kept if row.version == version and row.since < until and row.until > start)
        return len(window) < sum(_answered(row) for row in same if self._expires(row))

    def _expires(self, row: quality_table.Row) -> bool:
        """Say whether the lake may have lost predictions of a window."""
        return self._first_day is not None and row.since.date() < self._first_day

    @cached_property
    def _first_day(self) -> date | None:
        return kept_since(self.platform, self.model)

    @property
    def _wait(self) -> timedelta:
        return LONGEST if self.age.wait_us is None else timedelta(microseconds=self.age.wait_us)

    def _evidence(self, version: str, answered: Outcomes) -> Evidence:
        return Evidence(self._held_out(version), answered.event_us, answered.scores, answered.labels)

    def _held_out(self, version: str) -> HeldOut:
        try:
            return calibration.load(packages.fetched(self.platform, self.ref, version))
        except NotFound:  # the registry has forgotten the version
            return calibration.NONE

    def _row(self, version: str, start: datetime, window: Outcomes, meaning: Calibration | None) -> quality_table.Row:
        threshold, parts = self.model.threshold, _parts(self.model, window)
        measured = [kept for name, part in parts for kept in _figures(name, part, threshold, meaning)]
        rules = watched_fairness(self.model)
        judged = [found for rule in rules if (found := fairness.judge(rule, window, threshold))]
        times = (start, start + self._length, self.platform.clock.now())
        told = msgspec.json.encode(measured).decode()
        return quality_table.Row(version, *times, self.spec, told, fairness.encode(judged))


def _parts(model: Model, window: Outcomes) -> Iterator[tuple[str, Outcomes]]:
    """Yield all rows, and those of each segment that has enough."""
    yield "", window
    for column in watched_segments(model):
        values = window.groups[column]
        for value in groups.largest(values, model.quality.min_rows):
            yield f"{column}={value}", window.where(values == value)


def _figures(segment: str, rows: Outcomes, threshold: float, meaning: Calibration | None) -> Iterator[Kept]:
    """Yield what is realised of some rows, and what is estimated if anything is known of what scores mean."""
    told = np.isfinite(rows.labels)
    counts = len(rows), int(told.sum())
    flagged = figures.share(POSITIVE_RATE, rows.labels, rows.scores, threshold)
    real = list(figures.realised(rows.labels[told], rows.scores[told], threshold))
    real += [Figure(POSITIVE_RATE, *flagged)] if flagged else []
    for figure in real:
        yield _kept(figure, segment, counts, is_estimate=False)
    for figure in estimated(meaning, rows.scores, threshold) if meaning else ():
        yield _kept(figure, segment, counts, is_estimate=True)


def _answered(row: quality_table.Row) -> int:
    """Return how many rows a window had when it was measured."""
    return max((rows for _, _, _, _, _, rows, _, _ in _decoder.decode(row.measured)), default=0)


def _kept(figure: Figure, segment: str, counts: tuple[int, int], *, is_estimate: bool) -> Kept:
    value, low, high = (float(f"{number:.6g}") for number in figure[1:])
    return (figure.metric, segment, value, low, high, *counts, is_estimate)


def _windows(rows: Outcomes, length: timedelta, since: datetime | None) -> Iterator[tuple[datetime, Outcomes]]:
    """Cut rows by event time into the windows that begin at an instant or later; all windows where it is None."""
    length_us = length // timedelta(microseconds=1)
    numbers = (rows.event_us - int(MONDAY.timestamp()) * 1_000_000) // length_us
    for number in np.unique(numbers).tolist():
        start = MONDAY + number * length
        if since is None or start >= since:
            yield start, rows.where(numbers == number)


def _age(platform: Platform, model: Model, labels: LabelBook) -> Age:
    declared = model.quality.wait_days
    return Age(platform.clock.now_us(), labels.wait_us() if declared is None else int(declared * DAY_US))


def _spec(model: Model, columns: Sequence[str]) -> str:
    """Name by what rules windows are measured: where these change, all that can be is measured anew."""
    rules = [asdict(rule) for rule in watched_fairness(model)]
    told = [asdict(model.quality), columns, rules, model.threshold]
    return hashlib.sha256(msgspec.json.encode(told)).hexdigest()
