"""Outcome of an experiment for each entity: what happened within its time window, as known then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from loopline.platform_core.errors import InvalidSpec, NotFound
from loopline.platform_core.features.compute.label_check import labels_of
from loopline.platform_core.features.compute.row_scope import RawRows, Reach
from loopline.platform_core.foundation import number_lists
from loopline.platform_core.foundation.names import EVENT_TIME, KNOWN_AT, LABEL, raw_table
from loopline.platform_core.loop.rollouts import raw
from loopline.platform_core.monitor.quality.labelled import (
    Keyed,
    answered_keys,
    matched,
    numbered_examples,
    repeats,
    texts,
)
from loopline.platform_core.monitor.quality.outcomes import DAY_US
from loopline.platform_core.specs.contracts import personal
from loopline.platform_core.specs.experiment import ERRORS, LATENCY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from loopline.platform_core.experiments.arms import Arms, Floats, Places
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Labels, Model, Team

FIRST_ERROR = 500
NEVER_US = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Rule:
    """How an outcome is measured of an entity: over which time (days), known how long after it, and by which sum."""

    outcome: str | Labels
    days: float
    wait_days: float
    per: str = "mean"

    @property
    def name(self) -> str:
        """Return the outcome's name."""
        return self.outcome if isinstance(self.outcome, str) else self.outcome.name


@dataclass(frozen=True, eq=False)
class Happened:
    """What happened: to which entity (its place, -1 for one of nobody here), when, known since when, and how much."""

    places: Places
    at_us: Places
    known_us: Places
    values: Floats


@dataclass(frozen=True, eq=False)
class Entities:
    """What an outcome makes of each entity whose time is over: ``values``, NaN of which nothing is known.

    ``before`` is the same of the time before it met a version, NaN where that is not known: what makes entities differ
    without any experiment. ``over`` marks those whose time is over.
    """

    values: Floats
    before: Floats
    over: NDArray[np.bool_]


