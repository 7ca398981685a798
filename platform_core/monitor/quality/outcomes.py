"""Predictions with their labels: the distinct examples that each version answered."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from loopline.platform_core.contracts.serving import SHADOW_ROLE
from loopline.platform_core.foundation.distance import Floats
from loopline.platform_core.foundation.names import EVENT_TIME, version_order
from loopline.platform_core.foundation.number_lists import there
from loopline.platform_core.loop.rollouts import raw
from loopline.platform_core.monitor.drift.values import objects
from loopline.platform_core.monitor.quality import groups
from loopline.platform_core.monitor.quality.groups import Texts
from loopline.platform_core.monitor.quality.labelled import Coded, Examples, both, coded, matched, numbered, paired

if TYPE_CHECKING:
    from loopline.platform_core.contracts.lake import Lake
    from loopline.platform_core.monitor.quality.labelled import LabelBook

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY_US = 86_400_000_000
KEPT = ("request_id", "row", "role", "version", EVENT_TIME, "logged_at", "score")
"""What tells an answered row from others: its request's id is the caller's, who may name many alike."""
CODED = ("role", "version")
"""Columns of few values: of answered rows they come as Arrow's dictionaries, so that nobody looks each row up."""
READ = ("request_id", "row", "role", "version", EVENT_TIME, "logged_at", "score", "keys")
"""Columns of an answered row."""
ORDER = ("logged_at", "request_id", "row")
Instants = NDArray[np.int64]


class VersionOutcomes(NamedTuple):
    """A version, and what it answered."""

    version: str
    outcomes: Outcomes


class Age(NamedTuple):
    """Now (µs since 1970), and how old an example must be for its label to count (µs; None: not known yet).

    With ``begun`` all that has come of labels counts, though the last of their numbers is not known.
    """

    now_us: int
    wait_us: int | None
    begun: bool = False


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Distinct examples that a version answered: arrays of one length.

    ``raw`` is what the model returned, float64 (rows,) or (rows, numbers), and so are ``labels``, NaN where none is
    known; ``groups`` holds each row's value by column, "" for none.
    """

    event_us: Instants
    raw: Floats
    labels: Floats
    groups: Mapping[str, Texts]

    def __len__(self) -> int:
        """Count the examples."""
        return len(self.raw)

    @cached_property
    def labelled(self) -> NDArray[np.bool_]:
        """Mark the examples whose label is known."""
        return there(self.labels)

    @property
    def digest(self) -> str:
        """Name all of it, in its order."""
        digest = hashlib.sha256()
        for values in (self.event_us, self.raw, self.labels):
            digest.update(values.tobytes())
        for column, texts in sorted(self.groups.items()):
            digest.update(msgspec.json.encode([column, texts.tolist()]))
        return digest.hexdigest()

    def where(self, chosen: NDArray[np.bool_] | Instants) -> Outcomes:
        """Return some of the rows, marked or by their places."""
        columns = {name: values[chosen] for name, values in self.groups.items()}
        return Outcomes(self.event_us[chosen], self.raw[chosen], self.labels[chosen], columns)


@dataclass(frozen=True, eq=False)
class Answered:
    """Answered rows in the order in which they were answered, the newest last, each with its example and label's place.

    A replay's clock stands still between its steps, and one request may hold many rows: ``ORDER`` tells all of them
    apart, so that it never wavers which answer is the newest.
    """

    rows: pa.Table
    examples: Examples

    def where(self, chosen: NDArray[np.bool_]) -> Answered:
        """Return some of the rows."""
        if chosen.all():
            return self
        numbers, places = self.examples
        return Answered(self.rows.filter(pa.array(chosen)), Examples(numbers[chosen], places[chosen]))

    def since(self, instant: datetime) -> Answered:
        """Leave out what was answered of earlier events."""
        return self.where(_us(self.rows, EVENT_TIME) >= (instant - EPOCH) // timedelta(microseconds=1))

    def has_role(self, role: str) -> NDArray[np.bool_]:
        """Mark the rows of a role."""
        return self.roles.are([role])

    @cached_property
    def roles(self) -> Coded:
        """Return each row's role, looked up once."""
        return coded(self.rows["role"].combine_chunks())

    @cached_property
    def versions(self) -> Coded:
        """Return each row's version, looked up once."""
        return coded(self.rows["version"].combine_chunks())

    @property
    def by_callers(self) -> Answered:
        """Leave out what shadows said."""
        return self.where(~self.has_role(SHADOW_ROLE))

    def without(self, versions: Collection[str]) -> Answered:
        """Leave out what some versions said."""
        return self.where(~self.versions.are(versions))


