"""Keys that match answers to labels: entities, and the event time where it is needed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from loopline.platform_core.foundation.names import EVENT_TIME, KNOWN_AT, LABEL
from loopline.platform_core.foundation.number_lists import to_array
from loopline.platform_core.monitor.drift.values import objects
from loopline.platform_core.specs.contracts import personal

if TYPE_CHECKING:
    from loopline.platform_core.targets import Target

Places = NDArray[np.int64]
MOST_CELLS = 32
"""Cells of an array for each row, up to which numbers are used as places as they are."""
PATIENT = 0.99
"""Share of the labels of each kind that must have come before the rest of an age is looked at."""

SAMPLED = 1_000
"""Delays that suggest where the longest of all lie."""
BELOW_PATIENT = 0.96
"""Share of the sample that need not be looked at: ``PATIENT`` less five times what chance makes of it."""


class Examples(NamedTuple):
    """The examples of answered rows: equal numbers are one example; and each one's row among the labels, -1 for none.

    Numbers of two calls have nothing to do with each other.
    """

    numbers: Places
    places: Places


class Keyed(NamedTuple):
    """Rows with an event time, and the entities of each as text, a column for each entity."""

    keys: Sequence[pa.Array]
    rows: pa.Table


@dataclass(frozen=True, eq=False)
class LabelBook:
    """What the raw rows say of a model's examples, one row of ``table`` each; keys of persons are pseudonyms.

    Rows at the places ``gone`` do not count any more; no example's place is one of them.
    """

    table: pa.Table
    gone: Places = field(default_factory=lambda: np.zeros(0, np.int64))

    def known(self, places: Places, now_us: int) -> NDArray[np.float64]:
        """Return the label of each example, NaN unless it is known by now and finite: (rows,) or (rows, numbers)."""
        found = np.flatnonzero(places >= 0)
        return self._told(places, found[self.known_us[places[found]] <= now_us])

    def begun(self, places: Places) -> NDArray[np.float64]:
        """Return all that has come of the label of each example, whether its last number is known yet or not."""
        return self._told(places, np.flatnonzero(places >= 0))

    def _told(self, places: Places, found: Places) -> NDArray[np.float64]:
        """Return the labels of some examples, NaN of all others."""
        told = self.nothing(len(places))
        told[found] = self.labels[places[found]]
        told[np.isinf(told)] = np.nan
        return told

    def nothing(self, size: int) -> NDArray[np.float64]:
        """Return no label for so many rows."""
        return np.full((size, *self.labels.shape[1:]), np.nan)

    def wait_us(self, target: Target) -> int | None:
        """Return the age (µs) at which the labels of every class have come, but for one in a hundred.

        Labels that come early are often all of one class: whoever counts them before that age counts too many of it.
        None while the raw rows give no label of some class, unless there are so many of others that it is rare.
        """
        delays = self.known_us - self.table[EVENT_TIME].cast(pa.int64()).to_numpy()
        found = []
        for rows in target.marked(self.labels):
            rows[self.gone] = False
            found.append(delays[rows])
        came = [delays for delays in found if len(delays)]
        labelled, rare_after = sum(map(len, came)), target.rare_after
        if not came or (len(came) < len(found) and (rare_after is None or labelled < rare_after)):
            return None
        return max(0, *map(_all_but_few, came))

    @cached_property
    def labels(self) -> NDArray[np.float64]:
        """Return the labels, NaN where there is none: (rows,), or (rows, numbers) where one has several."""
        return to_array(self.table[LABEL])

    @cached_property
    def known_us(self) -> NDArray[np.int64]:
        """Return when each label becomes known (µs since 1970)."""
        return np.asarray(self.table[KNOWN_AT].cast(pa.int64()).to_numpy(), dtype=np.int64)


def answered_keys(answered: pa.Table, entities: Sequence[str], persons: Sequence[str]) -> list[pa.Array]:
    """Return the entities of answered rows as text, from their column ``keys`` (JSON).

    Keys come again and again: each distinct one is parsed once, and no row becomes an object.
    """
    encoded = answered.column("keys").combine_chunks().dictionary_encode(null_encoding="encode")
    keys = personal.hidden_in(objects(encoded.dictionary), persons)
    named = (pa.array([str(key.get(entity)) for key in keys], pa.string()) for entity in entities)
    return [text.take(encoded.indices) for text in named]


def numbered_examples(labels: Keyed, answers: Keyed, *, timed: bool) -> tuple[Places, Places]:
    """Number the examples of labels and answers: by their entities, and event time too where it tells them apart."""
    columns = list(map(both, labels.keys, answers.keys))
    if timed:
        columns.append(both(instants(labels.rows), instants(answers.rows)))
    numbers = numbered(columns, len(labels.rows) + len(answers.rows))
    return numbers[: len(labels.rows)], numbers[len(labels.rows) :]


def matched(labels: Places, answers: Places, gone: Places | None = None) -> Examples:
    """Find the row among the labels of each answer's example, by the examples' numbers; some rows are none any more."""
    row_of = np.full(max(labels.max(initial=-1), answers.max(initial=-1)) + 1, -1)
    row_of[labels] = np.arange(len(labels))  # of rows that say something of the same example the last counts
    if gone is not None and len(gone):
        bereft = np.zeros(len(row_of), np.bool_)
        bereft[labels[gone]] = True
        row_of[labels[gone]] = -1
        others = np.setdiff1d(np.flatnonzero(bereft[labels]), gone, assume_unique=True)
        row_of[labels[others]] = others
    return Examples(answers, row_of[answers])


def repeats(numbers: Places) -> int:
    """Count the rows beyond the first of each number."""
    return len(numbers) - len(np.unique(numbers))


def numbered(columns: Sequence[pa.Array], size: int) -> Places:
    """Number rows from 0 on without a gap, by their values in some columns; null is a value like others."""
    numbers = np.zeros(size, np.int64)
    for place, column in enumerate(columns):
        codes, distinct = _codes(column)
        numbers = _codes(pa.array(numbers * len(distinct) + codes))[0] if place else codes
    return numbers


@dataclass(frozen=True, eq=False)
class Coded:
    """A column by numbers, those of its distinct values."""

    codes: Places
    values: list[Any]

    def are(self, values: Collection[Any]) -> NDArray[np.bool_]:
        """Mark the rows that have one of some values."""
        return np.array([value in values for value in self.values], np.bool_)[self.codes]


def coded(column: pa.Array) -> Coded:
    """Look each value of a column up; null is a value like others."""
    codes, dictionary = _codes(column)
    there = np.bincount(codes, minlength=len(dictionary)) > 0  # a part of a column has the dictionary of the whole
    values = dictionary.filter(pa.array(there)).to_pylist()
    return Coded(codes if there.all() else (np.cumsum(there) - 1)[codes], values)


def paired(column: Coded, numbers: Places) -> Places:
    """Number rows by a column of few values and by numbers from 0 on: equal where both are, perhaps with gaps."""
    if len(column.values) == 1:
        return numbers
    size = int(numbers.max(initial=-1)) + 1
    if len(column.values) * size <= MOST_CELLS * len(numbers):  # then no row needs to be looked up
        return np.asarray(column.codes * size + numbers)
    return numbered([pa.array(column.codes), pa.array(numbers)], len(numbers))


def _all_but_few(delays: Places) -> int:
    """Return the shortest delay that ``PATIENT`` of them do not exceed; a sample tells where it is looked for."""
    rank = ceil(PATIENT * (len(delays) - 1))
    if len(delays) > SAMPLED:
        low = np.quantile(delays[:: len(delays) // SAMPLED], BELOW_PATIENT, method="lower")
        above = delays[delays > low]
        below = len(delays) - len(above)
        if rank >= below:
            return int(np.partition(above, rank - below)[rank - below])
        if rank >= np.count_nonzero(delays < low):
            return int(low)
    return int(np.partition(delays, rank)[rank])


def _codes(column: pa.Array) -> tuple[Places, pa.Array]:
    if pa.types.is_dictionary(column.type):
        indices, unknown = column.indices.fill_null(len(column.dictionary)), pa.nulls(1, column.type.value_type)
        return indices.to_numpy().astype(np.int64), both(column.dictionary, unknown)
    encoded = column.dictionary_encode(null_encoding="encode")
    return encoded.indices.to_numpy().astype(np.int64), encoded.dictionary


def both(one: pa.Array, other: pa.Array) -> pa.Array:
    """Put two columns below one another."""
    return pa.concat_arrays([one, other])


def texts(rows: pa.Table, columns: Sequence[str]) -> list[pa.Array]:
    """Return some columns as text."""
    return [rows.column(name).cast(pa.string()).combine_chunks() for name in columns]


def instants(rows: pa.Table) -> pa.Array:
    """Return event times in µs since 1970."""
    return rows.column(EVENT_TIME).cast(pa.timestamp("us", "UTC")).cast(pa.int64()).combine_chunks()