@dataclass(frozen=True)
class Source:
    """Where what happened is read: a team's model on a platform."""

    platform: Platform
    team: Team
    model: Model

    def happened(self, arms: Arms, outcome: str | Labels) -> Happened:
        """Return what an outcome says of the entities that met a version.

        Raises:
            InvalidSpec: a row's loss depends on other rows, or labels lack the entity. NotFound: no raw row has landed.
        """
        if outcome == ERRORS:
            failed = arms.rows["status"].to_numpy() >= FIRST_ERROR
            return Happened(arms.places, arms.at_us, arms.at_us, failed.astype(np.float64))
        if outcome == LATENCY:
            took = np.asarray(arms.rows["latency_ms"].to_numpy(), dtype=np.float64)
            return Happened(arms.places, arms.at_us, arms.at_us, took)
        return self._lost(arms, outcome) if isinstance(outcome, str) else self._became(arms, outcome)

    def _became(self, arms: Arms, outcome: Labels) -> Happened:
        """Return the rows of labels of their own, each by the entity by which requests are split."""
        entity = self.model.labels.entity
        if entity not in outcome.entities:
            raise InvalidSpec(
                f"outcome {outcome.name!r} is of {', '.join(outcome.entities)}, and requests are split by {entity!r}",
                f"let its function return the column {entity!r}, and name it among its entities",
            )
        persons = [name for name in personal.entities(self.team, self.model) if name == entity]
        found = personal.hidden(self.platform.engine.compute_labels(outcome, self._raw(outcome)), persons)
        names = found[entity].cast(pa.string()).combine_chunks()
        places = pa.compute.index_in(names, value_set=arms.entities).fill_null(-1)
        values = np.asarray(found[LABEL].cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
        return Happened(np.asarray(places, dtype=np.int64), _us(found, EVENT_TIME), _us(found, KNOWN_AT), values)

    def _lost(self, arms: Arms, name: str) -> Happened:
        """Return what each answered row lost by a metric of the kind; of failed rows and without label nothing."""
        labels, known_us = self._labels(arms)
        target, rows = self.model.target, arms.rows
        answers = raw.of(rows) if target.width == 1 else _wide(rows, target.width)
        there = np.flatnonzero(number_lists.there(labels) & np.isfinite(answers.reshape(len(answers), -1)).all(axis=1))
        found = target.metrics[name].losses(target.rows(labels[there], answers[there])) if len(there) else None
        if found is not None and len(found.values) != len(there):
            raise InvalidSpec(f"{name} of a row depends on other rows", "take one that is a mean of what rows lose")
        values = np.full(len(rows), np.nan)
        if found is not None:
            values[there] = found.values * found.unit
        meant = np.where(arms.by_candidate == arms.is_candidate[arms.places], arms.places, -1)
        return Happened(meant, arms.at_us, known_us, values)

    def _labels(self, arms: Arms) -> tuple[Floats, Places]:
        """Return each answered row's label as its kind encodes it, and since when it is known."""
        labels = self.model.labels
        persons = personal.entities(self.team, self.model)
        table = personal.hidden(labels_of(self.platform.engine, self.model, self._raw(labels)), persons)
        encoded = self.model.target.encoded(table[LABEL])
        keyed = Keyed(texts(table, labels.entities), table)
        answers = Keyed(answered_keys(arms.rows, labels.entities, persons), arms.rows)
        again = repeats(numbered_examples(keyed, keyed, timed=False)[0]) > 0
        places = matched(*numbered_examples(keyed, answers, timed=again)).places
        if not len(table):
            return np.full(len(places), np.nan), np.full(len(places), NEVER_US)
        there = places >= 0
        told = encoded[places]
        told[~there] = np.nan
        return told, np.where(there, _us(table, KNOWN_AT)[places], NEVER_US)

    def _raw(self, labels: Labels) -> pa.Table:
        version = self.platform.lake.version(raw_table(self.team.name, labels.source.name))
        if version is None:
            raise NotFound(f"no row of {labels.source.name!r} has landed", "let its files come first")
        return RawRows(self.platform, self.team, labels).raw(version, Reach())


def of(arms: Arms, happened: Happened, rule: Rule, now_us: int) -> Entities:
    """Sum up what happened to each entity in its time; what is known later than its time and wait changes nothing.

    So an entity's value stays what it was when its time was over, and looks only ever add entities.
    """
    time_us, wait_us = int(rule.days * DAY_US), int(rule.wait_days * DAY_US)
    mine = np.flatnonzero((happened.places >= 0) & np.isfinite(happened.values))
    places, at_us, known_us = (part[mine] for part in (happened.places, happened.at_us, happened.known_us))
    start = arms.start_us[places]
    within = (at_us >= start) & (at_us < start + time_us) & (known_us <= start + time_us + wait_us)
    earlier = (at_us < start) & (at_us >= start - time_us) & (known_us <= start)
    amounts = happened.values[mine]
    values, before = (_summed(amounts[part], places[part], len(arms), rule.per) for part in (within, earlier))
    return Entities(values, before, arms.start_us + time_us + wait_us <= now_us)


def adjusted(entities: Entities, chosen: NDArray[np.bool_], is_candidate: NDArray[np.bool_]) -> Floats:
    """Return values of chosen entities without what was known of them before (Deng, Xu, Kohavi and Walker 2013).

    The slope is that within the sides, so that no difference between them goes into it.
    """
    values, before, side = entities.values[chosen], entities.before[chosen], is_candidate[chosen]
    if not np.isfinite(before).any():
        return values
    before = np.where(np.isfinite(before), before, np.nanmean(before))
    one, other = before - _means(before, side), values - _means(values, side)
    spread = float(one @ one)
    return np.asarray(values - (float(one @ other) / spread if spread else 0.0) * (before - before.mean()))


def _means(values: Floats, side: NDArray[np.bool_]) -> Floats:
    sums, counts = np.bincount(side, values, 2), np.bincount(side, minlength=2)
    return np.asarray((sums / np.maximum(counts, 1))[side.astype(int)])


def _summed(values: Floats, places: Places, count: int, per: str) -> Floats:
    sums, counts = np.bincount(places, values, count), np.bincount(places, minlength=count)
    if per == "sum":
        return np.asarray(sums, dtype=np.float64)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _wide(rows: pa.Table, width: int) -> Floats:
    """Return what was returned for each row, NaN for one that failed or has another number of values."""
    lists = rows[raw.RAW].combine_chunks()
    there = np.asarray(pa.compute.equal(pa.compute.list_value_length(lists), width).fill_null(False), dtype=bool)
    found = np.full((len(rows), width), np.nan)
    flat = lists.filter(pa.array(there)).flatten()
    found[there] = np.asarray(flat.to_numpy(zero_copy_only=False), dtype=np.float64).reshape(-1, width)
    return found


def _us(rows: pa.Table, column: str) -> Places:
    return np.asarray(rows[column].cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy(), dtype=np.int64)