def with_features(given: Answered, lake: Lake, versions: Mapping[str, int], since: date) -> Answered:
    """Add the features as they were served, read from versions of the tables of answers and of no earlier days."""
    tables = [lake.read(t, version=v, columns=[*KEPT, "features"], since=since) for t, v in versions.items()]
    served, size = pa.concat_tables(tables).combine_chunks(), len(given.rows)
    own, others = (told_apart(rows) for rows in (given.rows, served))
    numbers = numbered(list(map(both, *(_columns(rows) for rows in (own, others)))), size + len(served))
    places = matched(numbers[size:], numbers[:size]).places
    return Answered(given.rows.append_column("features", served["features"].take(pa.array(places))), given.examples)


def _columns(rows: pa.Table) -> list[pa.Array]:
    return [rows[name].combine_chunks() for name in KEPT]


def told_apart(rows: pa.Table) -> pa.Table:
    """Return what tells answered rows from others, as the lake has it."""
    return pa.table({name: _plain(rows[name]) for name in KEPT}).combine_chunks()


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def outcomes(given: Answered, labels: LabelBook, age: Age, columns: Sequence[str] = ()) -> Iterator[VersionOutcomes]:
    """Yield what each version answered, the oldest version first, beside the labels of examples that are old enough.

    Of answers of a version to one example the newest counts.

    Raises:
        InvalidSpec: a column is neither a segment of the labels nor a feature that was served.
    """
    newest = given.where(_newest(given))
    rows, places = newest.rows, newest.examples.places
    every = Outcomes(
        event_us=_us(rows, EVENT_TIME),
        raw=raw.of(rows),
        labels=_ripe(labels, places, _us(rows, EVENT_TIME), age),
        groups={column: _values(rows, labels, places, column) for column in columns},
    )
    versions = newest.versions
    for version in sorted(versions.values, key=version_order):
        yield VersionOutcomes(version, every.where(versions.are([version])) if versions.values[1:] else every)


def _newest(given: Answered) -> NDArray[np.bool_]:
    """Mark the rows of which no later one answers the same example by the same version."""
    numbers, order = paired(given.versions, given.examples.numbers), np.arange(len(given.rows))
    last = np.zeros(numbers.max(initial=-1) + 1, np.int64)  # of numbers that no row has it says nothing
    last[numbers] = order
    return np.asarray(last[numbers] == order)


def _ripe(labels: LabelBook, places: Instants, event_us: Instants, age: Age) -> Floats:
    """Return the label of each row, NaN unless it has come and its example is old enough."""
    if age.begun:
        return labels.begun(places)
    if age.wait_us is None:
        return labels.nothing(len(places))
    known = labels.known(places, age.now_us)
    known[event_us + age.wait_us > age.now_us] = np.nan
    return known


def _values(rows: pa.Table, labels: LabelBook, places: Instants, column: str) -> Texts:
    """Return a column's values: as the labels' rows give it, else as it was served."""
    if column not in labels.table.column_names:
        return groups.served(objects(rows["features"]), column)
    known = pa.array(places, mask=places < 0)
    told = labels.table[column].take(known).cast(pa.string()).to_pylist()
    return np.array([value or "" for value in told], dtype=object)


def _us(rows: pa.Table, column: str) -> Instants:
    return np.asarray(rows[column].cast(pa.int64()).to_numpy(), dtype=np.int64)
