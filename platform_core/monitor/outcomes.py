"""What versions answered, each example once, beside what became of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from loopline.platform_core.contracts.serving import SHADOW_ROLE
from loopline.platform_core.foundation.distance import Floats
from loopline.platform_core.foundation.names import EVENT_TIME, ModelRef, prediction_table, scores_table, version_order
from loopline.platform_core.monitor import groups
from loopline.platform_core.monitor.groups import Texts
from loopline.platform_core.monitor.values import objects

if TYPE_CHECKING:
    from datetime import date

    from loopline.platform_core.contracts.lake import Lake
    from loopline.platform_core.monitor.labelled import Key, LabelBook, Places

DAY_US = 86_400_000_000
READ = ("request_id", "row", "role", "version", EVENT_TIME, "logged_at", "score", "keys")
"""Columns of an answered row."""
ORDER = ("logged_at", "request_id", "row")
Instants = NDArray[np.int64]


class VersionOutcomes(NamedTuple):
    """A version, and what it answered."""

    version: str
    outcomes: Outcomes


class Age(NamedTuple):
    """Now (µs since 1970), and how old an example must be for its label to count (µs; None: not known yet)."""

    now_us: int
    wait_us: int | None


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Distinct examples that a version answered: arrays of one length.

    ``labels`` are NaN where none is known; ``groups`` holds each row's value by column, "" for none.
    """

    event_us: Instants
    scores: Floats
    labels: Floats
    groups: Mapping[str, Texts]

    def __len__(self) -> int:
        """Count the examples."""
        return len(self.scores)

    def where(self, chosen: NDArray[np.bool_]) -> Outcomes:
        """Return some of the rows."""
        columns = {name: values[chosen] for name, values in self.groups.items()}
        return Outcomes(self.event_us[chosen], self.scores[chosen], self.labels[chosen], columns)


@dataclass(frozen=True, eq=False)
class Answered:
    """Answered rows in the order in which they were answered, the newest last, each with its example and label's place.

    A replay's clock stands still between its steps, and one request may hold many rows: ``ORDER`` tells all of them
    apart, so that it never wavers which answer is the newest.
    """

    rows: pa.Table
    keys: Sequence[Key]
    places: Places

    def where(self, chosen: NDArray[np.bool_]) -> Answered:
        """Return some of the rows."""
        places = np.flatnonzero(chosen)
        return Answered(
            self.rows.take(pa.array(places)), [self.keys[at] for at in places.tolist()], self.places[places]
        )

    @cached_property
    def roles(self) -> Texts:
        """Return each row's role."""
        return np.array(self.rows["role"].to_pylist(), dtype=object)

    @cached_property
    def versions(self) -> Texts:
        """Return each row's version."""
        return np.array(self.rows["version"].to_pylist(), dtype=object)

    @property
    def by_callers(self) -> Answered:
        """Leave out what shadows said."""
        return self.where(self.roles != SHADOW_ROLE)

    def without(self, versions: Collection[str]) -> Answered:
        """Leave out what some versions said."""
        return self.where(np.array([version not in versions for version in self.versions.tolist()], dtype=np.bool_))


def answered(
    lake: Lake, ref: ModelRef, labels: LabelBook, since: date | None = None, more: Sequence[str] = ()
) -> Answered:
    """Read what was answered with a score, in requests, batches and by shadows, of events since a day.

    ``more`` names columns beside ``READ``.
    """
    tables = [table for table in (prediction_table(*ref), scores_table(*ref)) if lake.version(table) is not None]
    rows = pa.concat_tables([lake.read(table, columns=[*READ, *more], since=since) for table in tables])
    rows = rows.filter(pc.is_valid(rows["score"]))
    rows = rows.sort_by([(name, "ascending") for name in ORDER]).combine_chunks()
    keys = labels.keys(rows)
    return Answered(rows, keys, labels.places(keys))


def outcomes(given: Answered, labels: LabelBook, age: Age, columns: Sequence[str] = ()) -> Iterator[VersionOutcomes]:
    """Yield what each version answered, the oldest version first, beside the labels of examples that are old enough.

    Of answers of a version to one example the newest counts.

    Raises:
        InvalidSpec: a column is neither a segment of the labels nor a feature that was served.
    """
    newest = _newest(given)
    rows, places = given.rows.take(pa.array(newest)), given.places[newest]
    every = Outcomes(
        event_us=_us(rows, EVENT_TIME),
        scores=np.asarray(rows["score"].to_numpy(), dtype=np.float64),
        labels=_ripe(labels, places, _us(rows, EVENT_TIME), age),
        groups={column: _values(rows, labels, places, column) for column in columns},
    )
    versions = given.versions[newest]
    for version in sorted(set(versions.tolist()), key=version_order):
        yield VersionOutcomes(version, every.where(versions == version))


def _newest(given: Answered) -> Places:
    """Return the rows of which no later one answers the same example by the same version, in order."""
    codes: dict[Key, int] = {}
    examples = np.fromiter((codes.setdefault(key, len(codes)) for key in given.keys), np.int64, len(given.keys))
    _, versions = np.unique(given.versions.astype(str), return_inverse=True)
    numbers = versions * len(codes) + examples
    _, from_the_end = np.unique(numbers[::-1], return_index=True)
    return np.sort(len(numbers) - 1 - from_the_end)


def _ripe(labels: LabelBook, places: Instants, event_us: Instants, age: Age) -> Floats:
    """Return the label of each row, NaN unless it has come and its example is old enough."""
    if age.wait_us is None:
        return np.full(len(places), np.nan)
    return np.where(event_us + age.wait_us <= age.now_us, labels.known(places, age.now_us), np.nan)


def _values(rows: pa.Table, labels: LabelBook, places: Instants, column: str) -> Texts:
    """Return a column's values: as the labels' rows give it, else as it was served."""
    if column not in labels.table.column_names:
        return groups.served(objects(rows["features"]), column)
    told = labels.table[column].cast(pa.string()).to_pylist()
    return np.array(["" if place < 0 else told[place] or "" for place in places.tolist()], dtype=object)


def _us(rows: pa.Table, column: str) -> Instants:
    return np.asarray(rows[column].cast(pa.int64()).to_numpy(), dtype=np.int64)
